//! Every file of a store, for the sweep: folder by folder, a bounded batch at a time.

use super::blocking;
use crate::blob::{Listing, StorageKey, Stored};
use crate::clock::millis;
use crate::digest::Algorithm;
use crate::error::Result;
use futures_util::stream;
use std::collections::VecDeque;
use std::fs::{DirEntry, ReadDir};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Files of one batch.
const BATCH: usize = 1000;

/// A folder to be listed; the prefix that makes its file names storage keys, none for uploads.
type Folder = (PathBuf, Option<String>);

pub(super) async fn all(root: PathBuf) -> Result<Listing> {
    let mut folders: VecDeque<Folder> = VecDeque::from([(root.join("uploads"), None)]);
    for algorithm in Algorithm::ALL {
        for byte in 0..=u8::MAX {
            let prefix = format!("{}/{byte:02x}", algorithm.as_str());
            folders.push_back((root.join("blobs").join(&prefix), Some(prefix)));
        }
    }
    Ok(Box::pin(stream::try_unfold(
        (folders, None),
        |(mut folders, mut open)| async move {
            blocking(move || {
                loop {
                    let (entries, prefix): (ReadDir, Option<String>) = match open.take() {
                        Some(open) => open,
                        None => match folders.pop_front() {
                            Some((folder, prefix)) => (std::fs::read_dir(folder)?, prefix),
                            None => return Ok(None),
                        },
                    };
                    let (batch, rest) = take(entries, prefix.as_deref())?;
                    open = rest.map(|entries| (entries, prefix));
                    if !batch.is_empty() {
                        return Ok(Some((batch, (folders, open))));
                    }
                }
            })
            .await
        },
    )))
}

/// Up to a batch of entries, and what is left of the folder.
fn take(mut entries: ReadDir, prefix: Option<&str>) -> Result<(Vec<Stored>, Option<ReadDir>)> {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        let Some(entry) = entries.next() else { return Ok((batch, None)) };
        let entry = entry?;
        match stored(&entry, prefix)? {
            Some(file) => batch.push(file),
            None => tracing::warn!(path = %entry.path().display(), "a file in the store is not ours; it is left alone"),
        }
    }
    Ok((batch, Some(entries)))
}

fn stored(entry: &DirEntry, prefix: Option<&str>) -> Result<Option<Stored>> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return Ok(None) };
    let found = match entry.metadata() {
        Ok(found) => found,
        // Committed or removed since the folder was read.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !found.is_file() {
        return Ok(None);
    }
    let modified = millis(found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default());
    Ok(match prefix {
        None => name.parse().ok().map(|id| Stored::Upload { id, modified }),
        Some(prefix) => format!("{prefix}/{name}")
            .parse::<StorageKey>()
            .ok()
            .map(|key| Stored::Blob { key, modified }),
    })
}
