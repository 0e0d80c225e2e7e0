//! The file that an upload has become without a row that names it: found by the upload in its name, among all blobs.

use super::disk::Disk;
use super::{blocking, list, sink};
use crate::blob::{Stored, UploadId, VerifiedBlob};
use crate::error::Result;
use futures_util::StreamExt as _;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) async fn find(disk: Arc<dyn Disk>, root: PathBuf, upload: UploadId) -> Result<Option<VerifiedBlob>> {
    let mut files = list::all(disk.clone(), root.clone()).await?;
    while let Some(batch) = files.next().await {
        for file in batch? {
            match file {
                Stored::Blob { key, .. } if key.is_of(upload) => {
                    let Some(digest) = key.digest() else { return Ok(None) };
                    let blobs = root.join("blobs");
                    return blocking(move || sink::prove(&*disk, &blobs.join(key.as_str()), &digest, upload, &blobs)).await;
                }
                Stored::Blob { .. } | Stored::Upload { .. } => {}
            }
        }
    }
    Ok(None)
}
