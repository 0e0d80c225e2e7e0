//! The bytes of a stored archive, unpacked as they are wanted: a small piece at a time, off the async workers, and no more
//! of it than the limits allow.

use super::fault;
use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder};
use futures_util::StreamExt as _;
use granary_storage::blob::{Blob, ByteStream};
use granary_storage::{Error, Result, Stores};
use std::io::{self, Write as _};
use std::ops::Range;

/// Packed bytes that are unpacked at a time: no more than about a thousand times as many come out of them.
const STEP: usize = 1024;
/// Unpacked bytes after which a piece is complete.
const PIECE: usize = 128 * 1024;
/// Bytes whose ratio to the packed ones does not matter.
const RATIO_FREE: u64 = 1024 * 1024;
/// From so many bytes on it is cheaper to go and read behind them than to read them.
const WORTH_A_JUMP: u64 = 512 * 1024;
/// A header or a name, at most, that is read in one.
const WHOLE_MAX: u64 = 1024 * 1024;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// RFC 1951.
    Deflate,
    /// RFC 1952, one member or several.
    Gzip,
}

enum Decoder {
    Deflate(DeflateDecoder<Vec<u8>>),
    Gzip(MultiGzDecoder<Vec<u8>>),
}

impl Decoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Deflate(decoder) => decoder.write(bytes),
            Self::Gzip(decoder) => decoder.write(bytes),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Gzip(decoder) => decoder.try_finish(),
        }
    }

    fn unpacked(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Gzip(decoder) => decoder.get_mut(),
        }
    }
}

/// Part of a blob, unpacked.
pub(super) struct Unpacked {
    stores: Stores,
    blob: Blob,
    input: ByteStream,
    /// Which bytes of the blob.
    part: Range<u64>,
    decoder: Option<Box<Decoder>>,
    /// Input that has come and is not unpacked.
    waiting: Bytes,
    /// Unpacked, and not taken.
    ready: Bytes,
    /// Bytes that were taken.
    at: u64,
    packed: u64,
    unpacked: u64,
    ended: bool,
    failed: Option<Error>,
}

impl Unpacked {
    /// Of these bytes of a blob.
    pub(super) async fn open(stores: &Stores, blob: &Blob, part: Range<u64>, coding: Coding) -> Result<Self> {
        let decoder = match coding {
            Coding::Plain => None,
            Coding::Deflate => Some(Decoder::Deflate(DeflateDecoder::new(Vec::new()))),
            Coding::Gzip => Some(Decoder::Gzip(MultiGzDecoder::new(Vec::new()))),
        };
        Ok(Self {
            input: stores.read(blob, part.clone()).await?,
            stores: stores.clone(),
            blob: blob.clone(),
            part,
            decoder: decoder.map(Box::new),
            waiting: Bytes::new(),
            ready: Bytes::new(),
            at: 0,
            packed: 0,
            unpacked: 0,
            ended: false,
            failed: None,
        })
    }

    /// How many bytes were taken.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Some of the bytes that come next, `most` at most; `None` behind the last one.
    pub(super) async fn some(&mut self, most: u64) -> Result<Option<Bytes>> {
        while self.ready.is_empty() {
            match self.more().await? {
                Some(piece) => self.ready = piece,
                None => return Ok(None),
            }
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.ready.len());
        let taken = self.ready.split_to(most);
        self.at += taken.len() as u64;
        Ok(Some(taken))
    }

    /// The next `size` bytes; fewer at the end.
    pub(super) async fn whole(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > WHOLE_MAX {
            return Err(fault("the archive holds a name, or attributes, of more than 1 MiB"));
        }
        let mut bytes = Vec::new();
        while let left @ 1.. = size - bytes.len() as u64
            && let Some(some) = self.some(left).await?
        {
            bytes.extend_from_slice(&some);
        }
        Ok(bytes)
    }

    /// Passes over bytes; fewer than `size` are passed at the end.
    pub(super) async fn skip(&mut self, mut size: u64) -> Result<()> {
        if self.decoder.is_none() && size > self.ready.len() as u64 + WORTH_A_JUMP {
            // Nothing is waiting where nothing is packed.
            let to = self.part.start.saturating_add(self.at).saturating_add(size).min(self.part.end);
            self.at = to - self.part.start;
            self.ready = Bytes::new();
            self.input = self.stores.read(&self.blob, to..self.part.end).await?;
            return Ok(());
        }
        while size > 0
            && let Some(some) = self.some(size).await?
        {
            size -= some.len() as u64;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.waiting.is_empty() && !self.ended {
                match self.input.next().await {
                    Some(bytes) => {
                        self.waiting = bytes?;
                        self.packed += self.waiting.len() as u64;
                    }
                    None => self.ended = true,
                }
            }
            if self.decoder.is_none() {
                let bytes = std::mem::take(&mut self.waiting);
                return Ok((!self.ended).then_some(bytes));
            }
            let Some(piece) = self.unpack().await? else { return Ok(None) };
            self.unpacked += piece.len() as u64;
            let limits = &self.stores.limits;
            if self.unpacked > limits.archive_unpacked_bytes {
                let most = limits.archive_unpacked_bytes;
                return Err(fault(format!(
                    "the archive has more than {most} bytes when it is unpacked, and is not looked into"
                )));
            }
            if self.unpacked > RATIO_FREE.saturating_add(self.packed.saturating_mul(limits.archive_ratio)) {
                return Err(too_packed(limits.archive_ratio));
            }
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
    }

    /// Unpacks a piece of what is waiting, or of what is left at the end; `None` when nothing is left.
    async fn unpack(&mut self) -> Result<Option<Vec<u8>>> {
        let (Some(mut decoder), mut waiting, ended) = (self.decoder.take(), std::mem::take(&mut self.waiting), self.ended) else {
            return Ok(None);
        };
        let turn = self.stores.archive_work.clone().acquire_owned().await.map_err(Error::internal)?;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let outcome = (|| {
                while !waiting.is_empty() && decoder.unpacked().len() < PIECE {
                    match decoder.write(&waiting[..waiting.len().min(STEP)])? {
                        // The packed bytes say that they end here.
                        0 => waiting.clear(),
                        taken => drop(waiting.split_to(taken)),
                    }
                }
                if ended { decoder.finish() } else { Ok(()) }
            })();
            let piece = std::mem::take(decoder.unpacked());
            (decoder, waiting, piece, outcome)
        });
        let (decoder, waiting, piece, outcome) = work.await.map_err(Error::internal)?;
        self.waiting = waiting;
        let broken = |error: io::Error| fault("the archive is damaged: what is packed in it cannot be unpacked").because(error);
        match outcome {
            // What came before the damage is good.
            Err(error) => self.failed = Some(broken(error)),
            Ok(()) if !ended => self.decoder = Some(decoder),
            Ok(()) => {}
        }
        match (piece.is_empty(), ended, &self.failed) {
            (true, true, None) => Ok(None),
            _ => Ok(Some(piece)),
        }
    }
}

/// Of what is larger, for its packed size, than anything that is not made to be.
pub(super) fn too_packed(ratio: u64) -> Error {
    fault(format!(
        "what is packed in the archive has more than {ratio} times its packed size, and is not unpacked here"
    ))
}

/// Whether an entry that says so of itself is.
pub(super) fn is_too_packed(packed: u64, unpacked: u64, ratio: u64) -> bool {
    unpacked > RATIO_FREE.saturating_add(packed.saturating_mul(ratio))
}
