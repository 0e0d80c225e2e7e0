//! A stream that is acknowledged on its way, so that a crash costs what came since and not all of it.

use super::{Writing, taken_over};
use crate::error::Result;

impl Writing {
    /// Acknowledges what was taken in, and goes on. A request that comes in between keeps what it took.
    ///
    /// # Errors
    /// `Conflict`/`Upload` when another request has taken the session over.
    pub async fn acknowledge(self) -> Result<Self> {
        let Some(session) = &self.session else { return Ok(self) };
        let (engine, id, epoch) = (self.engine.clone(), session.id, session.epoch);
        let (home, by, remembered, unchecked) = (self.home.clone(), self.by.clone(), self.remembered, self.unchecked);
        let _turn = engine.turns.take(id).await;
        self.park().await?;
        let session = engine.catalog.reclaim_upload(id, epoch, engine.expiry()).await?;
        let mut session = session.ok_or_else(taken_over)?;
        let writer = engine.blobs.resume(id, session.algorithm, session.offset).await?;
        session.offset = writer.offset();
        Ok(Self {
            engine,
            writer,
            home,
            by,
            session: Some(session),
            remembered,
            unchecked,
        })
    }
}
