//! Bytes of a blob, piece by piece, each compared with its checksum before any of it goes out,
//! with the next piece being read while the last one is on its way, unless readers are many.

use super::blocking;
use super::buffer::Buffers;
use super::disk::{Disk, DiskFile};
use super::sink::gone;
use crate::blob::checksum;
use crate::blob::{Blob, ByteStream, corrupt};
use crate::error::Result;
use bytes::Bytes;
use futures_util::stream;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Bytes of a piece.
const PIECE: u64 = checksum::PIECE as u64;
/// Bytes that go out at a time: a connection whose reader takes nothing holds a copy of no more than twice that.
const SLICE: usize = 64 * 1024;
/// Up to this many bytes a buffer of its own size is used rather than one for a whole piece.
const SMALL: u64 = 32 * 1024;

/// An open file, and what of it is still to be read.
struct Reading {
    file: Box<dyn DiskFile>,
    blob: Blob,
    wanted: Range<u64>,
    /// The number of the next piece.
    next: u64,
    buffers: Buffers,
}

/// The bytes `range` of the file at `path`. Opening and the first piece share one change of thread,
/// so that damage in a small blob is an answer rather than a broken connection.
pub(super) async fn stream(disk: Arc<dyn Disk>, path: PathBuf, blob: Blob, range: Range<u64>, buffers: Buffers) -> Result<ByteStream> {
    if range.is_empty() {
        blocking(move || open(&*disk, &path, &blob)).await?;
        return Ok(Box::pin(stream::empty()));
    }
    let (bytes, reading) = blocking(move || {
        let mut reading = Reading {
            file: open(&*disk, &path, &blob)?,
            next: range.start / PIECE,
            wanted: range,
            blob,
            buffers,
        };
        reading.file.seek(SeekFrom::Start(reading.next * PIECE))?;
        let bytes = reading.piece()?;
        Ok((bytes, reading))
    })
    .await?;
    let state = (bytes, reading.and_then());
    Ok(Box::pin(stream::unfold(state, |(mut ready, mut next)| async {
        if ready.is_empty() {
            let read = match next {
                Next::Nothing => return None,
                Next::Piece(reading) => blocking(|| reading.read_on()).await,
                Next::Ahead(reading) => reading.await.unwrap_or_else(|error| Err(crate::Error::internal(error))),
            };
            (ready, next) = match read {
                Ok((bytes, reading)) => (bytes, reading.and_then()),
                Err(error) => return Some((Err(error), (Bytes::new(), Next::Nothing))),
            };
        }
        let slice = ready.split_to(ready.len().min(SLICE));
        Some((Ok(slice), (ready, next)))
    })))
}

/// The first `length` bytes of an upload's file, which no checksum tells anything of.
pub(super) async fn of_upload(disk: Arc<dyn Disk>, path: PathBuf, length: u64, buffers: Buffers) -> Result<ByteStream> {
    let file = blocking(move || {
        let file = disk.open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => gone(),
            _ => error.into(),
        })?;
        match file.stat()?.length < length {
            true => Err(gone()),
            false => Ok(file),
        }
    });
    let state = (file.await?, length);
    Ok(Box::pin(stream::try_unfold(state, move |(mut file, left)| {
        let buffers = buffers.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            blocking(move || {
                let mut buffer = buffers.take();
                file.by_ref().take(left.min(PIECE)).read_to_end(&mut buffer)?;
                let left = left - buffer.len() as u64;
                match buffer.is_empty() {
                    true => Err(gone()),
                    false => Ok(Some((buffer.freeze(), (file, left)))),
                }
            })
            .await
        }
    })))
}

/// Where the bytes after a piece come from.
enum Next {
    /// There are none.
    Nothing,
    /// They are read when they are wanted.
    Piece(Reading),
    /// They are being read.
    Ahead(JoinHandle<Result<(Bytes, Reading)>>),
}

fn open(disk: &dyn Disk, path: &Path, blob: &Blob) -> Result<Box<dyn DiskFile>> {
    let file = disk.open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => corrupt(blob, "its file is missing"),
        _ => error.into(),
    })?;
    if file.stat()?.length != blob.size {
        return Err(corrupt(blob, "its file has another length"));
    }
    Ok(file)
}

impl Reading {
    /// Reads and checks the next piece; gives the part of it that is wanted.
    fn piece(&mut self) -> Result<Bytes> {
        let start = self.next * PIECE;
        let len = PIECE.min(self.blob.size - start);
        let bytes = if len <= SMALL {
            let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
            self.file.by_ref().take(len).read_to_end(&mut bytes)?;
            Bytes::from(bytes)
        } else {
            let mut buffer = self.buffers.take();
            self.file.by_ref().take(len).read_to_end(&mut buffer)?;
            buffer.freeze()
        };
        if bytes.len() as u64 != len || !self.blob.checksums.agree(self.next, &bytes) {
            return Err(corrupt(&self.blob, format!("piece {} of it reads back otherwise", self.next)));
        }
        self.next += 1;
        let within = |at: u64| usize::try_from(at.clamp(start, start + len) - start).unwrap_or(0);
        Ok(bytes.slice(within(self.wanted.start)..within(self.wanted.end)))
    }

    /// The next piece, and what comes after it.
    fn read_on(mut self) -> Result<(Bytes, Self)> {
        Ok((self.piece()?, self))
    }

    /// Sets the next piece going, if there is one and memory to spare for it.
    fn and_then(self) -> Next {
        if self.next * PIECE >= self.wanted.end {
            Next::Nothing
        } else if self.buffers.are_plenty() {
            Next::Ahead(tokio::task::spawn_blocking(|| self.read_on()))
        } else {
            Next::Piece(self)
        }
    }
}
