//! The disk under a store: everything that a store asks of a file system, and what of it
//! survives a power cut. [`RealDisk`] hands each call to the system; tests put a simulated
//! disk in its place that forgets, after a power cut, whatever this contract allows it to.
//!
//! After a power cut
//! - bytes and length of a file are there for certain once [`DiskFile::sync_data`] has answered Ok. Of what was
//!   written later any part may be there, in any order. A sync that fails has lost what it was to save, and no
//!   later one brings it back;
//! - a name made, moved or removed is so for certain once [`Disk::sync_folder`] has answered Ok for the folder
//!   that holds it (both folders, for a move) and for every folder above that is new. Before, it may be so or not;
//! - locks are gone, and times are of no use.
//!
//! After the death of the process alone everything that was done is there, and locks are gone.

use rustix::fs::{FlockOperation, RenameFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, flock, futimens, renameat_with};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file system, as far as a store needs one. Every call may block.
pub(in crate::blob) trait Disk: Send + Sync + 'static {
    /// Makes a file, for its owner only, and opens it to read and write. `AlreadyExists` when something has the name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to read and write, at its start.
    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to read, at its start. It can be read to its end though its name is removed.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// What is known of the file with this name.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Gives a file another name. `AlreadyExists` when something has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes names that were made, moved or removed in this folder survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// The files of a folder, in no particular order, read as they are asked for. Whatever comes or goes meanwhile may be among them or not.
    fn list(&self, folder: &Path) -> io::Result<Entries>;

    /// Makes a folder, for its owner only, and those above that are missing. One that is there is fine.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes an empty file and syncs it, though not its name. One that is there is fine.
    fn mark(&self, path: &Path) -> io::Result<()>;

    /// Free bytes where the folder lies. Quick: called where nothing may block for long.
    fn free_space(&self, folder: &Path) -> io::Result<u64>;
}

/// An open file, closed when dropped. Reads and writes go on where the last one ended.
pub(in crate::blob) trait DiskFile: Read + Write + Seek + Send {
    /// Keeps every other opener who locks it out until this one is closed, in this process and in others.
    /// `WouldBlock` when another has it.
    fn lock(&self) -> io::Result<()>;

    /// What is known of the file, whatever its name is by now.
    fn stat(&self) -> io::Result<Stat>;

    /// Cuts the file off at `length`.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes the bytes and the length survive a power cut.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the file as young as if it had just been written.
    fn renew(&self) -> io::Result<()>;
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::blob) struct Stat {
    /// Its length in bytes.
    pub(super) length: u64,
    /// When it was last written or renewed.
    pub(super) modified: SystemTime,
    /// The same for the same file alone, whatever its names are.
    pub(super) identity: (u64, u64),
}

/// What [`Disk::list`] gives.
pub(in crate::blob) type Entries = Box<dyn Iterator<Item = io::Result<Entry>> + Send>;

/// A name in a folder.
pub(in crate::blob) struct Entry {
    /// Where it is.
    pub(super) path: PathBuf,
    /// When the file was last written or renewed; `None` for what is no file, such as a folder or a link.
    pub(super) modified: Option<SystemTime>,
}

/// The disk that the system has.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut how = OpenOptions::new();
        let file = how.create_new(true).read(true).write(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(path)?))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        stat(&std::fs::metadata(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let here = rustix::fs::CWD;
        Ok(renameat_with(here, from, here, to, RenameFlags::NOREPLACE)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn list(&self, folder: &Path) -> io::Result<Entries> {
        Ok(Box::new(
            std::fs::read_dir(folder)?.filter_map(|entry| entry.and_then(|entry| listed(&entry)).transpose()),
        ))
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn mark(&self, path: &Path) -> io::Result<()> {
        File::create(path)?.sync_all()
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        let free = rustix::fs::statvfs(folder)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize))
    }
}

impl DiskFile for File {
    fn lock(&self) -> io::Result<()> {
        Ok(flock(self, FlockOperation::NonBlockingLockExclusive)?)
    }

    fn stat(&self) -> io::Result<Stat> {
        stat(&self.metadata()?)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn renew(&self) -> io::Result<()> {
        let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps {
            last_access: at(UTIME_OMIT),
            last_modification: at(UTIME_NOW),
        };
        Ok(futimens(self, &times)?)
    }
}

fn stat(found: &Metadata) -> io::Result<Stat> {
    Ok(Stat {
        length: found.len(),
        modified: found.modified()?,
        identity: (found.dev(), found.ino()),
    })
}

/// An entry with its time; `None` when the file was moved or removed since the folder was read.
fn listed(entry: &std::fs::DirEntry) -> io::Result<Option<Entry>> {
    let found = match entry.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let modified = if found.is_file() { Some(found.modified()?) } else { None };
    Ok(Some(Entry {
        path: entry.path(),
        modified,
    }))
}
