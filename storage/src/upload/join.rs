//! Sessions that become one blob together: the bytes of each are read back and taken in by another one, in their order.
//!
//! Their bytes are copied once, since the digest of the whole is that of all bytes in a row and can be had no other way.
//! Nothing of it can be seen before it is whole and proved, and the parts stay what they were until somebody ends them:
//! whatever goes wrong on the way, the same parts can be joined again.

use super::{Landed, Uploads, Writing, unknown};
use crate::blob::UploadId;
use crate::catalog::RepositoryId;
use crate::error::{Error, ErrorKind, Result, What};
use crate::sums::Promised;
use futures_util::StreamExt as _;
use std::sync::Arc;

impl Uploads {
    /// Makes a blob of these parts, each with so many bytes, in the name of a session that holds nothing itself. `None`
    /// when another request was at it: what came of that is known by now.
    ///
    /// # Errors
    /// `NotFound`/`Upload` when there is no such session; `PreconditionFailed`/`Upload` when a part has fewer bytes.
    /// Those of [`Writing::complete`].
    pub async fn join(
        &self,
        id: UploadId,
        repository: RepositoryId,
        by: Arc<str>,
        parts: Vec<(UploadId, u64)>,
        promised: Promised,
    ) -> Result<Option<Landed>> {
        let Some(running) = self.ending.begin_alone(id) else {
            self.ending.settled(id).await;
            return Ok(None);
        };
        let engine = self.clone();
        // On a task of its own: it may take minutes, and a client that hangs up asks again.
        let work = tokio::spawn(async move {
            let _until_the_end = running;
            let _turn = engine.joins.acquire().await.map_err(Error::internal)?;
            let mut writing = engine.start_over(id, repository, by).await?;
            let joined = async {
                writing.with_sums().await?;
                for (part, length) in parts {
                    writing.take_in(part, length).await?;
                }
                Ok(())
            };
            if let Err(error) = joined.await {
                writing.give_up().await?;
                return Err(error);
            }
            writing.remember();
            writing.complete(promised).await.map(Some)
        });
        work.await.map_err(Error::internal)?
    }

    /// A session from its first byte on, whatever an earlier attempt has left of it.
    async fn start_over(&self, id: UploadId, repository: RepositoryId, by: Arc<str>) -> Result<Writing> {
        self.check_space().await?;
        let _turn = self.turns.take(id).await;
        let session = self.catalog.claim_upload(id, repository, by.clone(), self.expiry()).await?;
        let session = session.ok_or_else(unknown)?;
        let writer = match self.blobs.resume(id, session.algorithm, 0).await {
            Err(error) if error.is_not_found() => self.blobs.begin(id, session.algorithm).await?,
            resumed => resumed?,
        };
        Ok(Writing {
            engine: self.clone(),
            writer,
            home: repository.into(),
            by,
            session: Some(session),
            remembered: false,
            unchecked: 0,
        })
    }
}

impl Writing {
    /// Takes in the first `length` bytes that another session holds.
    async fn take_in(&mut self, part: UploadId, length: u64) -> Result<()> {
        // An upload of nothing has no file.
        if length == 0 {
            return Ok(());
        }
        let lost = |error: Error| match error.is_not_found() {
            true => Error::new(
                ErrorKind::PreconditionFailed,
                What::Upload,
                format!("the part /uploads/{part} has lost bytes; ask where it stands, and go on from there"),
            ),
            false => error,
        };
        let mut bytes = self.engine.blobs.read_upload(part, length).await.map_err(lost)?;
        while let Some(chunk) = bytes.next().await {
            self.write(chunk.map_err(lost)?).await?;
        }
        Ok(())
    }
}
