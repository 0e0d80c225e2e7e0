//! Upload sessions that are being finished, and those that were finished a short while ago.
//!
//! A client whose connection broke after its last request cannot know what became of it
//! and sends it again. While the first is still at work the second waits for it, rather
//! than taking the session over and throwing the work away; afterwards it gets the same answer.
//! For requests of one process; another process answers that there is no such upload.

use crate::blob::UploadId;
use crate::catalog::RepositoryId;
use crate::digest::Digest;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Finished sessions remembered, at most.
const REMEMBERED: usize = 4096;

/// What is ending, and what has ended.
pub(crate) struct Ending {
    /// How many requests are finishing the session, and what is dropped when the last of them is done.
    running: Mutex<HashMap<UploadId, (usize, watch::Sender<()>)>>,
    finished: Cache<UploadId, Finished>,
}

/// Whose session it was, and what blob it became.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) repository: RepositoryId,
    pub(crate) by: Arc<str>,
    pub(crate) digest: Digest,
}

/// Held while a session is being finished.
pub struct Running {
    ending: Arc<Ending>,
    upload: UploadId,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            finished: Cache::new(REMEMBERED),
        }
    }
}

impl Ending {
    /// A session begins to be finished.
    pub(crate) fn begin(self: &Arc<Self>, upload: UploadId) -> Running {
        self.lock().entry(upload).or_insert_with(|| (0, watch::Sender::new(()))).0 += 1;
        Running {
            ending: self.clone(),
            upload,
        }
    }

    /// The same, unless somebody is at it.
    pub(crate) fn begin_alone(self: &Arc<Self>, upload: UploadId) -> Option<Running> {
        let mut running = self.lock();
        if running.contains_key(&upload) {
            return None;
        }
        running.insert(upload, (1, watch::Sender::new(())));
        Some(Running {
            ending: self.clone(),
            upload,
        })
    }

    /// Waits while the session is being finished.
    pub(crate) async fn settled(&self, upload: UploadId) {
        loop {
            let Some(mut waiting) = self.lock().get(&upload).map(|(_, done)| done.subscribe()) else {
                return;
            };
            // An error is the news: the sender is gone.
            while waiting.changed().await.is_ok() {}
        }
    }

    /// Whether the session is being finished.
    pub(crate) fn is_running(&self, upload: UploadId) -> bool {
        self.lock().contains_key(&upload)
    }

    /// What the session became, when it was finished a short while ago.
    pub(crate) fn finished(&self, upload: UploadId) -> Option<Finished> {
        self.finished.get(&upload)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, (usize, watch::Sender<()>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// The session has become a blob.
    pub(crate) fn finished(&self, what: Finished) {
        self.ending.finished.insert(self.upload, what);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.ending.lock();
        let others = running.get_mut(&self.upload).map_or(0, |(count, _)| {
            *count -= 1;
            *count
        });
        // With the entry goes the sender, which wakes those who wait.
        if others == 0 {
            running.remove(&self.upload);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn who_waits_waits_for_everybody() {
        let (ending, upload) = (Arc::<Ending>::default(), UploadId::random());
        ending.settled(upload).await;
        let (one, other) = (ending.begin(upload), ending.begin(upload));
        drop(one);
        let waiting = ending.settled(upload);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none(), "the other is still at work");
        assert!(ending.begin_alone(upload).is_none());
        drop(other);
        waiting.await;
        drop(ending.begin_alone(upload).unwrap());
        assert!(ending.lock().is_empty());
    }
}
