//! Reading bodies, and checking that they are what was pushed.

use crate::content::{self, Blob};
use anyhow::{Result, anyhow, ensure};
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// How received content is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Verify {
    /// Recompute the SHA-256 of everything received (client CPU: about 0.5 s a GiB)
    Digest,
    /// Compare received blobs with what was sent (as strong, cheaper)
    Bytes,
    /// Lengths only
    None,
}

/// Reads a body and throws it away; gives its length.
pub(crate) async fn drain(response: Response<Incoming>) -> Result<u64> {
    let mut length = 0;
    each_piece(response, |piece| {
        length += piece.len() as u64;
        Ok(())
    })
    .await?;
    Ok(length)
}

/// Reads a range of a blob and checks it; gives its length. A part of a blob has no digest, so it is compared.
///
/// # Errors
/// When the content or its length is not what it should be.
pub(crate) async fn read_blob(response: Response<Incoming>, blob: &Blob, range: Range<u64>, verify: Verify) -> Result<u64> {
    let mut check = Check::new(blob, range, verify);
    each_piece(response, |piece| check.take(piece)).await?;
    check.finish()
}

async fn each_piece(response: Response<Incoming>, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(piece) = frame.map_err(|error| anyhow!("read: {error}"))?.data_ref() {
            take(piece)?;
        }
    }
    Ok(())
}

/// The check of a range of a blob while it comes in.
struct Check<'b> {
    blob: &'b Blob,
    range: Range<u64>,
    /// Where the next byte belongs.
    at: u64,
    how: How,
}

enum How {
    Hash(Sha256),
    Compare,
    Count,
}

impl<'b> Check<'b> {
    fn new(blob: &'b Blob, range: Range<u64>, verify: Verify) -> Self {
        let whole = range == (0..blob.size);
        let how = match verify {
            Verify::Digest if whole => How::Hash(Sha256::new()),
            Verify::Digest | Verify::Bytes => How::Compare,
            Verify::None => How::Count,
        };
        Self {
            blob,
            at: range.start,
            range,
            how,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<()> {
        match &mut self.how {
            How::Hash(hash) => hash.update(piece),
            How::Compare => ensure!(content::matches(self.blob.seed, self.at, piece), "the content differs"),
            How::Count => {}
        }
        self.at += piece.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<u64> {
        let (length, wanted) = (self.at - self.range.start, self.range.end - self.range.start);
        ensure!(length == wanted, "the length is {length} instead of {wanted}");
        if let How::Hash(hash) = self.how {
            ensure!(content::digest_text(hash) == self.blob.digest, "the digest differs");
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Checks bytes that come in two pieces.
    fn check(blob: &Blob, range: Range<u64>, verify: Verify, received: &[u8]) -> Result<u64> {
        let mut check = Check::new(blob, range, verify);
        let (left, right) = received.split_at(received.len() / 3);
        check.take(left)?;
        check.take(right)?;
        check.finish()
    }

    #[test]
    fn what_was_sent_passes_whole_and_in_part() {
        let blob = Blob::new(5, 10_000);
        let whole = content::bytes(5, 0, 10_000);
        for verify in [Verify::Digest, Verify::Bytes, Verify::None] {
            assert_eq!(check(&blob, 0..10_000, verify, &whole).unwrap(), 10_000);
            assert_eq!(check(&blob, 4000..9000, verify, &whole[4000..9000]).unwrap(), 5000);
        }
    }

    #[test]
    fn a_wrong_byte_is_found_whole_and_in_part() {
        let blob = Blob::new(5, 10_000);
        let mut bad = content::bytes(5, 0, 10_000).to_vec();
        bad[6000] ^= 1;
        for verify in [Verify::Digest, Verify::Bytes] {
            assert!(check(&blob, 0..10_000, verify, &bad).is_err());
            assert!(check(&blob, 4000..9000, verify, &bad[4000..9000]).is_err());
        }
        assert!(check(&blob, 0..10_000, Verify::None, &bad).is_ok());
    }

    #[test]
    fn a_wrong_length_is_found_by_every_check() {
        let blob = Blob::new(5, 10_000);
        let longer = content::bytes(5, 0, 10_001);
        for verify in [Verify::Digest, Verify::Bytes, Verify::None] {
            assert!(check(&blob, 0..10_000, verify, &longer[..9_999]).is_err());
            assert!(check(&blob, 0..10_000, verify, &longer).is_err());
            assert!(check(&blob, 0..10, verify, &[]).is_err());
        }
    }
}
