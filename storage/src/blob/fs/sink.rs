//! One upload's file and hash, as blocking work: what a writer hands its pieces to.

use super::sync_folder;
use crate::blob::{StorageKey, UploadId, VerifiedBlob};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, ErrorKind, Result, What};
use crate::failpoint;
use rustix::fs::{FlockOperation, RenameFlags, flock, renameat_with};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes read at a time when an upload has to be hashed again.
const REHASH: usize = 256 * 1024;

/// A hash in the middle of an upload. A hint: it counts only while file and offset agree with it.
#[derive(Clone)]
pub(super) struct Parked {
    hasher: Hasher,
    offset: u64,
}

/// An upload's file and hash.
pub(super) struct Sink {
    path: PathBuf,
    /// Opened with the first byte.
    file: Option<File>,
    hasher: Hasher,
    /// Bytes that the file and the hash hold.
    written: u64,
    /// Whether the file has been taken over, or is past repair.
    dead: Option<Dead>,
}

#[derive(Clone, Copy)]
enum Dead {
    TakenOver,
    Broken,
}

impl Sink {
    /// An upload of nothing yet; the file comes with the first byte.
    pub(super) fn fresh(path: PathBuf, algorithm: Algorithm) -> Self {
        Self {
            path,
            file: None,
            hasher: Hasher::new(algorithm),
            written: 0,
            dead: None,
        }
    }

    /// Goes on at `offset`, or at the file's end where that is less.
    pub(super) fn reopen(path: PathBuf, algorithm: Algorithm, offset: u64, parked: Option<Parked>) -> Result<Self> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::not_found(What::Upload, "the upload's bytes are gone; start again"));
            }
            Err(error) => return Err(error.into()),
        };
        exclusive(&file)?;
        let length = file.metadata()?.len();
        let written = offset.min(length);
        if length > written {
            file.set_len(written)?;
        }
        let usable = parked.filter(|parked| parked.offset == written && parked.hasher.algorithm() == algorithm && length == written);
        let hasher = match usable {
            Some(parked) => parked.hasher,
            None => hash_file(&mut file, algorithm, written)?,
        };
        file.seek(SeekFrom::Start(written))?;
        Ok(Self {
            path,
            file: Some(file),
            hasher,
            written,
            dead: None,
        })
    }

    /// (1) Writes the next bytes, hashing them.
    pub(super) fn absorb(&mut self, bytes: &[u8]) -> Result<()> {
        self.alive()?;
        self.hasher.update(bytes);
        let done = self.open().and_then(|file| Ok(file.write_all(bytes)?));
        match done {
            Ok(()) => self.written += bytes.len() as u64,
            // File and hash no longer agree: only a reopened sink may go on, from what was acknowledged.
            Err(_) => self.dead = Some(Dead::Broken),
        }
        done
    }

    /// The state to keep until the next request. Closes the file.
    pub(super) fn park(&mut self) -> Result<Parked> {
        self.alive()?;
        self.file = None;
        Ok(Parked {
            hasher: self.hasher.clone(),
            offset: self.written,
        })
    }

    /// Bytes held.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Refuses everything from now on: a newer request owns the upload.
    pub(super) fn fence(&mut self) {
        self.file = None;
        self.dead = Some(Dead::TakenOver);
    }

    /// Takes in the last bytes, proves the digest and makes the file durable under its key.
    /// Whatever fails, the upload's file is gone afterwards.
    pub(super) fn commit(&mut self, rest: &[u8], expected: &Digest, upload: UploadId, blobs: &Path) -> Result<VerifiedBlob> {
        self.alive()?;
        let done = self.try_commit(rest, expected, upload, blobs);
        self.file = None;
        self.dead = Some(Dead::Broken);
        if done.is_err() {
            // Not there when nothing was written or the rename was the last thing that worked; the sweep takes what is left.
            let _ = super::remove(&self.path);
        }
        done
    }

    fn try_commit(&mut self, rest: &[u8], expected: &Digest, upload: UploadId, blobs: &Path) -> Result<VerifiedBlob> {
        let same_algorithm = expected.algorithm() == self.hasher.algorithm();
        if same_algorithm && self.file.is_none() && self.written == 0 {
            // All of it is still in memory: a wrong digest touches no disk.
            self.hasher.update(rest);
            compare(self.hasher.clone().finish(), expected)?;
            self.open()?.write_all(rest)?;
            self.written = rest.len() as u64;
        } else {
            self.absorb(rest)?;
        }
        failpoint::hit("blob.written")?;
        // (2) Compare the digest.
        let algorithm = expected.algorithm();
        let written = self.written;
        let actual = if same_algorithm {
            self.hasher.clone().finish()
        } else {
            hash_file(self.open()?, algorithm, written)?.finish()
        };
        compare(actual, expected)?;
        failpoint::hit("blob.compared")?;
        // (3) Flush the bytes. A failure means that they are lost: never try again on the same file.
        let file = self.open()?;
        file.sync_data()?;
        let length = file.metadata()?.len();
        if length != written {
            return Err(Error::internal(format!("an upload of {written} bytes has a file of {length}")));
        }
        failpoint::hit("blob.synced")?;
        // (4) Give the file a key of its own.
        let key = StorageKey::new(expected, &upload);
        let path = blobs.join(key.as_str());
        renameat_with(rustix::fs::CWD, &self.path, rustix::fs::CWD, &path, RenameFlags::NOREPLACE).map_err(io::Error::from)?;
        let folder_synced = failpoint::hit("blob.renamed")
            // (5) Flush the folder.
            .and_then(|()| path.parent().map_or(Ok(()), sync_folder))
            .and_then(|()| failpoint::hit("blob.folder_synced"));
        if let Err(error) = folder_synced {
            let _ = super::remove(&path);
            return Err(error.into());
        }
        Ok(VerifiedBlob::new(*expected, written, key))
    }

    fn open(&mut self) -> Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new()
                    .create(true)
                    .truncate(true)
                    .read(true)
                    .write(true)
                    .mode(0o600)
                    .open(&self.path)?;
                exclusive(&file)?;
                file
            }
        };
        Ok(self.file.insert(file))
    }

    fn alive(&self) -> Result<()> {
        match self.dead {
            None => Ok(()),
            Some(Dead::TakenOver) => Err(taken_over()),
            Some(Dead::Broken) => Err(Error::internal("an upload was used after it had failed or ended")),
        }
    }
}

fn taken_over() -> Error {
    Error::new(ErrorKind::Conflict, What::Upload, "another request has taken this upload over")
}

/// Keeps a writer of another process out: two writers on one file would let bytes in that nobody hashed.
fn exclusive(file: &File) -> Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
        rustix::io::Errno::WOULDBLOCK => Error::new(
            ErrorKind::Conflict,
            What::Upload,
            "another request is writing this upload; try again shortly",
        ),
        other => io::Error::from(other).into(),
    })
}

fn compare(actual: Digest, expected: &Digest) -> Result<()> {
    if actual == *expected {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DigestMismatch,
        What::Digest,
        format!("the bytes received have the digest {actual}, not {expected}"),
    ))
}

fn hash_file(file: &mut File, algorithm: Algorithm, length: u64) -> Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    file.seek(SeekFrom::Start(0))?;
    let mut left = length;
    let mut buffer = vec![0; REHASH];
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(REHASH).min(REHASH);
        file.read_exact(&mut buffer[..want])?;
        hasher.update(&buffer[..want]);
        left -= want as u64;
    }
    Ok(hasher)
}
