//! Removes what nobody will ask for again: expired upload sessions, and files that a
//! crash left without a row. Content that a row names is none of its business.

use crate::Stores;
use crate::blob::{StorageKey, Stored, UploadId};
use crate::clock;
use crate::error::Result;
use crate::failpoint;
use futures_util::StreamExt as _;
use std::time::Duration;

/// Expired sessions taken at a time.
const BATCH: usize = 256;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Upload sessions past their expiry.
    pub expired_uploads: u64,
    /// Files of uploads without a session.
    pub orphan_uploads: u64,
    /// Files of blobs that no row names.
    pub orphan_blobs: u64,
}

/// One sweep. Files younger than `orphan_age` are left alone: a commit may be about to name them.
///
/// # Errors
/// The first that store or catalog report; what was removed until then stays removed. A failed listing removes nothing.
pub async fn sweep(stores: &Stores, orphan_age: Duration) -> Result<Swept> {
    let mut swept = Swept::default();
    loop {
        let expired = stores.catalog.take_expired_uploads(clock::now(), BATCH).await?;
        for id in &expired {
            failpoint::hit("sweep.expired")?;
            stores.blobs.discard(*id).await?;
        }
        swept.expired_uploads += expired.len() as u64;
        if expired.len() < BATCH {
            break;
        }
    }
    stores.catalog.sweep_tus_uploads(clock::now()).await?;
    let old = clock::now() - clock::millis(orphan_age);
    let mut files = stores.blobs.list().await?;
    while let Some(batch) = files.next().await {
        let (mut uploads, mut keys) = (Vec::new(), Vec::new());
        for file in batch? {
            match file {
                Stored::Upload { id, modified } if modified < old => uploads.push(id),
                Stored::Blob { key, modified } if modified < old => keys.push(key),
                Stored::Upload { .. } | Stored::Blob { .. } => {}
            }
        }
        swept.orphan_uploads += sweep_uploads(stores, uploads).await?;
        swept.orphan_blobs += sweep_blobs(stores, keys).await?;
    }
    Ok(swept)
}

async fn sweep_uploads(stores: &Stores, ids: Vec<UploadId>) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let open = stores.catalog.uploads_exist(ids.clone()).await?;
    let orphans = ids.into_iter().filter(|id| !open.contains(id));
    let mut removed = 0;
    for id in orphans {
        stores.blobs.discard(id).await?;
        failpoint::hit("sweep.orphan")?;
        removed += 1;
    }
    Ok(removed)
}

async fn sweep_blobs(stores: &Stores, keys: Vec<StorageKey>) -> Result<u64> {
    if keys.is_empty() {
        return Ok(0);
    }
    let orphans = stores.catalog.unknown_keys(keys).await?;
    for key in &orphans {
        stores.blobs.delete(key).await?;
        failpoint::hit("sweep.orphan")?;
    }
    Ok(orphans.len() as u64)
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
