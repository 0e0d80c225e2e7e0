//! The questions that dispatch asks before an operation runs: may this principal do
//! this, and may anybody have these bytes now? The server answers them, in one place.

use async_trait::async_trait;
use granary_storage::Result;
use granary_storage::access::{Access, Action, Actions, Principal, Visible};
use granary_storage::catalog::{FileView, ManifestView, Repository};
use granary_storage::name::RepositoryName;
use granary_storage::prefix::Prefix;

/// The access an operation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Credentials of any kind; a token for anonymous counts.
    Login,
    /// Access to repositories.
    Access {
        /// Without all of these the operation does not run.
        required: Vec<Access>,
        /// These widen what it may do; the grant says which of them hold.
        optional: Vec<Access>,
        /// Whether it also looks for content across repositories, and so needs to know which are visible.
        across: bool,
    },
    /// Access to the repositories directly under a prefix. Which of them it is about only the catalog or the body can
    /// tell, and where it is about one, [`crate::Granted::allow`] asks for that one. What can be seen comes filtered.
    Under {
        /// The prefix.
        prefix: Prefix,
        /// What is to be done to them.
        actions: Actions,
    },
    /// A list of repositories, filtered to what the principal may read.
    Listing,
}

impl Needs {
    /// To store a file in a repository; the one optional access says whether it may take the place of another.
    pub fn to_store(repository: &RepositoryName, across: bool) -> Self {
        let access = |action: Action| Access {
            repository: repository.clone(),
            actions: action.into(),
        };
        Self::Access {
            required: vec![access(Action::Create)],
            optional: vec![access(Action::Overwrite)],
            across,
        }
    }

    /// One required access.
    pub fn one(access: Access) -> Self {
        Self::Access {
            required: vec![access],
            optional: Vec::new(),
            across: false,
        }
    }
}

/// Whether an optional access is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is.
    Yes,
    /// The principal holds it, but the token in use does not reach that far: a wider one would do.
    TokenTooNarrow,
    /// It is not.
    No,
}

/// What the gate grants.
#[derive(Clone, Debug)]
pub struct Rights {
    /// For each optional access of the needs, in their order.
    pub optional: Vec<Held>,
    /// What the principal may see across repositories; nothing unless the needs ask for it.
    pub visible: Visible,
}

/// Decides. Implemented once, by the server.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Whether `by` may do what `needs` says.
    ///
    /// # Errors
    /// `Unauthenticated`/`Credentials` for anonymous, `Unauthenticated`/`Scope` for a token that is too narrow,
    /// `Denied` for a known principal without the right; the same whether or not the repository exists.
    async fn authorize(&self, by: &Principal, needs: &Needs) -> Result<Rights>;

    /// Whether the bytes of this manifest may go out now; gives the warnings to send along.
    ///
    /// # Errors
    /// `Blocked` with the sentence of the policy.
    async fn admit(&self, by: &Principal, repository: &Repository, manifest: &ManifestView) -> Result<Vec<String>>;

    /// Whether the bytes of this file may go out now; gives the warnings to send along.
    ///
    /// # Errors
    /// `Blocked` with the sentence of the policy.
    async fn admit_file(&self, by: &Principal, repository: &Repository, file: &FileView) -> Result<Vec<String>>;
}
