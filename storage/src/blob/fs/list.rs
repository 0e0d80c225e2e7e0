//! Every file of a store, for the sweep: folder by folder, a bounded batch at a time.

use super::blocking;
use super::disk::{Disk, Entries, Entry};
use crate::blob::{Listing, StorageKey, Stored};
use crate::clock::millis;
use crate::digest::Algorithm;
use crate::error::Result;
use futures_util::stream;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Files of one batch.
const BATCH: usize = 1000;

/// A folder to be listed; the prefix that makes its file names storage keys, none for uploads.
type Folder = (PathBuf, Option<String>);

pub(super) async fn all(disk: Arc<dyn Disk>, root: PathBuf) -> Result<Listing> {
    let mut folders: VecDeque<Folder> = VecDeque::from([(root.join("uploads"), None)]);
    for algorithm in Algorithm::ALL {
        for byte in 0..=u8::MAX {
            let prefix = format!("{}/{byte:02x}", algorithm.as_str());
            folders.push_back((root.join("blobs").join(&prefix), Some(prefix)));
        }
    }
    Ok(Box::pin(stream::try_unfold(
        (disk, folders, None),
        |(disk, mut folders, mut open)| async move {
            blocking(move || {
                loop {
                    let (entries, prefix): (Entries, Option<String>) = match open.take() {
                        Some(open) => open,
                        None => match folders.pop_front() {
                            Some((folder, prefix)) => (disk.list(&folder)?, prefix),
                            None => return Ok(None),
                        },
                    };
                    let (batch, rest) = take(entries, prefix.as_deref())?;
                    open = rest.map(|entries| (entries, prefix));
                    if !batch.is_empty() {
                        return Ok(Some((batch, (disk, folders, open))));
                    }
                }
            })
            .await
        },
    )))
}

/// Up to a batch of entries, and what is left of the folder.
fn take(mut entries: Entries, prefix: Option<&str>) -> Result<(Vec<Stored>, Option<Entries>)> {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        let Some(entry) = entries.next() else { return Ok((batch, None)) };
        let entry = entry?;
        match stored(&entry, prefix) {
            Some(file) => batch.push(file),
            None => tracing::warn!(path = %entry.path.display(), "a file in the store is not ours; it is left alone"),
        }
    }
    Ok((batch, Some(entries)))
}

fn stored(entry: &Entry, prefix: Option<&str>) -> Option<Stored> {
    let name = entry.path.file_name()?.to_str()?;
    let modified = millis(entry.modified?.duration_since(UNIX_EPOCH).unwrap_or_default());
    match prefix {
        None => name.parse().ok().map(|id| Stored::Upload { id, modified }),
        Some(prefix) => format!("{prefix}/{name}")
            .parse::<StorageKey>()
            .ok()
            .map(|key| Stored::Blob { key, modified }),
    }
}
