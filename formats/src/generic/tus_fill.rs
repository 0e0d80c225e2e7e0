//! The body of a request to an upload by tus, on its way into the session.

use super::tus_headers::checksum;
use crate::body::content_length;
use crate::handler::Head;
use futures_util::StreamExt as _;
use granary_storage::blob::ByteStream;
use granary_storage::catalog::TusUpload;
use granary_storage::sums::{Sum, Summing};
use granary_storage::upload::{Running, Writing};
use granary_storage::{Error, ErrorKind, Result, Stores, What};

/// What a request says of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `Upload-Checksum`.
    pub checksum: Option<Sum>,
}

impl Piece {
    pub(super) fn of(head: &Head<'_>) -> Result<Self> {
        Ok(Self {
            length: content_length(head)?,
            checksum: checksum(head)?,
        })
    }
}

/// What has become of a body.
pub(super) enum Filled {
    /// It does not have its checksum; the upload stands where it stood.
    Mismatch,
    /// With it, the upload has all bytes of its file. Who asks for it waits while the second is held.
    Whole(Box<Writing>, Running),
    /// There is more to come, or to be joined with it. The upload stands here.
    Part(u64),
}

/// A session while a body comes in.
pub(super) struct Session<'s> {
    pub(super) stores: &'s Stores,
    pub(super) upload: &'s TusUpload,
}

impl Session<'_> {
    /// Takes the body in. With a checksum it counts as a whole or not at all; without one, what came is kept.
    pub(super) async fn fill(&self, mut writing: Writing, mut body: ByteStream, piece: &Piece) -> Result<Filled> {
        let (start, length) = (writing.offset(), piece.length);
        let mut summing = piece.checksum.map(|sum| Summing::new(sum.kind()));
        let mut acknowledged = start;
        let end = loop {
            let chunk = match body.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            };
            let behind = writing.offset() + chunk.len() as u64;
            if let Some(most) = self.upload.length.filter(|most| behind > *most) {
                break Err(too_long(most));
            }
            if length.is_some_and(|length| behind - start > length) {
                let sentence = "the body is longer than was announced";
                break Err(Error::new(ErrorKind::Invalid, What::Request, sentence));
            }
            if let Some(summing) = &mut summing {
                summing.update(&chunk);
            }
            writing.write(chunk).await?;
            let due = behind - acknowledged >= self.stores.limits.upload_acknowledge;
            if summing.is_none() && due && self.upload.length.is_none_or(|length| behind < length) {
                acknowledged = behind;
                writing = writing.acknowledge().await?;
                if !self.upload.is_part() {
                    writing.with_sums().await?;
                }
            }
        };
        // Who asks from now on is told of what came, rather than losing it.
        let running = self.stores.uploads.bring_to_end(self.upload.id);
        let broke_off =
            |error: &Error| error.kind() == ErrorKind::Timeout || (error.kind(), error.what()) == (ErrorKind::Invalid, What::Size);
        let all_came = length == Some(writing.offset() - start) || is_whole(self.upload, &writing);
        let end = match end {
            // A client that is gone once all of it has come has said all it had to say.
            Err(error) if all_came && broke_off(&error) => Ok(()),
            end => end,
        };
        let end = end.and_then(|()| match length {
            Some(length) if writing.offset() - start != length => {
                Err(Error::invalid(What::Size, "the body does not have the length that was announced"))
            }
            _ => Ok(()),
        });
        if let Err(error) = end {
            if broke_off(&error) && summing.is_none() {
                writing.park().await?;
            } else {
                writing.give_up().await?;
            }
            return Err(error);
        }
        if let Some((summing, sum)) = summing.zip(piece.checksum.as_ref())
            && !summing.is(sum)
        {
            writing.give_up().await?;
            return Ok(Filled::Mismatch);
        }
        Ok(match is_whole(self.upload, &writing) {
            true => Filled::Whole(Box::new(writing), running),
            false => Filled::Part(writing.park().await?),
        })
    }
}

/// Whether all bytes of a file are here.
pub(super) fn is_whole(upload: &TusUpload, writing: &Writing) -> bool {
    upload.length == Some(writing.offset()) && !upload.is_part()
}

pub(super) fn elsewhere(offset: u64) -> Error {
    let sentence = format!("the upload stands at {offset} bytes; go on from there");
    Error::new(ErrorKind::Conflict, What::Upload, sentence)
}

pub(super) fn too_long(length: u64) -> Error {
    let sentence = format!("the upload was to have {length} bytes, and more were sent");
    Error::new(ErrorKind::TooLarge, What::File, sentence)
}
