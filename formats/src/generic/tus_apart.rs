//! Work that goes on without its client: a line that breaks ends the request, and with it all that runs in it.
//!
//! So what is done with an upload is done on a task of its own, and the request only hands the body over. What has come
//! is kept then, and what was begun is brought to its end, whether or not anybody still listens.

use crate::handler::Body;
use futures_util::{StreamExt as _, stream};
use granary_storage::blob::ByteStream;
use granary_storage::{Error, Result, What};
use std::future::Future;
use tokio::sync::{mpsc, oneshot};

/// Does some work with a body, and gives what comes of it to who still waits. Nothing of the body is read before the
/// work asks for it; where the client is gone, it ends in an error.
pub(super) async fn apart<T, W>(mut body: Body, work: impl FnOnce(ByteStream) -> W) -> Result<T>
where
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send + 'static,
{
    let (wanted, is_wanted) = oneshot::channel();
    let (sender, receiver) = mpsc::channel(1);
    let work = tokio::spawn(work(pieces(wanted, receiver)));
    // Work that ends without the body has dropped it.
    if is_wanted.await.is_ok() {
        loop {
            let piece = tokio::select! {
                biased;
                () = sender.closed() => break,
                piece = body.next() => piece,
            };
            let is_last = !matches!(piece, Some(Ok(_)));
            if sender.send(piece).await.is_err() || is_last {
                break;
            }
        }
    }
    work.await.map_err(Error::internal)?
}

type Piece = Option<Result<bytes::Bytes>>;

/// The body as the work sees it.
fn pieces(wanted: oneshot::Sender<()>, receiver: mpsc::Receiver<Piece>) -> ByteStream {
    Box::pin(stream::unfold((Some(wanted), Some(receiver)), |(wanted, receiver)| async move {
        let mut receiver = receiver?;
        if let Some(wanted) = wanted {
            // Who does not hear it is gone, which the next line finds.
            let _ = wanted.send(());
        }
        match receiver.recv().await {
            Some(Some(piece)) => Some((piece, (None, Some(receiver)))),
            Some(None) => None,
            None => Some((
                Err(Error::invalid(What::Size, "the client was gone before the body's end")),
                (None, None),
            )),
        }
    }))
}
