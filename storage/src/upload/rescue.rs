//! A session whose bytes are not where it left them: they may have become a blob that nobody knows yet.

use super::{Uploads, unknown};
use crate::catalog::{Committed, NewBlob, Upload};
use crate::clock;
use crate::ending::Finished;
use crate::error::{Error, Result};

impl Uploads {
    /// Ends a session whose acknowledged bytes are not where they were, and gives the refusal. Either they are a blob that
    /// lacks its row, since the process died or the catalog failed before that, and get it now; or they are gone, and the
    /// client starts again rather than adding to nothing.
    pub(super) async fn without_bytes(&self, session: &Upload) -> Result<Error> {
        let (id, repository, by) = (session.id, session.repository, session.principal.clone());
        let running = self.ending.begin(id);
        // Waits for a transaction that would close the session, should one still be under way in the database.
        if self
            .catalog
            .claim_upload(id, repository, by.clone(), self.expiry())
            .await?
            .is_none()
        {
            return Ok(unknown());
        }
        match self.blobs.sealed(id).await? {
            None => drop(self.catalog.delete_upload(id, repository, by).await?),
            Some(blob) => {
                let new = NewBlob {
                    repository,
                    session: Some(id),
                    remembered: true,
                    lease_until: clock::now() + clock::millis(self.limits.blob_lease),
                    by: by.clone(),
                    blob,
                };
                let (key, digest) = (new.blob.key().clone(), *new.blob.digest());
                if self.catalog.commit_blob(new).await? == Committed::Duplicate {
                    self.blobs.delete(&key).await?;
                }
                running.finished(Finished { repository, by, digest });
            }
        }
        Ok(unknown())
    }
}
