//! Requests that claim one session, one after the other.
//!
//! A claim is a row that changes and then a file that is taken over. Two that overlapped could do the one in this order
//! and the other in that one: the newer would have the row, the older the file, and neither could go on. Among processes
//! the file's lock decides, and who loses tries again.

use crate::blob::UploadId;
use tokio::sync::{Mutex, MutexGuard};

/// Locks that all sessions share. Two sessions that share one wait a moment for each other.
const LOCKS: usize = 64;

pub(super) struct Turns([Mutex<()>; LOCKS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits until nobody else is claiming the session.
    pub(super) async fn take(&self, id: UploadId) -> MutexGuard<'_, ()> {
        self.0[id.spread(LOCKS)].lock().await
    }
}
