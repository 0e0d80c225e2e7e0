//! Who acts, and what may be done to a repository. Vocabulary only: the decision
//! is taken in one place, the gate, and enforced in one place, the dispatch.

use crate::catalog::AccountId;
use crate::name::RepositoryName;
use std::fmt;
use std::ops::{BitAnd, BitOr};
use std::sync::Arc;

/// One thing that may be done to a repository.
///
/// Finer than the `pull`, `push` and `delete` of token scopes, so that later roles
/// (create but never overwrite) need no change in a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Read content and metadata.
    Read = 1,
    /// Add content and new names.
    Create = 2,
    /// Point an existing name at other content. To who holds only [`Action::Create`], what is there is immutable: the
    /// same content again is fine, and other content is a conflict with what is there rather than a refusal of access.
    Overwrite = 4,
    /// Remove names and content.
    Delete = 8,
}

/// A set of [`Action`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Actions(u8);

impl Actions {
    /// No action.
    pub const NONE: Self = Self(0);
    /// What the scope word `pull` means.
    pub const PULL: Self = Self(Action::Read as u8);
    /// What the scope word `push` means.
    pub const PUSH: Self = Self(Action::Create as u8 | Action::Overwrite as u8);
    /// What the scope word `delete` means.
    pub const DELETE: Self = Self(Action::Delete as u8);
    /// Every action.
    pub const ALL: Self = Self(15);

    /// Whether every action of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scope words that cover this set, in the order clients expect: `pull,push,delete`.
    pub fn scope_words(self) -> impl Iterator<Item = &'static str> {
        [(Self::PULL, "pull"), (Self::PUSH, "push"), (Self::DELETE, "delete")]
            .into_iter()
            .filter(move |(word, _)| !(self & *word).is_empty())
            .map(|(_, text)| text)
    }
}

impl From<Action> for Actions {
    fn from(action: Action) -> Self {
        Self(action as u8)
    }
}

impl BitOr for Actions {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Actions {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.scope_words()).finish()
    }
}

/// Some actions on one repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The repository, by its canonical name; it need not exist.
    pub repository: RepositoryName,
    /// The actions.
    pub actions: Actions,
}

/// Who acts.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account, or none for anonymous.
    pub account: Option<AccountId>,
    /// The name that events and logs carry.
    pub name: Arc<str>,
    /// What a token narrows the principal to; `None` when nothing narrows it (Basic).
    pub scopes: Option<Arc<Scopes>>,
}

impl Principal {
    /// Nobody in particular, with nothing in hand.
    pub fn anonymous() -> Self {
        Self {
            account: None,
            name: ANONYMOUS.into(),
            scopes: None,
        }
    }

    /// Whether this is nobody in particular.
    pub fn is_anonymous(&self) -> bool {
        self.account.is_none()
    }
}

/// The name under which anonymous access is recorded. No account can bear it.
pub const ANONYMOUS: &str = "anonymous";

/// What a token allows at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Repositories and the actions on each.
    pub repositories: Vec<Access>,
    /// Whether the list of repositories may be read (`registry:catalog:*`).
    pub catalog: bool,
}

impl Scopes {
    /// The actions allowed on `repository`.
    pub fn on(&self, repository: &RepositoryName) -> Actions {
        self.repositories
            .iter()
            .filter(|access| access.repository == *repository)
            .fold(Actions::NONE, |all, access| all | access.actions)
    }
}

/// What a principal holds in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, adds and overwrites.
    Developer,
    /// All that, and deletes and manages members.
    Maintainer,
}

impl Role {
    /// Every role, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Developer, Self::Maintainer];

    /// The word used on the command line and in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Maintainer => "maintainer",
        }
    }

    /// What the role may do to the repositories of its project.
    pub fn actions(self) -> Actions {
        match self {
            Self::Viewer => Actions::PULL,
            Self::Developer => Actions::PULL | Actions::PUSH,
            Self::Maintainer => Actions::ALL,
        }
    }
}

impl std::str::FromStr for Role {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            crate::Error::invalid(
                crate::What::Request,
                format!("'{text}' is not a role; the roles are viewer, developer, maintainer"),
            )
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which repositories a listing or a search across repositories may show.
/// Applied inside the query, so that counts and pages leak nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// The projects, or `None` for every project.
    pub projects: Option<Vec<crate::catalog::ProjectId>>,
    /// Besides those, the projects open to everybody.
    pub public: bool,
    /// When set, nothing outside these repositories (a token's scopes), by canonical name.
    pub only: Option<Vec<RepositoryName>>,
}

impl Visible {
    /// Nothing at all. Allocates nothing.
    pub const NOTHING: Self = Self {
        projects: Some(Vec::new()),
        public: false,
        only: None,
    };
}
