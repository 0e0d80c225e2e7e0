//! The commands themselves: what the command line can ask for, and what comes back.

use crate::auth::{Passwords, check_account_name, check_password};
use granary_storage::access::Role;
use granary_storage::catalog::Project;
use granary_storage::fsck;
use granary_storage::name::ProjectName;
use granary_storage::{Error, Result, Stores, What};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Rows of one read while listing.
const PAGE: usize = 500;
/// Findings of one check that are listed; more are counted.
const FINDINGS: usize = 10_000;

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
    /// Change settings of a project, at least one.
    ProjectSet {
        name: String,
        mutable_versions: Option<bool>,
        immutable_files: Option<bool>,
    },
    /// Give an account a role.
    ProjectGrant { project: String, account: String, role: String },
    /// Take an account's role away.
    ProjectRevoke { project: String, account: String },
    /// List the members of a project.
    ProjectMembers { name: String },
    /// Check the whole store.
    Fsck { quick: bool },
}

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// A sentence that says what was done.
    Done(String),
    /// A table.
    Rows(Table),
    /// What a check found: the findings, whether content is lost or wrong, and a sentence that sums up.
    Checked {
        /// The findings.
        findings: Table,
        /// Whether any of them means that content is lost or wrong.
        loss: bool,
        /// What was looked at, and what came of it.
        summary: String,
    },
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
    /// Everything that is managed.
    pub(crate) stores: Stores,
    /// Files that nothing names are worth a finding once they are older.
    pub(crate) orphan_age: Duration,
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
        let catalog = &self.stores.catalog;
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
            Command::ProjectSet {
                name,
                mutable_versions,
                immutable_files,
            } => {
                let mut done = Vec::new();
                if let Some(mutable) = mutable_versions {
                    catalog.set_mutable_versions(name.parse()?, mutable, by.clone()).await?;
                    let may = if mutable { "may be replaced by force" } else { "stay as they are" };
                    done.push(format!("published versions in project {name} now {may}"));
                }
                if let Some(immutable) = immutable_files {
                    catalog.set_immutable_files(name.parse()?, immutable, by).await?;
                    let may = if immutable {
                        "keep their content"
                    } else {
                        "may be replaced by who may overwrite"
                    };
                    done.push(format!("files in project {name} now {may}"));
                }
                Outcome::Done(done.join("\n"))
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
            Command::Fsck { quick } => self.check(!quick).await?,
        })
    }

    async fn check(&self, hash: bool) -> Result<Outcome> {
        let (mut rows, mut count, mut losses) = (Vec::new(), 0_u64, 0_u64);
        let options = fsck::Options {
            hash,
            orphan_age: self.orphan_age,
        };
        let checked = fsck::check(&self.stores, options, |problem| {
            count += 1;
            losses += u64::from(problem.is_loss());
            if rows.len() < FINDINGS {
                rows.push(vec![problem.code().to_owned(), yes(problem.is_loss()), problem.to_string()]);
            }
        })
        .await?;
        let fsck::Checked {
            blobs,
            bytes,
            manifests,
            tags,
            uploads,
            files,
        } = checked;
        Ok(Outcome::Checked {
            findings: table_of(&["FINDING", "LOSS", "DETAIL"], rows),
            loss: losses > 0,
            summary: format!(
                "checked {blobs} blobs ({bytes} bytes hashed), {manifests} manifests, {tags} tags, {uploads} uploads, {files} files: \
                 {count} findings, {losses} of them a loss"
            ),
        })
    }

    async fn list_projects(&self) -> Result<Outcome> {
        let mut rows = Vec::new();
        let mut after: Option<ProjectName> = None;
        loop {
            let page = self.stores.catalog.projects(after.map(|name| name.to_string()), PAGE).await?;
            after = page.last().map(|project| project.name.clone());
            let full = page.len() == PAGE;
            rows.extend(page.into_iter().map(|project| {
                let Project {
                    name,
                    public,
                    mutable_versions,
                    immutable_files,
                    ..
                } = project;
                vec![name.to_string(), yes(public), yes(mutable_versions), yes(immutable_files)]
            }));
            if !full {
                return Ok(table(&["NAME", "PUBLIC", "MUTABLE_VERSIONS", "IMMUTABLE_FILES"], rows));
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
    Outcome::Rows(table_of(columns, rows))
}

fn table_of(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    Table {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.into_iter().collect(),
    }
}
