//! The folders of a store, made and made durable once, so that no commit has to.

use super::sync_folder;
use crate::digest::Algorithm;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Stands in the store's root once every folder is durable.
const MARKER: &str = "layout-1";

/// Makes what is missing. A crash in the middle leaves no marker, and the next start completes the work.
pub(super) fn prepare(root: &Path) -> io::Result<()> {
    if root.join(MARKER).try_exists()? {
        return Ok(());
    }
    make(root)?;
    make(&root.join("uploads"))?;
    let blobs = root.join("blobs");
    make(&blobs)?;
    for algorithm in Algorithm::ALL {
        let folder = blobs.join(algorithm.as_str());
        make(&folder)?;
        for byte in 0..=u8::MAX {
            make(&folder.join(format!("{byte:02x}")))?;
        }
        sync_folder(&folder)?;
    }
    sync_folder(&blobs)?;
    sync_folder(root)?;
    File::create(root.join(MARKER))?.sync_all()?;
    sync_folder(root)?;
    if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    Ok(())
}

/// One folder, for its owner only.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
