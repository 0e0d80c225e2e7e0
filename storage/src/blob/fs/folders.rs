//! The folders of a store, made and made durable once, so that no commit has to.

use super::disk::Disk;
use crate::digest::Algorithm;
use std::io;
use std::path::Path;

/// Stands in the store's root once every folder is durable.
const MARKER: &str = "layout-1";

/// Makes what is missing. A crash in the middle leaves no marker, and the next start completes the work.
pub(super) fn prepare(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    match disk.stat(&root.join(MARKER)) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    disk.make_folder(root)?;
    disk.make_folder(&root.join("uploads"))?;
    let blobs = root.join("blobs");
    disk.make_folder(&blobs)?;
    for algorithm in Algorithm::ALL {
        let folder = blobs.join(algorithm.as_str());
        disk.make_folder(&folder)?;
        for byte in 0..=u8::MAX {
            disk.make_folder(&folder.join(format!("{byte:02x}")))?;
        }
        disk.sync_folder(&folder)?;
    }
    disk.sync_folder(&blobs)?;
    disk.sync_folder(root)?;
    disk.mark(&root.join(MARKER))?;
    disk.sync_folder(root)?;
    if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_folder(parent)?;
    }
    Ok(())
}
