//! The one upload engine: sessions that survive a disconnect, a restart and a
//! change of process, for every protocol that uploads in pieces.
//!
//! It joins the blob store and the catalog in the order of DESIGN §5.1: bytes are
//! durable before a row names them, and the row is durable before anybody hears of it.
//! A session belongs to one repository and one principal. A newer request on it takes
//! it over, and what the older one still wants to write is refused.

use crate::blob::{BlobStore, BlobWriter, UploadId};
use crate::catalog::{AccountId, Catalog, Committed, NewBlob, RepositoryId, StorageFormat, Upload};
use crate::clock;
use crate::digest::{Algorithm, Digest};
pub use crate::ending::Running;
use crate::ending::{Ending, Finished};
use crate::error::{Error, ErrorKind, Result, What};
use crate::failpoint;
use crate::limits::Limits;
use crate::name::RepositoryName;
use crate::sums::{FileSums, Promised};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use turns::Turns;

mod acknowledge;
mod join;
mod rescue;
mod turns;

/// Bytes of one stream after which free space is looked at again.
const CHECK_EVERY: u64 = 64 * 1024 * 1024;

/// The repository that a blob is to be linked in.
#[derive(Clone, Debug)]
pub enum Home {
    /// It is there.
    Existing(RepositoryId),
    /// It is made once the bytes are proved: what is refused leaves no repository behind.
    ToBeMade {
        /// Its name.
        name: RepositoryName,
        /// What it holds.
        format: StorageFormat,
        /// Who becomes the project's maintainer, should that be made too.
        owner: Option<AccountId>,
    },
    /// Only the bytes will tell; [`Writing::settle`] says it before they become a blob.
    Undecided,
}

impl From<RepositoryId> for Home {
    fn from(id: RepositoryId) -> Self {
        Self::Existing(id)
    }
}

/// An upload that has become a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The repository that links it.
    pub repository: RepositoryId,
    /// The blob's digest.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// The checksums, where [`Writing::with_sums`] asked for them.
    pub sums: Option<FileSums>,
}

/// Opens, continues and ends uploads.
#[derive(Clone)]
pub struct Uploads {
    blobs: Arc<dyn BlobStore>,
    catalog: Catalog,
    limits: Arc<Limits>,
    ending: Arc<Ending>,
    /// The right to join parts, which reads and writes all of their bytes.
    joins: Arc<Semaphore>,
    turns: Arc<Turns>,
}

impl Uploads {
    /// An engine over a store and a catalog.
    pub fn new(blobs: Arc<dyn BlobStore>, catalog: Catalog, limits: Arc<Limits>) -> Self {
        Self {
            joins: Arc::new(Semaphore::new(limits.upload_joins)),
            blobs,
            catalog,
            limits,
            ending: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// `TooManyRequests`/`Upload` when `by` has as many open as [`Limits::uploads_per_principal`] allows;
    /// `StorageFull` when less than [`Limits::storage_reserve`] is free.
    pub async fn begin(&self, repository: RepositoryId, by: Arc<str>, algorithm: Algorithm) -> Result<Upload> {
        self.check_space().await?;
        self.catalog
            .create_upload(repository, by, algorithm, self.expiry(), self.limits.uploads_per_principal)
            .await
    }

    /// Where a session stands. [`Upload::offset`] is what has been acknowledged and is still there.
    ///
    /// # Errors
    /// `NotFound`/`Upload` when there is none of that id for this repository and principal.
    pub async fn status(&self, id: UploadId, repository: RepositoryId, by: Arc<str>) -> Result<Upload> {
        self.ending.settled(id).await;
        let mut session = self.catalog.upload(id, repository, by.clone()).await?.ok_or_else(unknown)?;
        if session.offset > 0 {
            match self.blobs.upload_size(id).await? {
                Some(held) => session.offset = session.offset.min(held),
                None => return Err(self.without_bytes(&session).await?),
            }
        }
        Ok(session)
    }

    /// Takes a session from whoever writes it, and tells where it stands, as [`Uploads::status`] does. Reads none of its
    /// bytes, and needs no room.
    ///
    /// # Errors
    /// As [`Uploads::status`].
    pub async fn evict(&self, id: UploadId, repository: RepositoryId, by: Arc<str>) -> Result<Upload> {
        let _turn = self.turn(id).await;
        let claimed = self.catalog.claim_upload(id, repository, by.clone(), self.expiry()).await?;
        let mut session = claimed.ok_or_else(unknown)?;
        self.blobs.fence(id).await?;
        match self.blobs.upload_size(id).await? {
            Some(held) => session.offset = session.offset.min(held),
            None => self.check_unwritten(&session).await?,
        }
        Ok(session)
    }

    /// Says that a session is being brought to its end, until what is given is dropped: who asks for it meanwhile waits,
    /// rather than taking it over. Only for who writes it.
    #[must_use]
    pub fn bring_to_end(&self, id: UploadId) -> Running {
        self.ending.begin(id)
    }

    /// Takes a session over and goes on writing it where it stands.
    ///
    /// # Errors
    /// As [`Uploads::status`]; `StorageFull` when less than [`Limits::storage_reserve`] is free.
    pub async fn open(&self, id: UploadId, repository: RepositoryId, by: Arc<str>) -> Result<Writing> {
        self.check_space().await?;
        self.take_over(id, repository, by).await
    }

    /// The same for who has nothing to add, and so needs no room.
    ///
    /// # Errors
    /// As [`Uploads::status`].
    pub async fn take_over(&self, id: UploadId, repository: RepositoryId, by: Arc<str>) -> Result<Writing> {
        let _turn = self.turn(id).await;
        let mut session = self
            .catalog
            .claim_upload(id, repository, by, self.expiry())
            .await?
            .ok_or_else(unknown)?;
        // The first claim finds no file; any later one may find bytes that were never acknowledged.
        let writer = if session.epoch == 1 {
            self.blobs.begin(id, session.algorithm).await?
        } else {
            match self.blobs.resume(id, session.algorithm, session.offset).await {
                Err(error) if error.is_not_found() => self.begin_again(&session).await?,
                resumed => resumed?,
            }
        };
        // A power cut may have taken acknowledged bytes that were not yet durable.
        session.offset = writer.offset();
        Ok(Writing {
            engine: self.clone(),
            writer,
            home: repository.into(),
            by: session.principal.clone(),
            session: Some(session),
            remembered: false,
            unchecked: 0,
        })
    }

    /// Waits until nobody brings the session to its end and nobody else is claiming it.
    async fn turn(&self, id: UploadId) -> OwnedMutexGuard<()> {
        loop {
            // Not while it has the turn: who joins parts ends the session first, and then claims it.
            self.ending.settled(id).await;
            let turn = self.turns.take(id).await;
            if !self.ending.is_running(id) {
                return turn;
            }
        }
    }

    /// Another writer for a session without a file.
    async fn begin_again(&self, session: &Upload) -> Result<Box<dyn BlobWriter>> {
        self.check_unwritten(session).await?;
        self.blobs.begin(session.id, session.algorithm).await
    }

    /// That a session which was claimed, and has no file, never had one.
    async fn check_unwritten(&self, session: &Upload) -> Result<()> {
        // A request that began before this one may just have made a blob of it.
        self.ending.settled(session.id).await;
        let (id, repository, by) = (session.id, session.repository, session.principal.clone());
        if self.catalog.upload(id, repository, by.clone()).await?.is_none() {
            return Err(unknown());
        }
        if session.offset > 0 {
            return Err(self.without_bytes(session).await?);
        }
        Ok(())
    }

    /// Starts an upload of one request, which leaves no session behind.
    ///
    /// # Errors
    /// `StorageFull` when less than [`Limits::storage_reserve`] is free.
    pub async fn single(&self, home: impl Into<Home>, by: Arc<str>, algorithm: Algorithm) -> Result<Writing> {
        self.check_space().await?;
        let writer = self.blobs.begin(UploadId::random(), algorithm).await?;
        Ok(Writing {
            engine: self.clone(),
            writer,
            home: home.into(),
            by,
            session: None,
            remembered: false,
            unchecked: 0,
        })
    }

    /// The blob that a session became, when it was finished a short while ago: a client that did not hear the answer asks again.
    pub fn finished(&self, id: UploadId, repository: RepositoryId, by: &str) -> Option<Digest> {
        let ended = self.ending.finished(id)?;
        (ended.repository == repository && *ended.by == *by).then_some(ended.digest)
    }

    /// Ends a session and throws its bytes away.
    ///
    /// # Errors
    /// As [`Uploads::status`].
    pub async fn cancel(&self, id: UploadId, repository: RepositoryId, by: Arc<str>) -> Result<()> {
        if !self.catalog.delete_upload(id, repository, by).await? {
            return Err(unknown());
        }
        self.blobs.discard(id).await
    }

    /// Whether there is room for more.
    ///
    /// # Errors
    /// `StorageFull` when less than [`Limits::storage_reserve`] is free.
    pub async fn check_space(&self) -> Result<()> {
        match self.blobs.free_space().await? {
            Some(free) if free < self.limits.storage_reserve => Err(Error::storage_full()),
            _ => Ok(()),
        }
    }

    fn expiry(&self) -> clock::Millis {
        clock::now() + clock::millis(self.limits.upload_expiry)
    }
}

/// The error of an upload that is not there: `NotFound`/`Upload`.
pub fn unknown() -> Error {
    Error::not_found(
        What::Upload,
        "there is no such upload; it may have expired, been completed or been cancelled",
    )
}

fn taken_over() -> Error {
    Error::new(ErrorKind::Conflict, What::Upload, "another request has taken this upload over")
}

/// An upload while a request writes to it.
///
/// Dropped without [`Writing::park`] or [`Writing::finish`], a session keeps what was acknowledged before.
pub struct Writing {
    engine: Uploads,
    writer: Box<dyn BlobWriter>,
    home: Home,
    by: Arc<str>,
    session: Option<Upload>,
    /// Whether the upload by tus of the session is told what it became.
    remembered: bool,
    /// Bytes since free space was last looked at.
    unchecked: u64,
}

impl Writing {
    /// Bytes held so far.
    pub fn offset(&self) -> u64 {
        self.writer.offset()
    }

    /// Computes the checksums that files are compared by, in the same pass as the digest.
    ///
    /// # Errors
    /// Those of reading back what earlier requests brought.
    pub async fn with_sums(&mut self) -> Result<()> {
        self.writer.with_sums().await
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// `TooLarge`/`Blob` over [`Limits::blob_bytes`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let limit = self.engine.limits.blob_bytes;
        if self.writer.offset().saturating_add(chunk.len() as u64) > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                What::Blob,
                format!("the blob is larger than the limit of {limit} bytes"),
            ));
        }
        // A long stream must not eat up what the database needs.
        self.unchecked += chunk.len() as u64;
        if self.unchecked >= CHECK_EVERY {
            self.unchecked = 0;
            self.engine.check_space().await?;
        }
        self.writer.write(chunk).await
    }

    /// Says where the blob is to be linked, for an upload that began without knowing.
    pub fn settle(&mut self, home: impl Into<Home>) {
        self.home = home.into();
    }

    /// Has the upload by tus of this session remember which blob it becomes: there is a file to be made of it then, and
    /// should that fail, who asks again goes on from there.
    pub fn remember(&mut self) {
        self.remembered = true;
    }

    /// Stops writing and acknowledges what was taken in; gives the offset.
    ///
    /// # Errors
    /// `Conflict`/`Upload` when another request has taken the session over.
    pub async fn park(self) -> Result<u64> {
        let Some(session) = self.session else {
            self.writer.abort().await?;
            return Ok(0);
        };
        let offset = self.writer.park().await?;
        if !self
            .engine
            .catalog
            .advance_upload(session.id, session.epoch, offset, self.engine.expiry())
            .await?
        {
            return Err(taken_over());
        }
        Ok(offset)
    }

    /// Stops writing and keeps nothing beyond what had been acknowledged before;
    /// an upload of one request is thrown away.
    pub async fn give_up(self) -> Result<()> {
        if self.session.is_none() {
            return self.writer.abort().await;
        }
        // A writer that has failed cannot park, and need not: the next request cuts off what was not acknowledged.
        let _ = self.writer.park().await;
        Ok(())
    }

    /// Proves the digest, makes the bytes durable, and links the blob into the repository.
    ///
    /// # Errors
    /// `DigestMismatch`/`Digest`: the session is closed with it, since its bytes can never become that blob.
    /// `Conflict`/`Upload` when another request has taken the session over.
    pub async fn finish(self, expected: &Digest) -> Result<u64> {
        self.complete((*expected).into()).await.map(|landed| landed.size)
    }

    /// As [`Writing::finish`], where any digest will do unless one was promised.
    ///
    /// # Errors
    /// As [`Writing::finish`].
    pub async fn complete(self, promised: Promised) -> Result<Landed> {
        let running = self.session.as_ref().map(|session| self.engine.ending.begin(session.id));
        // On a task of its own: a client that hangs up must not stop the work between the bytes and the row.
        let work = tokio::spawn(async move {
            let by = self.by.clone();
            let landed = self.complete_now(&promised).await?;
            if let Some(running) = &running {
                let (repository, digest) = (landed.repository, landed.digest);
                running.finished(Finished { repository, by, digest });
            }
            Ok(landed)
        });
        work.await.map_err(Error::internal)?
    }

    async fn complete_now(self, promised: &Promised) -> Result<Landed> {
        let Self {
            engine,
            writer,
            home,
            by,
            session,
            remembered,
            ..
        } = self;
        let blob = match writer.seal(promised).await {
            Ok(blob) => blob,
            Err(error) => {
                // A session that another request has taken over is that one's to close.
                if let Some(session) = session.filter(|_| error.kind() != ErrorKind::Conflict) {
                    engine.catalog.close_upload(session.id, session.epoch).await?;
                }
                return Err(error);
            }
        };
        let repository = match home {
            Home::Existing(id) => id,
            Home::Undecided => {
                engine.blobs.delete(blob.key()).await?;
                return Err(Error::internal("nobody said where the blob belongs"));
            }
            Home::ToBeMade { name, format, owner } => match engine.catalog.ensure_repository(name, format, owner, by.clone()).await {
                Ok(made) => made.id,
                Err(error) => {
                    engine.blobs.delete(blob.key()).await?;
                    return Err(error);
                }
            },
        };
        let landed = Landed {
            repository,
            digest: *blob.digest(),
            size: blob.size(),
            sums: blob.sums().copied(),
        };
        let key = blob.key().clone();
        let new = NewBlob {
            repository,
            blob,
            session: session.as_ref().map(|session| session.id),
            remembered,
            lease_until: clock::now() + clock::millis(engine.limits.blob_lease),
            by,
        };
        // When the outcome of a commit is unknown the file stays: the sweep removes it if no row names it.
        let committed = engine.catalog.commit_blob(new).await;
        if committed.is_ok() {
            failpoint::hit("blob.committed")?;
        }
        match committed {
            Ok(Committed::New) => {}
            Ok(Committed::Duplicate) => engine.blobs.delete(&key).await?,
            Err(error) if error.kind() == ErrorKind::Conflict => {
                engine.blobs.delete(&key).await?;
                // The same request, sent twice: the other one was quicker.
                let twin = session.and_then(|session| engine.ending.finished(session.id));
                if twin.is_none_or(|twin| twin.digest != landed.digest) {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(landed)
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
