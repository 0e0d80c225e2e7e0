//! A body that is made while it is sent: a straight line of code that writes, and waits for its reader after each piece.

use bytes::Bytes;
use futures_util::stream;
use granary_storage::blob::ByteStream;
use granary_storage::{Error, Result};
use std::pin::Pin;
use std::task::Poll;
use tokio::sync::mpsc;

/// Where the pieces go.
pub(crate) struct Out(mpsc::Sender<Bytes>);

impl Out {
    /// Sends a piece on; nothing is sent for an empty one, which would end a chunked body.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) async fn send(&self, piece: Bytes) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.0.send(piece).await.map_err(Error::internal)
    }
}

/// What `produce` writes, as it is read. It runs only while somebody reads, and is dropped with the body; when it fails, so
/// does the body, so that what broke off does not pass for the whole.
pub(crate) fn produced<Making>(produce: impl FnOnce(Out) -> Making) -> ByteStream
where
    Making: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, mut pieces) = mpsc::channel(1);
    let mut making: Option<Pin<Box<Making>>> = Some(Box::pin(produce(Out(sender))));
    let mut failure = None;
    Box::pin(stream::poll_fn(move |cx| {
        if let Some(running) = &mut making
            && let Poll::Ready(outcome) = running.as_mut().poll(cx)
        {
            // The sender goes with it, so that the channel ends.
            making = None;
            failure = outcome.err();
        }
        pieces.poll_recv(cx).map(|piece| match piece {
            Some(piece) => Some(Ok(piece)),
            None => failure.take().map(Err),
        })
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures_util::StreamExt as _;
    use granary_storage::What;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn pieces_come_in_order_and_no_faster_than_they_are_read() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let mut body = produced(|out| async move {
            for piece in 0..100_u8 {
                out.send(Bytes::from(vec![piece])).await?;
                out.send(Bytes::new()).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        for piece in 0..100_u8 {
            assert_eq!(body.next().await.unwrap().unwrap(), vec![piece]);
            assert!(made.load(Ordering::Relaxed) <= usize::from(piece) + 2);
        }
        assert!(body.next().await.is_none());
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_failure_comes_behind_what_was_made_before_it_and_is_the_last() {
        let mut body = produced(|out| async move {
            out.send(Bytes::from_static(b"begun")).await?;
            tokio::task::yield_now().await;
            Err(Error::not_found(What::File, "gone"))
        });
        assert_eq!(body.next().await.unwrap().unwrap(), "begun");
        assert_eq!(body.next().await.unwrap().unwrap_err().message(), "gone");
        assert!(body.next().await.is_none());
    }
}
