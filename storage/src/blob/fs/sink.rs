//! One upload's file and hash, as blocking work: what a writer hands its pieces to.

use super::disk::{Disk, DiskFile};
use crate::blob::checksum::Summer;
use crate::blob::{Blob, StorageKey, UploadId, VerifiedBlob};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, ErrorKind, Result, What};
use crate::failpoint;
use crate::sums::{FileSummer, FileSums, Promised};
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes read at a time when an upload has to be hashed again.
const REHASH: usize = 256 * 1024;

/// What is computed over the bytes as they pass.
#[derive(Clone)]
struct Sums {
    hasher: Hasher,
    summer: Summer,
    /// Only where it was asked for.
    file: Option<FileSummer>,
}

impl Sums {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            hasher: Hasher::new(algorithm),
            summer: Summer::default(),
            file: None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.summer.update(bytes);
        if let Some(file) = &mut self.file {
            file.update(bytes);
        }
    }

    /// Digest and checksums of everything taken in.
    fn results(&self) -> (Digest, Option<FileSums>) {
        (self.hasher.clone().finish(), self.file.clone().map(FileSummer::finish))
    }
}

/// The sums in the middle of an upload. A hint: it counts only while the file is as it was left.
#[derive(Clone)]
pub(super) struct Parked {
    sums: Sums,
    offset: u64,
    /// When the file was last written, which another process may do. None while there is no file.
    modified: Option<SystemTime>,
}

/// An upload's file and sums.
pub(super) struct Sink {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Opened with the first byte. While it is here, the file at `path` is this sink's and no other's.
    file: Option<Box<dyn DiskFile>>,
    sums: Sums,
    /// Bytes that the file holds.
    written: u64,
    /// Bytes at its start that the sums have yet to take in. They are read once it is known which sums are wanted, and
    /// not for who only looks.
    unread: u64,
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
    pub(super) fn fresh(disk: Arc<dyn Disk>, path: PathBuf, algorithm: Algorithm) -> Self {
        Self {
            disk,
            path,
            file: None,
            sums: Sums::new(algorithm),
            written: 0,
            unread: 0,
            dead: None,
        }
    }

    /// Goes on at `offset`, or at the file's end where that is less.
    pub(super) fn reopen(disk: Arc<dyn Disk>, path: PathBuf, algorithm: Algorithm, offset: u64, parked: Option<Parked>) -> Result<Self> {
        match disk.reopen(&path) {
            Ok(file) => Self::take_over(disk, file, path, algorithm, offset, parked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(error.into()),
        }
    }

    fn take_over(
        disk: Arc<dyn Disk>,
        mut file: Box<dyn DiskFile>,
        path: PathBuf,
        algorithm: Algorithm,
        offset: u64,
        parked: Option<Parked>,
    ) -> Result<Self> {
        exclusive(&*file)?;
        // Since it was opened, the writer that had it may have made a blob of it.
        if !is_at(&*disk, &*file, &path)? {
            return Err(gone());
        }
        let found = file.stat()?;
        let (length, modified) = (found.length, found.modified);
        let written = offset.min(length);
        if length > written {
            file.set_len(written)?;
        }
        let usable = parked.filter(|parked| {
            (parked.sums.hasher.algorithm(), parked.offset, parked.modified) == (algorithm, written, Some(modified)) && length == written
        });
        let (sums, unread) = match usable {
            Some(parked) => (parked.sums, 0),
            None => (Sums::new(algorithm), written),
        };
        file.seek(SeekFrom::Start(written))?;
        Ok(Self {
            disk,
            path,
            file: Some(file),
            sums,
            written,
            unread,
            dead: None,
        })
    }

    /// Reads what the sums have yet to take in.
    fn catch_up(&mut self) -> Result<()> {
        self.alive()?;
        let unread = self.unread;
        if unread == 0 {
            return Ok(());
        }
        let sums = self.sums.clone();
        // Reading from the start to the end leaves the file where the next byte belongs; half way it does not.
        match self.open().and_then(|file| sum_file(file, sums, unread)) {
            Ok(sums) => (self.sums, self.unread) = (sums, 0),
            Err(error) => {
                self.dead = Some(Dead::Broken);
                return Err(error);
            }
        }
        Ok(())
    }

    /// (1) Writes the next bytes, hashing them.
    pub(super) fn absorb(&mut self, bytes: &[u8]) -> Result<()> {
        self.catch_up()?;
        self.sums.update(bytes);
        let done = self.open().and_then(|file| Ok(file.write_all(bytes)?));
        match done {
            Ok(()) => self.written += bytes.len() as u64,
            // File and sums no longer agree: only a reopened sink may go on, from what was acknowledged.
            Err(_) => self.dead = Some(Dead::Broken),
        }
        done
    }

    /// Computes the checksums of files too, from the first byte on.
    pub(super) fn with_sums(&mut self) -> Result<()> {
        self.alive()?;
        if self.sums.file.is_some() {
            return Ok(());
        }
        self.sums = Sums {
            file: Some(FileSummer::default()),
            ..Sums::new(self.sums.hasher.algorithm())
        };
        self.unread = self.written;
        self.catch_up()
    }

    /// The state to keep until the next request, where there is any. Closes the file.
    pub(super) fn park(&mut self) -> Result<Option<Parked>> {
        self.alive()?;
        let modified = self.file.take().and_then(|file| Some(file.stat().ok()?.modified));
        Ok((self.unread == 0).then(|| Parked {
            sums: self.sums.clone(),
            offset: self.written,
            modified,
        }))
    }

    /// Bytes held.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Refuses everything from now on: a newer request owns the upload, and need not read what this one has read.
    pub(super) fn fence(&mut self) -> Option<Parked> {
        let parked = self.file.is_some().then(|| self.park().ok().flatten()).flatten();
        self.file = None;
        self.dead = Some(Dead::TakenOver);
        parked
    }

    /// Throws the upload away. What a newer writer has made of it stays: it is not this sink's.
    pub(super) fn scrap(&mut self) -> io::Result<()> {
        self.dead.get_or_insert(Dead::Broken);
        match self.file.take() {
            Some(file) if is_at(&*self.disk, &*file, &self.path)? => super::remove(&*self.disk, &self.path),
            _ => Ok(()),
        }
    }

    /// Takes in the last bytes, proves what was promised and makes the file durable under its key.
    /// Whatever fails, the upload's file is gone afterwards.
    pub(super) fn commit(&mut self, rest: &[u8], promised: &Promised, upload: UploadId, blobs: &Path) -> Result<VerifiedBlob> {
        self.alive()?;
        let done = self.try_commit(rest, promised, upload, blobs);
        if done.is_err() {
            // Should that fail too, the sweep takes what is left.
            let _ = self.scrap();
        }
        self.file = None;
        self.dead = Some(Dead::Broken);
        done
    }

    fn try_commit(&mut self, rest: &[u8], promised: &Promised, upload: UploadId, blobs: &Path) -> Result<VerifiedBlob> {
        let begun_with = self.sums.hasher.algorithm();
        let algorithm = promised.digest.map_or(begun_with, |digest| digest.algorithm());
        let same_algorithm = algorithm == begun_with;
        if promised.needs_sums(algorithm) {
            self.with_sums()?;
        }
        if same_algorithm && self.file.is_none() && self.written == 0 {
            // All of it is still in memory: a wrong digest touches no disk.
            self.sums.update(rest);
            let (digest, sums) = self.sums.results();
            promised.check(&digest, sums.as_ref())?;
            self.open()?.write_all(rest)?;
            self.written = rest.len() as u64;
        } else {
            self.absorb(rest)?;
        }
        failpoint::hit("blob.written")?;
        // (2) Compare the digest.
        let written = self.written;
        let (mut digest, sums) = self.sums.results();
        if !same_algorithm {
            digest = sum_file(self.open()?, Sums::new(algorithm), written)?.hasher.finish();
        }
        promised.check(&digest, sums.as_ref())?;
        failpoint::hit("blob.compared")?;
        // (3) Flush the bytes. A failure means that they are lost: never try again on the same file.
        let (disk, from) = (self.disk.clone(), self.path.clone());
        let file = self.open()?;
        file.sync_data()?;
        let length = file.stat()?.length;
        if length != written {
            return Err(Error::internal(format!("an upload of {written} bytes has a file of {length}")));
        }
        // As young as its commit, however long its bytes have waited: until a row names it, its age is all that keeps the sweep from it.
        file.renew()?;
        failpoint::hit("blob.synced")?;
        if !is_at(&*disk, file, &from)? {
            return Err(taken_over());
        }
        // (4) Give the file a key of its own.
        let (key, path) = name(&*disk, &from, &digest, upload, blobs)?;
        // There is nothing of ours at the old path any more.
        self.file = None;
        let folder_synced = failpoint::hit("blob.renamed")
            // (5) Flush the folder.
            .and_then(|()| path.parent().map_or(Ok(()), |folder| disk.sync_folder(folder)))
            .and_then(|()| failpoint::hit("blob.folder_synced"));
        if let Err(error) = folder_synced {
            let _ = super::remove(&*disk, &path);
            return Err(error.into());
        }
        let blob = Blob {
            digest,
            size: written,
            key,
            checksums: self.sums.summer.clone().finish(),
        };
        Ok(VerifiedBlob::new(blob, sums))
    }

    fn open(&mut self) -> Result<&mut dyn DiskFile> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                // Not one that is there: it would be that of a newer writer, in another process.
                let file = self.disk.create(&self.path).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => taken_over(),
                    _ => error.into(),
                })?;
                exclusive(&*file)?;
                if !is_at(&*self.disk, &*file, &self.path)? {
                    return Err(taken_over());
                }
                file
            }
        };
        Ok(&mut **self.file.insert(file))
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

pub(super) fn gone() -> Error {
    Error::not_found(What::Upload, "the upload's bytes are gone; start again")
}

/// Keeps a writer of another process out: two writers on one file would let bytes in that nobody hashed.
fn exclusive(file: &dyn DiskFile) -> Result<()> {
    file.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::new(
            ErrorKind::Conflict,
            What::Upload,
            "another request is writing this upload; try again shortly",
        ),
        _ => error.into(),
    })
}

/// Whether what lies at `path` is this file, and not gone or another one.
fn is_at(disk: &dyn Disk, file: &dyn DiskFile, path: &Path) -> io::Result<bool> {
    match (file.stat()?, disk.stat(path)) {
        (own, Ok(found)) => Ok(own.identity == found.identity),
        (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        (_, Err(error)) => Err(error),
    }
}

/// Proves that a file is the blob that its key promises, with all of its checksums, and makes it durable under a new key:
/// the sweep may be about to remove the old one, which no row names. `None` when it is another one.
pub(super) fn prove(disk: &dyn Disk, path: &Path, digest: &Digest, upload: UploadId, blobs: &Path) -> Result<Option<VerifiedBlob>> {
    let mut file = disk.reopen(path)?;
    let size = file.stat()?.length;
    let fresh = Sums {
        file: Some(FileSummer::default()),
        ..Sums::new(digest.algorithm())
    };
    let sums = sum_file(&mut *file, fresh, size)?;
    let (found, file_sums) = sums.results();
    if found != *digest {
        return Ok(None);
    }
    file.sync_data()?;
    file.renew()?;
    let (key, path) = name(disk, path, digest, upload.next(), blobs)?;
    if let Some(folder) = path.parent() {
        disk.sync_folder(folder)?;
    }
    let blob = Blob {
        digest: found,
        size,
        key,
        checksums: sums.summer.finish(),
    };
    Ok(Some(VerifiedBlob::new(blob, file_sums)))
}

/// Gives an upload's file a key that no other file has.
///
/// The upload's own may be taken: by a process that died between this and its row, or by one that is about to write
/// that row. So what lies there is never replaced; the sweep removes it, should no row come to name it.
fn name(disk: &dyn Disk, from: &Path, digest: &Digest, upload: UploadId, blobs: &Path) -> io::Result<(StorageKey, PathBuf)> {
    let mut id = upload;
    loop {
        let key = StorageKey::new(digest, &id);
        let path = blobs.join(key.as_str());
        match disk.rename(from, &path) {
            Ok(()) => return Ok((key, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => id = id.next(),
            Err(error) => return Err(error),
        }
    }
}

/// Takes in the first `length` bytes of a file.
fn sum_file(file: &mut dyn DiskFile, mut sums: Sums, length: u64) -> Result<Sums> {
    file.seek(SeekFrom::Start(0))?;
    let mut left = length;
    let mut buffer = vec![0; REHASH];
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(REHASH).min(REHASH);
        file.read_exact(&mut buffer[..want])?;
        sums.update(&buffer[..want]);
        left -= want as u64;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::disk::RealDisk;
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_became_a_blob_since_it_was_opened_is_not_taken_over() {
        for begun_anew in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (path, blob) = (folder.path().join("upload"), folder.path().join("blob"));
            fs::write(&path, "all of the blob").unwrap();
            let disk = Arc::new(RealDisk);
            let file = disk.reopen(&path).unwrap();
            fs::rename(&path, &blob).unwrap();
            if begun_anew {
                fs::write(&path, "of another writer").unwrap();
            }
            // It would cut the blob off at 4 bytes and write on.
            let taken = Sink::take_over(disk, file, path.clone(), Algorithm::Sha256, 4, None);
            let error = taken.err().unwrap();
            assert_eq!((error.kind(), error.what()), (ErrorKind::NotFound, What::Upload));
            assert_eq!(fs::read_to_string(&blob).unwrap(), "all of the blob");
            assert_eq!(fs::read_to_string(&path).ok(), begun_anew.then(|| "of another writer".to_owned()));
        }
    }
}
