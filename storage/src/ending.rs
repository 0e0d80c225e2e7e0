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
    running: Mutex<HashMap<UploadId, watch::Receiver<()>>>,
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
pub(crate) struct Running {
    ending: Arc<Ending>,
    upload: UploadId,
    /// Dropped with the rest, which wakes those who wait.
    _done: watch::Sender<()>,
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
        let (done, waiting) = watch::channel(());
        self.lock().insert(upload, waiting);
        Running {
            ending: self.clone(),
            upload,
            _done: done,
        }
    }

    /// Waits while the session is being finished.
    pub(crate) async fn settled(&self, upload: UploadId) {
        loop {
            let Some(mut waiting) = self.lock().get(&upload).cloned() else {
                return;
            };
            // An error is the news: the sender is gone.
            while waiting.changed().await.is_ok() {}
        }
    }

    /// What the session became, when it was finished a short while ago.
    pub(crate) fn finished(&self, upload: UploadId) -> Option<Finished> {
        self.finished.get(&upload)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, watch::Receiver<()>>> {
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
        self.ending.lock().remove(&self.upload);
    }
}
