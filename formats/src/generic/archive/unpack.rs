//! The bytes of a stored archive, unpacked as they are wanted: a small piece at a time, off the async workers, and no more
//! of it than the limits allow.

use super::fault;
use bytes::Bytes;
use flate2::write::{DeflateDecoder, GzDecoder};
use futures_util::StreamExt as _;
use granary_storage::blob::{Blob, ByteStream};
use granary_storage::{Error, Result, Stores};
use std::io::{self, Write as _};
use std::ops::Range;

/// Packed bytes that are unpacked at a time: no more than about a thousand times as many come out of them.
const STEP: usize = 1024;
/// Packed bytes after which a piece is complete: some unpack to nothing, and cost more than those that do not.
const TURN: usize = 8 * STEP;
/// Unpacked bytes after which a piece is complete.
const PIECE: usize = 128 * 1024;
/// Bytes whose ratio to the packed ones does not matter.
const RATIO_FREE: u64 = 1024 * 1024;
/// Packed bytes that may unpack to nothing: the longest header of a gzip member, which names and describes its content,
/// has fewer.
const WASTE_FREE: u64 = 256 * 1024;
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
    Gzip(Members),
}

/// What is packed by gzip, member by member (RFC 1952 §2.2).
struct Members {
    member: GzDecoder<Vec<u8>>,
    /// How many there may be yet.
    left: usize,
}

impl Members {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let taken = self.member.write(bytes)?;
        if taken > 0 {
            return Ok(taken);
        }
        // The member ends here, and another one begins.
        self.left = self.left.checked_sub(1).ok_or(Fault::TooManyMembers)?;
        self.member.try_finish()?;
        let unpacked = std::mem::take(self.member.get_mut());
        self.member = GzDecoder::new(unpacked);
        Ok(self.member.write(bytes)?)
    }
}

/// Why something is not unpacked any further.
enum Fault {
    Broken(io::Error),
    TooManyMembers,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Decoder {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match self {
            Self::Deflate(decoder) => Ok(decoder.write(bytes)?),
            Self::Gzip(members) => members.write(bytes),
        }
    }

    /// Unpacks what one turn has time for, and what is left in the decoder when the packed bytes have `ended`.
    fn turn(&mut self, waiting: &mut Bytes, ended: bool) -> Result<(), Fault> {
        let begun = waiting.len();
        while !waiting.is_empty() && begun - waiting.len() < TURN && self.unpacked().len() < PIECE {
            match self.write(&waiting[..waiting.len().min(STEP)])? {
                // The packed bytes say that they end here.
                0 => waiting.clear(),
                taken => drop(waiting.split_to(taken)),
            }
        }
        if ended { Ok(self.finish()?) } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Gzip(members) => members.member.try_finish(),
        }
    }

    fn unpacked(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Gzip(members) => members.member.get_mut(),
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
    /// Bytes that were read.
    read: u64,
    /// Bytes of these that were unpacked.
    packed: u64,
    /// Bytes that came out of them, or, where nothing is packed, that were read.
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
            Coding::Gzip => Some(Decoder::Gzip(Members {
                member: GzDecoder::new(Vec::new()),
                left: stores.limits.archive_members.saturating_sub(1),
            })),
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
            read: 0,
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
                        self.read += self.waiting.len() as u64;
                    }
                    None => self.ended = true,
                }
            }
            if self.decoder.is_none() {
                let bytes = std::mem::take(&mut self.waiting);
                self.unpacked += bytes.len() as u64;
                let most = self.stores.limits.archive_unpacked_bytes;
                if self.unpacked > most {
                    return Err(fault(format!(
                        "more than {most} bytes of the archive would have to be read, and it is not looked into"
                    )));
                }
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
            if self.unpacked > RATIO_FREE.saturating_add(self.read.saturating_mul(limits.archive_ratio)) {
                return Err(too_packed(limits.archive_ratio));
            }
            if is_waste(self.packed, self.unpacked) {
                return Err(waste());
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
        let most = self.stores.limits.archive_members;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let begun = waiting.len();
            let outcome = decoder.turn(&mut waiting, ended);
            let (piece, taken) = (std::mem::take(decoder.unpacked()), begun - waiting.len());
            (decoder, waiting, piece, taken, outcome)
        });
        let (decoder, waiting, piece, taken, outcome) = work.await.map_err(Error::internal)?;
        self.waiting = waiting;
        self.packed += taken as u64;
        match outcome {
            // What came before the damage is good.
            Err(Fault::Broken(error)) => {
                self.failed = Some(fault("the archive is damaged: what is packed in it cannot be unpacked").because(error));
            }
            Err(Fault::TooManyMembers) => {
                self.failed = Some(fault(format!(
                    "the archive is packed as more than {most} gzip members, and is not looked into"
                )));
            }
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

/// Of what is smaller, for its packed size, than anything that is not made to be.
pub(super) fn waste() -> Error {
    fault("what is packed in the archive is much smaller than its packed size, and is not unpacked here")
}

/// Whether that is so: deflate adds a few bytes to a block that it cannot make smaller, and blocks of some sense hold
/// more than eight times as many.
pub(super) fn is_waste(packed: u64, unpacked: u64) -> bool {
    packed > WASTE_FREE.saturating_add(unpacked).saturating_add(unpacked / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_whether_much_goes_in_or_much_comes_out() {
        let empty_blocks = Bytes::from([0, 0, 0, 0xff, 0xff].repeat(20_000));
        let mut waiting = empty_blocks.clone();
        let mut decoder = Decoder::Deflate(DeflateDecoder::new(Vec::new()));
        assert!(decoder.turn(&mut waiting, false).is_ok());
        assert_eq!((empty_blocks.len() - waiting.len(), decoder.unpacked().len()), (TURN, 0));

        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        assert!(packer.write_all(&vec![0; 10 * PIECE]).is_ok());
        let mut waiting = Bytes::from(packer.finish().unwrap_or_default());
        let mut decoder = Decoder::Deflate(DeflateDecoder::new(Vec::new()));
        assert!(decoder.turn(&mut waiting, false).is_ok());
        assert!((PIECE..PIECE + 1100 * STEP).contains(&decoder.unpacked().len()));
    }
}
