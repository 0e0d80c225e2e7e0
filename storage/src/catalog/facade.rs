//! The catalog's face: one async method for one unit of work, whichever database is behind it.
//!
//! What is asked on nearly every request is answered from memory where that is sound (`cache.rs`):
//! the methods that do so stand first, then the list of all others.

use super::cache::{ARTIFACT_TYPE_MAX, Cache};
use super::charts::{AfterUnlisted, Chart, ChartImageView, ChartVersion, ChartsUnder, LateProvenance, MarkChart, Publisher, UnlistedChart};
use super::lite::{self, Lite};
use super::model::*;
use super::pg::{self, Pg};
use super::tus::{NewTusUpload, NewTusWhole, TusUpload};
use crate::access::{Role, Visible};
use crate::blob::{Blob, StorageKey, UploadId};
use crate::clock::Millis;
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::failpoint;
use crate::label::Labels;
use crate::name::{FilePath, ProjectName, Reference, RepositoryName, Tag};
use crate::prefix::Prefix;
use crate::release::Releases;
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
    Lite(Lite, Arc<Cache>),
    /// Other processes write to it too, so nothing is kept.
    Pg(Pg),
}

/// Answers from memory, or asks the database and keeps what it says.
macro_rules! kept {
    ($self:ident, $kind:ident, $key:expr, $read:expr) => {{
        let key = $key;
        let Some(cache) = $self.cache() else { return $read.await };
        if let Some(known) = cache.$kind.get(&key) {
            return Ok(Some(known));
        }
        let ticket = cache.$kind.ticket();
        let found = $read.await?;
        if let Some(value) = &found {
            cache.$kind.keep(key, value.clone(), ticket);
        }
        Ok(found)
    }};
}

impl Catalog {
    /// Opens the database and brings its schema up to date. Blocks; for start-up.
    ///
    /// # Errors
    /// `Internal` when the database cannot be opened or migrated.
    pub fn open(database: &Database, pool_size: u32) -> Result<Self> {
        Ok(Self(Arc::new(match database {
            Database::Sqlite(path) => Backend::Lite(Lite::open(path, pool_size)?, Arc::new(Cache::new())),
            Database::Postgres(url) => Backend::Pg(Pg::open(url, pool_size)?),
        })))
    }

    /// Forgets every answer kept in memory, for tests that write behind its back.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        if let Some(cache) = self.cache() {
            cache.forget_everything();
        }
    }

    fn cache(&self) -> Option<&Cache> {
        match &*self.0 {
            Backend::Lite(_, cache) => Some(cache),
            Backend::Pg(_) => None,
        }
    }

    /// What the gate needs to know of an account.
    pub async fn account_facts(&self, id: AccountId) -> Result<Option<Arc<AccountFacts>>> {
        kept!(self, facts, id, self.read_account_facts(id))
    }

    /// The project of that name.
    pub async fn project(&self, name: ProjectName) -> Result<Option<Project>> {
        kept!(self, projects, name.clone(), self.read_project(name))
    }

    /// The repository of that name.
    pub async fn repository(&self, name: RepositoryName) -> Result<Option<Repository>> {
        kept!(self, repositories, name.clone(), self.read_repository(name))
    }

    /// A blob as a repository sees it; `None` unless it is linked there.
    pub async fn blob(&self, repository: RepositoryId, digest: Digest) -> Result<Option<BlobView>> {
        kept!(self, blobs, (repository, digest), self.read_blob(repository, digest))
    }

    /// A file by its path; `None` unless its bytes are linked in the repository. Of one that is damaged, everybody who
    /// stores the same bytes anywhere may mend it at any time.
    pub async fn file(&self, repository: RepositoryId, path: FilePath) -> Result<Option<FileView>> {
        let Some(cache) = self.cache() else {
            return self.read_file(repository, path).await;
        };
        let key = (repository, path);
        if let Some(known) = cache.files.get(&key) {
            return Ok(Some(known));
        }
        let ticket = cache.files.ticket();
        let found = self.read_file(repository, key.1.clone()).await?;
        if let Some(view) = found.as_ref().filter(|view| view.sums.is_some() && !view.damaged) {
            cache.files.keep(key, view.clone(), ticket);
        }
        Ok(found)
    }

    /// A manifest by tag or digest.
    pub async fn manifest(&self, repository: RepositoryId, reference: Reference) -> Result<Option<ManifestView>> {
        let Some(cache) = self.cache() else {
            return self.read_manifest(repository, reference).await;
        };
        let (tag, digest) = match &reference {
            Reference::Digest(digest) => (None, Some(*digest)),
            Reference::Tag(tag) => {
                let tag = (repository, tag.clone());
                match cache.tags.get(&tag) {
                    Some(None) => return Ok(None),
                    known => (Some(tag), known.flatten()),
                }
            }
        };
        if let Some(view) = digest.and_then(|digest| cache.manifests.get(&(repository, digest))) {
            return Ok(Some(view));
        }
        let (tags, manifests) = (cache.tags.ticket(), cache.manifests.ticket());
        let found = self.read_manifest(repository, reference).await?;
        if let Some(view) = &found {
            cache.keep_manifest((repository, view.digest), view, manifests);
        }
        if let Some(tag) = tag {
            cache.tags.keep(tag, found.as_ref().map(|view| view.digest), tags);
        }
        Ok(found)
    }

    /// Artifacts whose subject is `subject`, by digest, after `after`: `limit` of them at most, whose descriptors have
    /// `max_bytes` at most, unless the first alone has more.
    pub async fn referrers(
        &self,
        repository: RepositoryId,
        subject: Digest,
        artifact_type: Option<String>,
        after: Option<Digest>,
        limit: usize,
        max_bytes: u64,
    ) -> Result<Arc<Referrers>> {
        let read = async || {
            let (list, more) = self
                .read_referrers(repository, subject, artifact_type.clone(), after, limit, max_bytes)
                .await?;
            Ok(Arc::new(Referrers {
                list,
                more,
                ..Referrers::default()
            }))
        };
        let Some(cache) = self.cache() else {
            return read().await;
        };
        // Whoever asks for ever other types must not fill the memory with their names.
        if artifact_type.as_ref().is_some_and(|text| text.len() > ARTIFACT_TYPE_MAX) {
            return read().await;
        }
        let page = (repository, subject, artifact_type.clone(), after, limit, max_bytes);
        if let Some(known) = cache.referrers.get(&page) {
            return Ok(known);
        }
        let ticket = cache.referrers.ticket();
        let found: Arc<Referrers> = read().await?;
        cache.referrers.keep(page, found.clone(), ticket);
        Ok(found)
    }

    /// Moves a manifest and the tags that point at it to the trash, unless a live index lists it.
    pub async fn delete_artifact(&self, repository: RepositoryId, digest: Digest, by: Arc<str>) -> Result<Deleted> {
        self.trash_artifact(repository, digest, by).await.map(|(deleted, _)| deleted)
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
    /// `PreconditionFailed`/`Tag`; `Denied`/`Tag` when a tag would move and may not; `Conflict`/`Tag` when it is that of a
    /// published chart; `Conflict`/`Reference` when something refers to the only manifest it may take the place of.
    pub async fn put_manifest(&self, new: NewManifest) -> Result<Stored> {
        let new = Arc::new(new);
        match self.put_changes_nothing(new.clone()).await? {
            Some(stored) => {
                // What this read saw may have been committed a moment ago and not yet be forgotten here.
                if let Some(cache) = self.cache() {
                    cache.forget_unless_pushed(&new);
                }
                Ok(stored)
            }
            None => {
                let stored = self.store_manifest(new).await?;
                failpoint::hit("manifest.committed")?;
                Ok(stored)
            }
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

/// What a write must survive before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    /// Everything: what a client may rely on.
    PowerCut,
    /// The end of the process. For what costs a client a retry when it is lost, and nothing else.
    Process,
}

/// One line for one unit of work: `read` runs on the pool, `write` as one durable transaction, `note` as one that
/// survives the process but not a power cut.
/// `=>` names the query; `forgets` says what of the cache the write makes doubtful. It runs after the commit,
/// whatever came of it, and before the answer.
macro_rules! units {
    ($($(#[$doc:meta])* $vis:vis $mode:ident $method:ident($($arg:ident: $kind:ty),*) -> $result:ty => $query:ident
        $(forgets |$cache:ident, $done:pat_param| $forget:expr)?;)*) => {
        impl Catalog {
            $(
                $(#[$doc])*
                $vis async fn $method(&self, $($arg: $kind),*) -> Result<$result> {
                    match &*self.0 {
                        Backend::Lite(lite, _cache) => {
                            units!(@$mode lite, $query($($arg),*) -> $result $(, _cache |$cache, $done| $forget)?)
                        }
                        Backend::Pg(pg) => pg.$mode(move |c| pg::queries::$query(c, $(&$arg),*)).await,
                    }
                }
            )*
        }
    };
    (@read $lite:ident, $query:ident($($arg:ident),*) -> $result:ty) => {
        $lite.read(move |c| lite::queries::$query(c, $(&$arg),*)).await
    };
    (@write $lite:ident, $query:ident($($arg:ident),*) -> $result:ty) => {
        $lite.write(move |c| lite::queries::$query(c, $(&$arg),*)).await
    };
    (@note $lite:ident, $query:ident($($arg:ident),*) -> $result:ty) => {
        $lite.write_then(Survives::Process, move |c| lite::queries::$query(c, $(&$arg),*), |_| ()).await
    };
    (@write $lite:ident, $query:ident($($arg:ident),*) -> $result:ty, $kept:ident |$cache:ident, $done:pat_param| $forget:expr) => {{
        let forget = {
            let $cache = $kept.clone();
            $(#[allow(unused_variables, reason = "not every argument says what to forget")] let $arg = $arg.clone();)*
            move |$done: &Result<$result>| { $forget; }
        };
        $lite.write_then(Survives::PowerCut, move |c| lite::queries::$query(c, $(&$arg),*), forget).await
    }};
}

units! {
    read read_project(name: ProjectName) -> Option<Project> => project;
    /// Projects by name, after `after`.
    pub read projects(after: Option<String>, limit: usize) -> Vec<Project> => projects;
    /// Makes a project, `owner` its maintainer. `Conflict`/`Project` when it exists.
    pub write create_project(name: ProjectName, public: bool, owner: Option<AccountId>, by: Arc<str>) -> Project => create_project
        forgets |cache, _| cache.facts.forget_all();
    /// Opens a project to everybody, or closes it. `NotFound`/`Project`.
    pub write set_project_public(name: ProjectName, public: bool, by: Arc<str>) -> () => set_project_public
        forgets |cache, _| cache.projects.forget(&name);
    /// Lets published chart versions be replaced in a project, or lets them stay as they are. `NotFound`/`Project`.
    pub write set_mutable_versions(name: ProjectName, mutable: bool, by: Arc<str>) -> () => set_mutable_versions
        forgets |cache, _| cache.projects.forget(&name);
    /// Has the files of a project keep their content, or be as who may overwrite wants them. `NotFound`/`Project`.
    pub write set_immutable_files(name: ProjectName, immutable: bool, by: Arc<str>) -> () => set_immutable_files
        forgets |cache, _| cache.projects.forget(&name);
    /// Gives an account a role. `NotFound`/`Project`, `NotFound`/`Credentials`.
    pub write grant(project: ProjectName, account: String, role: Role, by: Arc<str>) -> () => grant
        forgets |cache, _| cache.facts.forget_all();
    /// Takes an account's role away; whether it had one.
    pub write revoke(project: ProjectName, account: String, by: Arc<str>) -> bool => revoke
        forgets |cache, _| cache.facts.forget_all();
    /// The members of a project, by name.
    pub read members(project: ProjectName) -> Vec<(String, Role)> => members;

    read read_repository(name: RepositoryName) -> Option<Repository> => repository;
    write make_repository(name: RepositoryName, format: StorageFormat, owner: Option<AccountId>, by: Arc<str>) -> Repository => make_repository
        forgets |cache, _| cache.facts.forget_all();
    /// Names of repositories that hold something (of one format, where it is named), bytewise, after `after`.
    pub read list_repositories(visible: Visible, format: Option<StorageFormat>, after: Option<String>, limit: usize) -> Vec<String> => list_repositories;

    read read_blob(repository: RepositoryId, digest: Digest) -> Option<BlobView> => blob;
    /// Extends a link's lease; never shortens it.
    pub write touch_blob(repository: RepositoryId, digest: Digest, lease_until: Millis) -> () => touch_blob
        forgets |cache, _| cache.blobs.forget(&(repository, digest));
    /// Makes a verified blob visible and closes its session. `Conflict`/`Upload` when the session has been closed.
    pub write commit_blob(new: NewBlob) -> Committed => commit_blob
        forgets |cache, _| cache.blobs.forget(&(new.repository, new.blob.blob().digest));
    /// Sets a damaged blob aside, everywhere: it is absent until it is pushed again.
    pub write quarantine_blob(damaged: Blob) -> bool => quarantine_blob
        forgets |cache, _| cache.forget_blobs();
    /// Links a blob that `from` links; `None` when it does not.
    pub write mount_blob(to: RepositoryId, from: RepositoryId, digest: Digest, lease_until: Millis, by: Arc<str>) -> Option<BlobView> => mount_blob
        forgets |cache, _| cache.blobs.forget(&(to, digest));
    /// A visible repository that links the blob.
    pub read find_blob(digest: Digest, visible: Visible) -> Option<RepositoryId> => find_blob;
    /// Takes a blob out of a repository, unless a manifest there names it.
    pub write unlink_blob(repository: RepositoryId, digest: Digest, by: Arc<str>) -> Deleted => unlink_blob
        forgets |cache, _| cache.blobs.forget(&(repository, digest));
    /// Of these keys, those that no blob has.
    pub read unknown_keys(keys: Vec<StorageKey>) -> Vec<StorageKey> => unknown_keys;

    note insert_upload(id: UploadId, repository: RepositoryId, principal: Arc<str>, algorithm: Algorithm, expires_at: Millis, max_open: u64) -> Upload => create_upload;
    /// A session of this repository and principal.
    pub read upload(id: UploadId, repository: RepositoryId, principal: Arc<str>) -> Option<Upload> => upload;
    /// Takes a session over: its epoch grows, and older writers are fenced off.
    pub note claim_upload(id: UploadId, repository: RepositoryId, principal: Arc<str>, expires_at: Millis) -> Option<Upload> => claim_upload;
    /// The same for the request that has it; `None` when it is gone or has been taken over.
    pub note reclaim_upload(id: UploadId, epoch: i64, expires_at: Millis) -> Option<Upload> => reclaim_upload;
    /// Acknowledges bytes; `false` when the session is gone or has been taken over.
    pub note advance_upload(id: UploadId, epoch: i64, offset: u64, expires_at: Millis) -> bool => advance_upload;
    /// Ends a session; whether there was one.
    pub note delete_upload(id: UploadId, repository: RepositoryId, principal: Arc<str>) -> bool => delete_upload;
    /// Ends a session for the request that holds it; `false` when it is gone or has been taken over.
    pub note close_upload(id: UploadId, epoch: i64) -> bool => close_upload;
    /// Ends expired sessions and names them.
    pub note take_expired_uploads(now: Millis, limit: usize) -> Vec<UploadId> => take_expired_uploads;
    /// Of these, those that are open.
    pub read uploads_exist(ids: Vec<UploadId>) -> HashSet<UploadId> => uploads_exist;

    read read_manifest(repository: RepositoryId, reference: Reference) -> Option<ManifestView> => manifest;
    read put_changes_nothing(new: Arc<NewManifest>) -> Option<Stored> => put_changes_nothing;
    write store_manifest(new: Arc<NewManifest>) -> Stored => put_manifest
        forgets |cache, _| cache.forget_pushed(&new);
    write trash_artifact(repository: RepositoryId, digest: Digest, by: Arc<str>) -> (Deleted, Vec<Tag>) => delete_artifact
        forgets |cache, done| cache.forget_artifact(repository, digest, done.as_ref().map_or(&[], |(_, tags)| tags));
    /// Moves a tag to the trash; whether there was one.
    pub write delete_tag(repository: RepositoryId, tag: Tag, by: Arc<str>) -> bool => delete_tag
        forgets |cache, _| cache.tags.forget(&(repository, tag));
    /// Tags, bytewise, after `after`; those of yanked versions not among them.
    pub read tags(repository: RepositoryId, after: Option<String>, limit: usize) -> Vec<String> => tags;
    /// What a tag pointed at, newest first.
    pub read tag_history(repository: RepositoryId, tag: Tag, limit: usize) -> Vec<HistoryEntry> => tag_history;
    read read_referrers(repository: RepositoryId, subject: Digest, artifact_type: Option<String>, after: Option<Digest>, limit: usize, max_bytes: u64) -> (Vec<Referrer>, bool) => referrers;

    /// Every blob by digest, after `after`.
    pub read check_blobs(after: Option<Digest>, limit: usize) -> Vec<BlobCheck> => check_blobs;
    /// Every live artifact, with what it needs and its repository lacks.
    pub read check_artifacts(after: Option<(RepositoryId, Digest)>, limit: usize) -> Vec<ArtifactCheck> => check_artifacts;
    /// Every live tag.
    pub read check_versions(after: Option<(RepositoryId, String)>, limit: usize) -> Vec<VersionCheck> => check_versions;
    /// Every open upload.
    pub read check_uploads(after: Option<UploadId>, limit: usize) -> Vec<Upload> => check_uploads;
    /// What the database finds wrong with its own files.
    pub read check_database() -> Vec<String> => check_database;

    /// Makes an account. `Conflict`/`Credentials` when it exists.
    pub write create_account(name: String, password_hash: String, admin: bool, by: Arc<str>) -> Account => create_account;
    /// Makes the first account of all; `None` when there is any.
    pub write create_first_account(name: String, password_hash: String, admin: bool) -> Option<Account> => create_first_account;
    /// Sets a password; every token of the account is dead. `NotFound`/`Credentials`.
    pub write set_password(name: String, password_hash: String, by: Arc<str>) -> () => set_password
        forgets |cache, _| cache.facts.forget_all();
    /// Switches an account off or on; every token of it is dead. `NotFound`/`Credentials`.
    pub write set_disabled(name: String, disabled: bool, by: Arc<str>) -> () => set_disabled
        forgets |cache, _| cache.facts.forget_all();
    /// The account of that name.
    pub read account(name: String) -> Option<Account> => account;
    /// All accounts, by name.
    pub read accounts() -> Vec<Account> => accounts;
    read read_account_facts(id: AccountId) -> Option<Arc<AccountFacts>> => account_facts;

    /// The signing keys, newest first.
    pub read signing_keys() -> Vec<SigningKey> => signing_keys;
    /// The signing key in force: `candidate` when there was none.
    pub write ensure_signing_key(candidate: SigningKey) -> SigningKey => ensure_signing_key;
    /// Remembers a refresh token. Its account has at most `max` then: the oldest go.
    pub write add_refresh_token(token: RefreshToken, max: u64) -> () => add_refresh_token;
    /// An unexpired refresh token and its account.
    pub read refresh_token(hash: String, now: Millis) -> Option<(RefreshToken, Account)> => refresh_token;
    /// Forgets expired refresh tokens; how many.
    pub note sweep_refresh_tokens(now: Millis) -> u64 => sweep_refresh_tokens;

    /// Events after `after`, none of which an open transaction can still slip in front of.
    pub read events(after: i64, limit: usize) -> Vec<Event> => events;
    /// How far a follower has read; 0 at first.
    pub read cursor(follower: String) -> i64 => cursor;
    /// Records how far a follower has read.
    pub note set_cursor(follower: String, seq: i64) -> () => set_cursor;

    read read_file(repository: RepositoryId, path: FilePath) -> Option<FileView> => file;
    /// Those of these files that are there, bytewise by their paths.
    pub read files(repository: RepositoryId, paths: Vec<FilePath>) -> Vec<FileView> => files_at;
    /// What the date of a file that was last changed at `updated_at` says.
    pub read file_changed(repository: RepositoryId, path: FilePath, updated_at: Millis) -> Changed => file_changed;
    /// What storing a file at a path would meet.
    pub read file_place(repository: RepositoryId, path: FilePath) -> FilePlace => file_place;
    /// What a folder holds directly (the whole repository for `None`), bytewise by marker, after `after`.
    pub read list_files(repository: RepositoryId, folder: Option<FilePath>, after: Option<String>, limit: usize) -> Vec<FolderEntry> => list_files;
    /// The files of a folder and of all folders below it (of the whole repository for `None`), bytewise by their paths
    /// from there, after `after`.
    pub read list_files_below(repository: RepositoryId, folder: Option<FilePath>, after: Option<String>, limit: usize) -> Vec<FolderEntry> => list_files_below;
    /// Stores a file under its path; changes nothing when it is there already. `PreconditionFailed`/`File`;
    /// `Conflict`/`File` when a file would have to be a folder, or when the path may not be overwritten;
    /// `Conflict`/`Blob` when the bytes are not linked in the repository; `NotFound`/`Blob` when its source holds them no more.
    pub write put_file(new: Arc<NewFile>) -> FileStored => put_file
        forgets |cache, _| cache.forget_file(&new);
    /// Changes the labels of a file; what they are then, or `None` when there is no such file. `PreconditionFailed`/`File`;
    /// `Invalid`/`Request` when there would be too many.
    pub write label_file(at: Arc<RelabelFile>) -> Option<Labels> => label_file
        forgets |cache, _| cache.files.forget(&(at.repository, at.path.clone()));
    /// The newest of these releases that holds a file, pre-releases among them where `pre` says so.
    pub read newest_release(repository: RepositoryId, among: Releases, pre: bool) -> Option<String> => newest_release;
    /// Of these releases those that hold a file, pre-releases too, the newest first.
    pub read releases(repository: RepositoryId, among: Releases, limit: usize) -> Vec<ReleaseEntry> => releases;
    /// Content that is here and that may be read, in `limit` of the places that hold it in something live.
    pub read held(digest: Digest, visible: Visible, limit: usize) -> Option<HeldContent> => held;
    /// Moves a file to the trash; whether there was one. `PreconditionFailed`/`File`.
    pub write delete_file(repository: RepositoryId, path: FilePath, condition: Condition, by: Arc<str>) -> bool => delete_file
        forgets |cache, _| cache.files.forget(&(repository, path));

    /// Remembers what a session's bytes are to become.
    pub note add_tus_upload(new: NewTusUpload) -> () => add_tus_upload;
    /// Remembers that a session is to become what its parts are together, and opens it. The same parts with the same
    /// metadata are the same upload, if it is there already. `NotFound`/`Upload` for a part that is not known to the
    /// principal in this repository; `Invalid`/`Upload` for what is no part; `PreconditionFailed`/`Upload` for one that
    /// has not all its bytes, or belongs to another whole; `TooLarge`/`File`; `TooManyRequests`/`Upload`.
    pub note join_tus_uploads(new: Arc<NewTusWhole>) -> TusUpload => join_tus_uploads;
    /// The parts of an upload that is made of such, in their order, with their lengths.
    pub read tus_parts(id: UploadId) -> Vec<(UploadId, u64)> => tus_parts;
    /// What an upload of this principal is to become, or became.
    pub read tus_upload(id: UploadId, principal: Arc<str>) -> Option<TusUpload> => tus_upload;
    /// Says how long an upload will be that began without a length; whether it had none.
    pub note settle_tus_length(id: UploadId, length: u64) -> bool => settle_tus_length;
    /// Stores the file of an upload and remembers that this is done, for its parts too, whose sessions end; `None` when
    /// it was done before. `NotFound`/`Upload` when it was cancelled; else as [`Catalog::put_file`].
    pub write land_tus_file(id: UploadId, new: Arc<NewFile>) -> Option<FileStored> => land_tus_file
        forgets |cache, _| cache.forget_file(&new);
    /// Remembers that an upload came to its end without a file of its own.
    pub note finish_tus_upload(id: UploadId) -> () => finish_tus_upload;
    /// Forgets an upload; its parts are free for another.
    pub note forget_tus_upload(id: UploadId) -> () => forget_tus_upload;
    /// Forgets the uploads whose time and session are over; how many.
    pub note sweep_tus_uploads(now: Millis) -> u64 => sweep_tus_uploads;

    /// What is listed under a prefix, or how it differs from what was at the generation `since`.
    pub read charts_under(prefix: Prefix, since: Option<i64>) -> ChartsUnder => charts_under;
    /// The charts that a repository lists, the yanked ones not among them.
    pub read charts_of(repository: RepositoryId) -> Vec<Chart> => charts_of;
    /// A chart by the name of its file, where it is visible; a yanked one, too.
    pub read chart_by_file(prefix: Prefix, file: String, visible: Visible) -> Option<(Repository, Chart)> => chart_by_file;
    /// The chart that a tag points at, or pointed at when it was deleted.
    pub read chart_version(repository: RepositoryId, tag: Tag) -> Option<ChartVersion> => chart_version;
    /// Yanks or deprecates a version, or takes that back; the chart as it is then, or `None` when there is no such version.
    pub write mark_chart(new: Arc<MarkChart>) -> Option<Chart> => mark_chart
        forgets |cache, _| cache.manifests.forget_all();
    /// Keeps a provenance beside the manifest of its chart. `Conflict`/`Tag` when the tag points at another manifest by now,
    /// at none, or at one with another provenance than the one whose place it takes; `Conflict`/`Blob` when the bytes are not linked in the repository.
    pub write keep_provenance(new: Arc<LateProvenance>) -> () => keep_provenance;
    /// What says that it holds a chart, lies directly under a prefix and is not listed there: by repository and digest,
    /// after `after`.
    pub read unlisted_under(prefix: Prefix, visible: Visible, after: Option<AfterUnlisted>, limit: usize) -> Vec<UnlistedChart> => unlisted_under;
    /// Why a manifest that says it holds a chart is in no chart repository; `None` when that is not so.
    pub read chart_unlisted(repository: RepositoryId, digest: Digest) -> Option<String> => chart_unlisted;
    /// The images that the chart in a manifest says it runs, in its order, and what of them is here and visible, in a
    /// registry that its users know as `host`.
    pub read chart_images(repository: RepositoryId, digest: Digest, host: Option<Arc<str>>, visible: Visible) -> Vec<ChartImageView> => chart_images;
    /// The labels of a live tag.
    pub read tag_labels(repository: RepositoryId, tag: Tag) -> Option<Labels> => tag_labels;
    /// The file that says who publishes what lies under a prefix.
    pub read publisher(prefix: Prefix) -> Option<Publisher> => publisher;
    /// Stores that file, which belongs to the project `owner`; whether there was none before. `NotFound`/`Project`.
    pub write put_publisher(prefix: Prefix, owner: ProjectName, content: Vec<u8>, by: Arc<str>) -> bool => put_publisher;
    /// Removes that file; whether there was one.
    pub write delete_publisher(prefix: Prefix, by: Arc<str>) -> bool => delete_publisher;
}
