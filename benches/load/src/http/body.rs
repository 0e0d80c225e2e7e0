//! What requests carry. Blobs are made while they are sent, so memory does not grow with their size.

use crate::content::{self, Blob};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of a blob made at a time.
const PIECE: u64 = 128 * 1024;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By `Content-Length`.
    Length,
    /// By chunked transfer coding, as clients do that do not know the length beforehand.
    Chunked,
}

/// What a request carries; it can be sent more than once.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A whole blob.
    Blob {
        /// What its bytes follow from.
        seed: u64,
        /// Its length in bytes.
        size: u64,
        /// How its end is told.
        framing: Framing,
    },
}

impl Payload {
    /// A whole blob, with its length told beforehand.
    pub(crate) fn blob(blob: &Blob) -> Self {
        Self::stream(blob.seed, blob.size)
    }

    /// The same of a blob whose digest nobody needs.
    pub(crate) fn stream(seed: u64, size: u64) -> Self {
        Self::Blob {
            seed,
            size,
            framing: Framing::Length,
        }
    }

    /// The same in chunked transfer coding, where that makes a difference.
    pub(crate) fn chunked(self) -> Self {
        match self {
            Self::Blob { seed, size, .. } => Self::Blob {
                seed,
                size,
                framing: Framing::Chunked,
            },
            other => other,
        }
    }

    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }

    pub(super) fn body(&self) -> PayloadBody {
        PayloadBody {
            payload: self.clone(),
            sent: 0,
        }
    }
}

/// A payload on its way.
pub(super) struct PayloadBody {
    payload: Payload,
    sent: u64,
}

impl PayloadBody {
    fn left(&self) -> u64 {
        self.payload.size() - self.sent
    }
}

impl Body for PayloadBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.left();
        if left == 0 {
            return Poll::Ready(None);
        }
        let piece = match &self.payload {
            Payload::Empty => return Poll::Ready(None),
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::Blob { seed, .. } => content::bytes(*seed, self.sent, PIECE.min(left) as usize),
        };
        self.sent += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.payload {
            Payload::Blob {
                framing: Framing::Chunked, ..
            } => SizeHint::default(),
            _ => SizeHint::with_exact(self.left()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use http_body_util::BodyExt as _;

    fn sent(payload: &Payload) -> Bytes {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { payload.body().collect().await.unwrap().to_bytes() })
    }

    #[test]
    fn a_payload_is_sent_whole_and_can_be_sent_again() {
        let blob = Blob::new(3, 300_001);
        for (payload, bytes) in [
            (Payload::Empty, Bytes::new()),
            (Payload::Bytes(Bytes::new()), Bytes::new()),
            (Payload::Bytes(Bytes::from_static(b"abc")), Bytes::from_static(b"abc")),
            (Payload::blob(&blob), content::bytes(3, 0, 300_001)),
            (Payload::blob(&blob).chunked(), content::bytes(3, 0, 300_001)),
        ] {
            assert_eq!(payload.size(), bytes.len() as u64);
            assert_eq!(sent(&payload), bytes);
            assert_eq!(sent(&payload), bytes);
        }
    }

    #[test]
    fn the_length_is_told_unless_the_transfer_is_chunked() {
        let blob = Blob::new(3, 300_001);
        assert_eq!(Payload::blob(&blob).body().size_hint().exact(), Some(300_001));
        assert_eq!(Payload::blob(&blob).chunked().body().size_hint().exact(), None);
        assert_eq!(Payload::Empty.body().size_hint().exact(), Some(0));
        assert!(Payload::Empty.body().is_end_stream());
    }
}
