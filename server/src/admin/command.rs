//! The commands themselves: what the command line can ask for, and what comes back.

use crate::auth::{Passwords, check_account_name, check_password};
use granary_storage::access::Role;
use granary_storage::catalog::Catalog;
use granary_storage::name::ProjectName;
use granary_storage::{Error, Result, What};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rows of one read while listing.
const PAGE: usize = 500;

/// What can be asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub(crate) enum Command {
    /// Make an account.
    UserCreate { name: String, password: String, admin: bool },
    /// Set a password; ends every token of the account.
    UserPasswd { name: String, password: String },
    /// List the accounts.
    UserList,
    /// Switch an account off or on again.
    UserDisable { name: String, disabled: bool },
    /// Make a project.
    ProjectCreate { name: String, public: bool },
    /// List the projects.
    ProjectList,
    /// Open a project to everybody, or close it.
    ProjectPublic { name: String, public: bool },
    /// Give an account a role.
    ProjectGrant { project: String, account: String, role: String },
    /// Take an account's role away.
    ProjectRevoke { project: String, account: String },
    /// List the members of a project.
    ProjectMembers { name: String },
}

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// A sentence that says what was done.
    Done(String),
    /// A table.
    Rows(Table),
    /// A sentence that says why nothing was done.
    Failed(String),
}

/// Rows of text under column names.
#[derive(Serialize, Deserialize)]
pub(crate) struct Table {
    /// The columns.
    pub(crate) columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub(crate) rows: Vec<Vec<String>>,
}

/// Carries commands out.
#[derive(Clone)]
pub(crate) struct Admin {
    /// Where accounts and projects are.
    pub(crate) catalog: Catalog,
    /// Hashes passwords.
    pub(crate) passwords: Arc<Passwords>,
}

impl Admin {
    /// Carries one command out.
    pub(crate) async fn run(&self, command: Command) -> Outcome {
        self.try_run(command).await.unwrap_or_else(|error| {
            if let Some(cause) = std::error::Error::source(&error) {
                tracing::warn!(%cause, "a command failed: {error}");
            }
            Outcome::Failed(error.message().to_owned())
        })
    }

    async fn try_run(&self, command: Command) -> Result<Outcome> {
        let by: Arc<str> = BY.into();
        let catalog = &self.catalog;
        Ok(match command {
            Command::UserCreate { name, password, admin } => {
                check_account_name(&name)?;
                check_password(&password)?;
                let hash = self.passwords.hash(password).await?;
                catalog.create_account(name.clone(), hash, admin, by).await?;
                Outcome::Done(format!("created account {name}"))
            }
            Command::UserPasswd { name, password } => {
                check_password(&password)?;
                let hash = self.passwords.hash(password).await?;
                catalog.set_password(name.clone(), hash, by).await?;
                Outcome::Done(format!("set the password of {name}; its tokens have ended"))
            }
            Command::UserDisable { name, disabled } => {
                catalog.set_disabled(name.clone(), disabled, by).await?;
                Outcome::Done(format!("{} account {name}", if disabled { "disabled" } else { "enabled" }))
            }
            Command::UserList => {
                let row = |account: granary_storage::catalog::Account| {
                    vec![
                        account.name.to_string(),
                        yes(account.admin),
                        if account.disabled { "disabled" } else { "enabled" }.into(),
                    ]
                };
                table(&["NAME", "ADMIN", "STATE"], catalog.accounts().await?.into_iter().map(row))
            }
            Command::ProjectCreate { name, public } => {
                let project = catalog.create_project(name.parse()?, public, None, by).await?;
                Outcome::Done(format!("created project {}", project.name))
            }
            Command::ProjectList => self.list_projects().await?,
            Command::ProjectPublic { name, public } => {
                catalog.set_project_public(name.parse()?, public, by).await?;
                Outcome::Done(format!("project {name} is now {}", if public { "public" } else { "private" }))
            }
            Command::ProjectGrant { project, account, role } => {
                let role: Role = role.parse()?;
                catalog.grant(project.parse()?, account.clone(), role, by).await?;
                Outcome::Done(format!("{account} is now {role} of {project}"))
            }
            Command::ProjectRevoke { project, account } => {
                if !catalog.revoke(project.parse()?, account.clone(), by).await? {
                    return Err(Error::not_found(What::Credentials, format!("{account} has no role in {project}")));
                }
                Outcome::Done(format!("{account} has no role in {project} any more"))
            }
            Command::ProjectMembers { name } => {
                let members = catalog.members(name.parse()?).await?;
                table(
                    &["ACCOUNT", "ROLE"],
                    members.into_iter().map(|(account, role)| vec![account, role.to_string()]),
                )
            }
        })
    }

    async fn list_projects(&self) -> Result<Outcome> {
        let mut rows = Vec::new();
        let mut after: Option<ProjectName> = None;
        loop {
            let page = self.catalog.projects(after.map(|name| name.to_string()), PAGE).await?;
            after = page.last().map(|project| project.name.clone());
            let full = page.len() == PAGE;
            rows.extend(page.into_iter().map(|project| vec![project.name.to_string(), yes(project.public)]));
            if !full {
                return Ok(table(&["NAME", "PUBLIC"], rows));
            }
        }
    }
}

/// The name under which the command line's acts are recorded: whoever reaches the data folder operates the system.
const BY: &str = "operator";

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.into()
}

fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Outcome {
    Outcome::Rows(Table {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.into_iter().collect(),
    })
}
