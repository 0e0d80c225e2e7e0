//! Bytes of a blob, in pieces that grow once the client has shown that it keeps up,
//! with the next piece being read while the last one is on its way.

use super::blocking;
use crate::blob::ByteStream;
use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::stream;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use tokio::task::JoinHandle;

/// The first piece: a slow reader never makes the server hold more than two of these.
const FIRST_PIECE: u64 = 256 * 1024;
/// Later pieces.
const PIECE: u64 = 1024 * 1024;

/// The bytes `range` of the file at `path`. Opening and the first read share one change of thread.
pub(super) async fn stream(path: PathBuf, range: Range<u64>) -> Result<ByteStream> {
    let left = range.end.saturating_sub(range.start);
    let first = left.min(FIRST_PIECE);
    let (bytes, file) = blocking(move || {
        let mut file = File::open(&path).map_err(|error| Error::internal(format!("{}: {error}", path.display())))?;
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start))?;
        }
        let bytes = read_exactly(&mut file, first)?;
        Ok((bytes, file))
    })
    .await?;
    let left = left - first;
    if left == 0 {
        return Ok(Box::pin(stream::iter([Ok(bytes)])));
    }
    let pump = Pump {
        next: Some(read_next(file, left, FIRST_PIECE * 2)),
        piece: FIRST_PIECE * 2,
        left,
    };
    Ok(Box::pin(stream::unfold((Some(bytes), pump), |(ready, mut pump)| async {
        if let Some(bytes) = ready {
            return Some((Ok(bytes), (None, pump)));
        }
        let item = pump.pull().await?;
        Some((item, (None, pump)))
    })))
}

struct Pump {
    next: Option<JoinHandle<Result<(Bytes, File)>>>,
    piece: u64,
    left: u64,
}

impl Pump {
    /// The next piece, with the one after it set going; `None` at the end and after an error.
    async fn pull(&mut self) -> Option<Result<Bytes>> {
        let done = self.next.take()?.await.map_err(Error::internal).and_then(|done| done);
        Some(done.map(|(bytes, file)| {
            self.left -= bytes.len() as u64;
            if self.left > 0 {
                self.piece = (self.piece * 2).min(PIECE);
                self.next = Some(read_next(file, self.left, self.piece));
            }
            bytes
        }))
    }
}

fn read_next(mut file: File, left: u64, piece: u64) -> JoinHandle<Result<(Bytes, File)>> {
    tokio::task::spawn_blocking(move || Ok((read_exactly(&mut file, left.min(piece))?, file)))
}

/// Exactly `count` bytes, or an error: a file shorter than the catalog believes is damage.
fn read_exactly(file: &mut File, count: u64) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let read = Read::by_ref(file).take(count).read_to_end(&mut bytes)?;
    if read as u64 != count {
        return Err(Error::internal("a blob's file is shorter than its size in the catalog"));
    }
    Ok(bytes.into())
}
