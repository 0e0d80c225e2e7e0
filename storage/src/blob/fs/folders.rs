//! The folders of a store, made and made durable once, so that no commit has to.

use super::disk::Disk;
use crate::digest::Algorithm;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Stands in the store's root once every folder is durable.
const MARKER: &str = "layout-1";

/// Makes what is missing. A crash in the middle leaves no marker, and the next start completes the work.
pub(super) fn prepare(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    match disk.stat(&root.join(MARKER)) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
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
    sync_above(disk, root)?;
    disk.mark(&root.join(MARKER))?;
    disk.sync_folder(root)
}

/// Makes the way to the store durable, as far up as it may be new: a store whose own name is lost is lost.
/// Before the marker is made, since a start that finds the marker does nothing.
fn sync_above(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    for folder in root.ancestors().skip(1) {
        let here = folder.as_os_str().is_empty();
        match disk.sync_folder(if here { Path::new(".") } else { folder }) {
            Ok(()) => {}
            // Others made it: what we make we may open, and it can be written.
            Err(error) if is_of_others(error.kind()) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_of_others(refusal: ErrorKind) -> bool {
    use ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(refusal, PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}
