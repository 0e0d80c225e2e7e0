//! Room set aside beside an SQLite database: a file that takes it, and that the database's writer removes when a commit
//! finds the disk full. A delete writes before it frees anything, so without it a full disk could not be emptied.

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file's name, beside the database.
const NAME: &str = "ballast";

/// The ballast that a folder is to have.
#[derive(Clone, Debug)]
pub struct Ballast {
    folder: PathBuf,
    size: u64,
    reserve: u64,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None is wanted.
    Unwanted,
    /// It was there.
    There,
    /// It has just been made.
    Made,
    /// With it, less than the reserve would be free.
    NoRoom,
}

impl Ballast {
    /// So many bytes in `folder`, that of the database; 0 for none. Made only where `reserve` bytes stay free beside it.
    pub fn new(folder: impl Into<PathBuf>, size: u64, reserve: u64) -> Self {
        let folder = folder.into();
        Self { folder, size, reserve }
    }

    /// Sees to it that the ballast is there, and has its size, if there is room for it. Blocks.
    ///
    /// # Errors
    /// Of the file system. What was made by half is gone again.
    pub fn keep(&self) -> io::Result<Kept> {
        let path = self.folder.join(NAME);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if self.size > 0 && found.len() == self.size => return Ok(Kept::There),
            // Of another size, or made by half when the power went.
            Ok(_) => std::fs::remove_file(&path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if self.size == 0 {
            return Ok(Kept::Unwanted);
        }
        let disk = statvfs(&self.folder)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < self.reserve.saturating_add(self.size) {
            return Ok(Kept::NoRoom);
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        if let Err(error) = take_room(&file, self.size) {
            std::fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(Kept::Made)
    }
}

/// Gives the room back; whether there was any.
///
/// # Errors
/// Of the file system.
pub(crate) fn release(folder: &Path) -> io::Result<bool> {
    match std::fs::remove_file(folder.join(NAME)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn take_room(file: &File, size: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        // Not every file system can.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(file, size)?,
        done => done?,
    }
    file.sync_all()
}

/// Writes what no file system that compresses makes smaller: noise (SplitMix64).
fn fill(file: &File, size: u64) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    let (mut state, mut left) = (0_u64, size);
    while left > 0 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let word = (mixed ^ (mixed >> 31)).to_le_bytes();
        let part = usize::try_from(left).unwrap_or(word.len()).min(word.len());
        file.write_all(&word[..part])?;
        left -= part as u64;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    const SIZE: u64 = 1024 * 1024;

    fn taken(folder: &Path) -> Option<u64> {
        let found = std::fs::metadata(folder.join(NAME)).ok()?;
        assert_eq!(found.mode() & 0o777, 0o600);
        assert!(found.blocks() * 512 >= found.len(), "it says so and takes no room");
        Some(found.len())
    }

    #[test]
    fn it_takes_its_room_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(folder.path(), SIZE, 0);
        assert_eq!(ballast.keep().unwrap(), Kept::Made);
        assert_eq!(taken(folder.path()), Some(SIZE));
        assert_eq!(ballast.keep().unwrap(), Kept::There);
        assert!(release(folder.path()).unwrap());
        assert!(!release(folder.path()).unwrap());
        assert_eq!(taken(folder.path()), None);
        assert_eq!(ballast.keep().unwrap(), Kept::Made);
    }

    #[test]
    fn it_follows_its_size() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), "made by half").unwrap();
        for size in [SIZE, 2 * SIZE] {
            assert_eq!(Ballast::new(folder.path(), size, 0).keep().unwrap(), Kept::Made);
            assert_eq!(taken(folder.path()), Some(size));
        }
        assert_eq!(Ballast::new(folder.path(), 0, 0).keep().unwrap(), Kept::Unwanted);
        assert_eq!(taken(folder.path()), None);
    }

    #[test]
    fn it_leaves_the_reserve_free() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Ballast::new(folder.path(), SIZE, u64::MAX).keep().unwrap(), Kept::NoRoom);
        assert_eq!(taken(folder.path()), None);
    }

    #[test]
    fn where_room_cannot_be_had_for_the_asking_it_is_filled() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        fill(file.as_file_mut(), 100_003).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes.len(), 100_003);
        let zeros = bytes.iter().filter(|byte| **byte == 0).count();
        assert!(zeros < 1000, "{zeros}");
    }
}
