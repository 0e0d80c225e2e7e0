//! Requests that claim one session, one after the other.
//!
//! A claim is a row that changes and then a file that is taken over. Two that overlapped could do the one in this order
//! and the other in that one: the newer would have the row, the older the file, and neither could go on. Among processes
//! the file's lock decides, and who loses tries again.

use crate::blob::UploadId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// A lock for each session that somebody is claiming.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<UploadId, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits until nobody else is claiming the session. A claim may wait for a writer that reads all of a file.
    pub(super) async fn take(&self, id: UploadId) -> OwnedMutexGuard<()> {
        self.of(id).lock_owned().await
    }

    fn of(&self, id: UploadId) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&id).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        all.insert(id, Arc::downgrade(&turn));
        turn
    }
}
