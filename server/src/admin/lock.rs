//! The lock on a data folder: one process at a time works on it.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Held while the process uses the folder; the kernel releases it when the process ends, however it ends.
pub(crate) struct StoreLock(#[allow(dead_code, reason = "held, not read")] File);

impl StoreLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    pub(crate) fn take(data: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(data.join("lock"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => io::Error::new(ErrorKind::WouldBlock, "another granary process uses this data folder"),
            other => other.into(),
        })?;
        Ok(Self(file))
    }
}
