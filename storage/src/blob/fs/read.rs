//! Bytes of a blob, piece by piece, each compared with its checksum before it goes out,
//! with the next piece being read while the last one is on its way.

use super::blocking;
use super::buffer::Buffers;
use super::disk::{Disk, DiskFile};
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
    let state = (Some(bytes), reading.ahead());
    Ok(Box::pin(stream::unfold(state, |(ready, ahead)| async {
        if let Some(bytes) = ready {
            return Some((Ok(bytes), (None, ahead)));
        }
        match ahead?.await {
            Ok(Ok((bytes, reading))) => Some((Ok(bytes), (None, reading.ahead()))),
            Ok(Err(error)) => Some((Err(error), (None, None))),
            Err(error) => Some((Err(crate::Error::internal(error)), (None, None))),
        }
    })))
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

    /// Sets the next piece going, unless everything has been read.
    fn ahead(mut self) -> Option<JoinHandle<Result<(Bytes, Self)>>> {
        if self.next * PIECE >= self.wanted.end {
            return None;
        }
        Some(tokio::task::spawn_blocking(move || Ok((self.piece()?, self))))
    }
}
