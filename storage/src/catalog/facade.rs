//! The catalog's face: one async method for one unit of work, whichever database is behind it.

use super::lite::{self, Lite};
use super::model::*;
use super::pg::{self, Pg};
use crate::access::{Role, Visible};
use crate::blob::{StorageKey, UploadId};
use crate::clock::Millis;
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::name::{ProjectName, Reference, RepositoryName, Tag};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Which database, and where.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file that one process owns.
    Sqlite(PathBuf),
    /// A server that many processes share, as a `postgres://` URL.
    Postgres(String),
}

/// What the bytes mean. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Backend>);

enum Backend {
    Lite(Lite),
    Pg(Pg),
}

impl Catalog {
    /// Opens the database and brings its schema up to date. Blocks; for start-up.
    ///
    /// # Errors
    /// `Internal` when the database cannot be opened or migrated.
    pub fn open(database: &Database, pool_size: u32) -> Result<Self> {
        Ok(Self(Arc::new(match database {
            Database::Sqlite(path) => Backend::Lite(Lite::open(path, pool_size)?),
            Database::Postgres(url) => Backend::Pg(Pg::open(url, pool_size)?),
        })))
    }

    /// The repository of that name, made (with its project) when it is missing.
    ///
    /// # Errors
    /// `Conflict`/`Repository` when it exists with another format.
    pub async fn ensure_repository(
        &self,
        name: RepositoryName,
        format: StorageFormat,
        owner: Option<AccountId>,
        by: Arc<str>,
    ) -> Result<Repository> {
        match self.repository(name.clone()).await? {
            Some(found) if found.format == format => Ok(found),
            _ => self.make_repository(name, format, owner, by).await,
        }
    }

    /// Stores a manifest and points its tags at it; writes nothing when everything is so already.
    ///
    /// # Errors
    /// `Invalid`/`Reference` naming the first required reference that is not in the repository;
    /// `PreconditionFailed`/`Tag`; `Denied`/`Tag` when a tag would move and may not.
    pub async fn put_manifest(&self, new: NewManifest) -> Result<Stored> {
        match self.put_changes_nothing(new.clone()).await? {
            Some(stored) => Ok(stored),
            None => self.store_manifest(new).await,
        }
    }

    /// Opens an upload session.
    ///
    /// # Errors
    /// `TooManyRequests`/`Upload` when the principal has `max_open` of them.
    pub async fn create_upload(
        &self,
        repository: RepositoryId,
        principal: Arc<str>,
        algorithm: Algorithm,
        expires_at: Millis,
        max_open: u64,
    ) -> Result<Upload> {
        self.insert_upload(UploadId::random(), repository, principal, algorithm, expires_at, max_open)
            .await
    }
}

/// One line for one unit of work: `read` runs on the pool, `write` as one durable transaction.
/// `=>` names the query where it differs from the method.
macro_rules! units {
    ($($(#[$doc:meta])* $vis:vis $mode:ident $method:ident($($arg:ident: $kind:ty),*) -> $result:ty => $query:ident;)*) => {
        impl Catalog {
            $(
                $(#[$doc])*
                $vis async fn $method(&self, $($arg: $kind),*) -> Result<$result> {
                    match &*self.0 {
                        Backend::Lite(lite) => lite.$mode(move |c| lite::queries::$query(c, $(&$arg),*)).await,
                        Backend::Pg(pg) => pg.$mode(move |c| pg::queries::$query(c, $(&$arg),*)).await,
                    }
                }
            )*
        }
    };
}

units! {
    /// The project of that name.
    pub read project(name: ProjectName) -> Option<Project> => project;
    /// Projects by name, after `after`.
    pub read projects(after: Option<String>, limit: usize) -> Vec<Project> => projects;
    /// Makes a project, `owner` its maintainer. `Conflict`/`Project` when it exists.
    pub write create_project(name: ProjectName, public: bool, owner: Option<AccountId>, by: Arc<str>) -> Project => create_project;
    /// Opens a project to everybody, or closes it. `NotFound`/`Project`.
    pub write set_project_public(name: ProjectName, public: bool, by: Arc<str>) -> () => set_project_public;
    /// Gives an account a role. `NotFound`/`Project`, `NotFound`/`Credentials`.
    pub write grant(project: ProjectName, account: String, role: Role, by: Arc<str>) -> () => grant;
    /// Takes an account's role away; whether it had one.
    pub write revoke(project: ProjectName, account: String, by: Arc<str>) -> bool => revoke;
    /// The members of a project, by name.
    pub read members(project: ProjectName) -> Vec<(String, Role)> => members;

    /// The repository of that name.
    pub read repository(name: RepositoryName) -> Option<Repository> => repository;
    write make_repository(name: RepositoryName, format: StorageFormat, owner: Option<AccountId>, by: Arc<str>) -> Repository => make_repository;
    /// Names of repositories that hold something, bytewise, after `after`.
    pub read list_repositories(visible: Visible, after: Option<String>, limit: usize) -> Vec<String> => list_repositories;

    /// A blob as a repository sees it; `None` unless it is linked there.
    pub read blob(repository: RepositoryId, digest: Digest) -> Option<BlobView> => blob;
    /// Extends a link's lease; never shortens it.
    pub write touch_blob(repository: RepositoryId, digest: Digest, lease_until: Millis) -> () => touch_blob;
    /// Makes a verified blob visible and closes its session. `Conflict`/`Upload` when the session was taken over.
    pub write commit_blob(new: NewBlob) -> Committed => commit_blob;
    /// Links a blob that `from` links; `None` when it does not.
    pub write mount_blob(to: RepositoryId, from: RepositoryId, digest: Digest, lease_until: Millis, by: Arc<str>) -> Option<BlobView> => mount_blob;
    /// A visible repository that links the blob.
    pub read find_blob(digest: Digest, visible: Visible) -> Option<RepositoryId> => find_blob;
    /// Takes a blob out of a repository, unless a manifest there names it.
    pub write unlink_blob(repository: RepositoryId, digest: Digest, by: Arc<str>) -> Deleted => unlink_blob;
    /// Of these keys, those that no blob has.
    pub read unknown_keys(keys: Vec<StorageKey>) -> Vec<StorageKey> => unknown_keys;

    write insert_upload(id: UploadId, repository: RepositoryId, principal: Arc<str>, algorithm: Algorithm, expires_at: Millis, max_open: u64) -> Upload => create_upload;
    /// A session of this repository and principal.
    pub read upload(id: UploadId, repository: RepositoryId, principal: Arc<str>) -> Option<Upload> => upload;
    /// Takes a session over: its epoch grows, and older writers are fenced off.
    pub write claim_upload(id: UploadId, repository: RepositoryId, principal: Arc<str>, expires_at: Millis) -> Option<Upload> => claim_upload;
    /// Acknowledges bytes; `false` when the session is gone or has been taken over.
    pub write advance_upload(id: UploadId, epoch: i64, offset: u64, expires_at: Millis) -> bool => advance_upload;
    /// Ends a session; whether there was one.
    pub write delete_upload(id: UploadId, repository: RepositoryId, principal: Arc<str>) -> bool => delete_upload;
    /// Ends expired sessions and names them.
    pub write take_expired_uploads(now: Millis, limit: usize) -> Vec<UploadId> => take_expired_uploads;
    /// Of these, those that are open.
    pub read uploads_exist(ids: Vec<UploadId>) -> HashSet<UploadId> => uploads_exist;

    /// A manifest by tag or digest.
    pub read manifest(repository: RepositoryId, reference: Reference) -> Option<ManifestView> => manifest;
    read put_changes_nothing(new: NewManifest) -> Option<Stored> => put_changes_nothing;
    write store_manifest(new: NewManifest) -> Stored => put_manifest;
    /// Moves a manifest and the tags that point at it to the trash, unless a live index lists it.
    pub write delete_artifact(repository: RepositoryId, digest: Digest, by: Arc<str>) -> Deleted => delete_artifact;
    /// Moves a tag to the trash; whether there was one.
    pub write delete_tag(repository: RepositoryId, tag: Tag, by: Arc<str>) -> bool => delete_tag;
    /// Tags, bytewise, after `after`.
    pub read tags(repository: RepositoryId, after: Option<String>, limit: usize) -> Vec<String> => tags;
    /// What a tag pointed at, newest first.
    pub read tag_history(repository: RepositoryId, tag: Tag, limit: usize) -> Vec<HistoryEntry> => tag_history;
    /// Artifacts whose subject is `subject`, by digest, after `after`.
    pub read referrers(repository: RepositoryId, subject: Digest, artifact_type: Option<String>, after: Option<Digest>, limit: usize) -> Vec<Referrer> => referrers;

    /// Makes an account. `Conflict`/`Credentials` when it exists.
    pub write create_account(name: String, password_hash: String, admin: bool, by: Arc<str>) -> Account => create_account;
    /// Makes the first account of all; `None` when there is any.
    pub write create_first_account(name: String, password_hash: String, admin: bool) -> Option<Account> => create_first_account;
    /// Sets a password; every token of the account is dead. `NotFound`/`Credentials`.
    pub write set_password(name: String, password_hash: String, by: Arc<str>) -> () => set_password;
    /// Switches an account off or on; every token of it is dead. `NotFound`/`Credentials`.
    pub write set_disabled(name: String, disabled: bool, by: Arc<str>) -> () => set_disabled;
    /// The account of that name.
    pub read account(name: String) -> Option<Account> => account;
    /// All accounts, by name.
    pub read accounts() -> Vec<Account> => accounts;
    /// What the gate needs to know of an account.
    pub read account_facts(id: AccountId) -> Option<Arc<AccountFacts>> => account_facts;

    /// The signing keys, newest first.
    pub read signing_keys() -> Vec<SigningKey> => signing_keys;
    /// The signing key in force: `candidate` when there was none.
    pub write ensure_signing_key(candidate: SigningKey) -> SigningKey => ensure_signing_key;
    /// Remembers a refresh token.
    pub write add_refresh_token(token: RefreshToken) -> () => add_refresh_token;
    /// An unexpired refresh token and its account.
    pub read refresh_token(hash: String, now: Millis) -> Option<(RefreshToken, Account)> => refresh_token;
    /// Forgets expired refresh tokens; how many.
    pub write sweep_refresh_tokens(now: Millis) -> u64 => sweep_refresh_tokens;

    /// Events after `after`, none of which an open transaction can still slip in front of.
    pub read events(after: i64, limit: usize) -> Vec<Event> => events;
    /// How far a follower has read; 0 at first.
    pub read cursor(follower: String) -> i64 => cursor;
    /// Records how far a follower has read.
    pub write set_cursor(follower: String, seq: i64) -> () => set_cursor;
}
