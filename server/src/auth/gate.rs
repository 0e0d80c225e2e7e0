//! The gate: the one place that decides who may do what. Effective right = what the
//! token reaches ∩ what its owner holds now.

use async_trait::async_trait;
use granary_formats::{Gate, Held, Needs, Rights};
use granary_storage::access::{Access, Actions, Principal, Scopes, Visible};
use granary_storage::catalog::{AccountFacts, Catalog, FileView, ManifestView, Repository};
use granary_storage::name::ProjectName;
use granary_storage::prefix::Prefix;
use granary_storage::{Error, ErrorKind, Result, What};
use std::sync::Arc;

/// The gate over local accounts and project roles.
pub(crate) struct AccessGate {
    catalog: Catalog,
    anonymous: bool,
    everyone_creates_projects: bool,
}

/// Whether one access is held, and if not, whose fault it is.
enum Answer {
    Granted,
    TokenTooNarrow,
    NotHeld,
}

impl AccessGate {
    /// A gate. `anonymous` opens public projects to everybody; `everyone_creates_projects` lets any account
    /// create a project by pushing into it first, otherwise only system administrators do.
    pub(crate) fn new(catalog: Catalog, anonymous: bool, everyone_creates_projects: bool) -> Self {
        Self {
            catalog,
            anonymous,
            everyone_creates_projects,
        }
    }

    /// What the principal itself holds on `access.repository`, whatever token it shows.
    ///
    /// # Errors
    /// Those of the catalog.
    pub(crate) async fn held(&self, facts: Option<&AccountFacts>, access: &Access) -> Result<Actions> {
        self.held_in(facts, access.repository.project_name()).await
    }

    /// The same for every repository of a project.
    async fn held_in(&self, facts: Option<&AccountFacts>, project: ProjectName) -> Result<Actions> {
        if facts.is_some_and(|facts| facts.admin) {
            return Ok(Actions::ALL);
        }
        let Some(project) = self.catalog.project(project).await? else {
            let creates = facts.is_some() && self.everyone_creates_projects;
            return Ok(if creates { Actions::PULL | Actions::PUSH } else { Actions::NONE });
        };
        let by_role = facts
            .and_then(|facts| facts.roles.get(&project.id))
            .map_or(Actions::NONE, |role| role.actions());
        let open = project.public && (facts.is_some() || self.anonymous);
        Ok(if open { by_role | Actions::PULL } else { by_role })
    }

    /// The facts of the principal's account; `None` for anonymous.
    ///
    /// # Errors
    /// `Unauthenticated`/`Token` when the account is gone or disabled since the request was authenticated.
    pub(crate) async fn facts(&self, by: &Principal) -> Result<Option<Arc<AccountFacts>>> {
        let Some(account) = by.account else { return Ok(None) };
        let facts = self.catalog.account_facts(account).await?.filter(|facts| !facts.disabled);
        facts
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Unauthenticated, What::Token, "the account has been disabled"))
    }

    async fn answer(&self, by: &Principal, facts: Option<&AccountFacts>, access: &Access) -> Result<Answer> {
        if !self.held(facts, access).await?.contains(access.actions) {
            return Ok(Answer::NotHeld);
        }
        let reached = by
            .scopes
            .as_ref()
            .is_none_or(|scopes| scopes.on(&access.repository).contains(access.actions));
        Ok(if reached { Answer::Granted } else { Answer::TokenTooNarrow })
    }

    /// Whether anything directly under a prefix may be used so. A token has to name a repository there.
    async fn answer_under(&self, by: &Principal, facts: Option<&AccountFacts>, prefix: &Prefix, actions: Actions) -> Result<Answer> {
        if !self.held_in(facts, prefix.project_name()?).await?.contains(actions) {
            return Ok(Answer::NotHeld);
        }
        let reaches = |scopes: &Arc<Scopes>| {
            let mut names = scopes.repositories.iter().map(|access| &access.repository);
            names.any(|name| Prefix::of(name).0 == *prefix && scopes.on(name).contains(actions))
        };
        Ok(if by.scopes.as_ref().is_none_or(reaches) {
            Answer::Granted
        } else {
            Answer::TokenTooNarrow
        })
    }

    /// What `facts` may list. A token for the catalog lists all of it; any other token only what it names.
    fn visible(&self, by: &Principal, facts: Option<&AccountFacts>, listing: bool) -> Visible {
        let only = by.scopes.as_ref().filter(|_| !listing).map(|scopes| {
            let readable = scopes.repositories.iter().filter(|access| access.actions.contains(Actions::PULL));
            readable.map(|access| access.repository.clone()).collect()
        });
        match facts {
            Some(facts) if facts.admin => Visible {
                projects: None,
                public: true,
                only,
            },
            Some(facts) => Visible {
                projects: Some(facts.roles.keys().copied().collect()),
                public: true,
                only,
            },
            None => Visible {
                projects: Some(Vec::new()),
                public: self.anonymous,
                only,
            },
        }
    }
}

#[async_trait]
impl Gate for AccessGate {
    async fn authorize(&self, by: &Principal, needs: &Needs) -> Result<Rights> {
        let facts = self.facts(by).await?;
        let facts = facts.as_deref();
        let bare = by.is_anonymous() && by.scopes.is_none();
        match needs {
            Needs::Login if bare => Err(no_credentials()),
            Needs::Login => Ok(Rights {
                optional: Vec::new(),
                visible: Visible::NOTHING,
            }),
            Needs::Listing if bare => Err(no_credentials()),
            Needs::Listing if by.scopes.as_ref().is_some_and(|scopes| !scopes.catalog) => Err(too_narrow()),
            Needs::Listing => Ok(Rights {
                optional: Vec::new(),
                visible: self.visible(by, facts, true),
            }),
            Needs::Under { prefix, actions } => {
                demand(by, &self.answer_under(by, facts, prefix, *actions).await?)?;
                Ok(Rights {
                    optional: Vec::new(),
                    visible: self.visible(by, facts, false),
                })
            }
            Needs::Access {
                required,
                optional,
                across,
            } => {
                for access in required {
                    demand(by, &self.answer(by, facts, access).await?)?;
                }
                let mut held = Vec::with_capacity(optional.len());
                for access in optional {
                    held.push(match self.answer(by, facts, access).await? {
                        Answer::Granted => Held::Yes,
                        Answer::TokenTooNarrow => Held::TokenTooNarrow,
                        Answer::NotHeld => Held::No,
                    });
                }
                let visible = if *across {
                    self.visible(by, facts, false)
                } else {
                    Visible::NOTHING
                };
                Ok(Rights { optional: held, visible })
            }
        }
    }

    async fn admit(&self, _: &Principal, _: &Repository, _: &ManifestView) -> Result<Vec<String>> {
        // No policy exists yet: everything that may be read may be pulled.
        Ok(Vec::new())
    }

    async fn admit_file(&self, _: &Principal, _: &Repository, _: &FileView) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Refuses what is not granted.
fn demand(by: &Principal, answer: &Answer) -> Result<()> {
    match answer {
        Answer::Granted => Ok(()),
        Answer::TokenTooNarrow => Err(too_narrow()),
        Answer::NotHeld if by.is_anonymous() && by.scopes.is_some() => Err(too_narrow()),
        Answer::NotHeld if by.is_anonymous() => Err(no_credentials()),
        Answer::NotHeld => Err(denied()),
    }
}

fn no_credentials() -> Error {
    Error::new(ErrorKind::Unauthenticated, What::Credentials, "authentication is required")
}

fn too_narrow() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        What::Scope,
        "the token does not reach this far; ask for one with the scope of the challenge",
    )
}

/// The same whether or not the repository exists.
fn denied() -> Error {
    Error::new(
        ErrorKind::Denied,
        What::Repository,
        "you may not do this in this repository, or it does not exist",
    )
}
