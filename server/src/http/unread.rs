//! Bodies that are answered before they were read to their end.
//!
//! Of one with a length the framework closes the connection, after a moment in which the client may read the answer.
//! One in chunks it would go on reading, without any limit and, where it had paused, without ever waking up again; so
//! that it does not, the body is kept until the answer is out.

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::{ConnectionType, header::TRANSFER_ENCODING};
use bytes::Bytes;
use futures_util::Stream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Sees to it that a connection ends with the answer to a request whose chunks were not all read.
pub(super) fn close_on_unread<S>(
    mut request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let chunks = request.headers().contains_key(TRANSFER_ENCODING).then(|| {
        let chunks = Chunks(Rc::new(RefCell::new(Some(request.take_payload()))));
        request.set_payload(Payload::Stream {
            payload: Box::pin(chunks.clone()),
        });
        chunks
    });
    let answer = service.call(request);
    async move {
        let mut response = answer.await?;
        let Some(mut chunks) = chunks else { return Ok(response) };
        if chunks.has_ended().await {
            return Ok(response);
        }
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        Ok(response.map_body(|_, body| BoxBody::new(Holding { body, _chunks: chunks })))
    }
}

/// A request's body in chunks; nothing is left once its end was read.
#[derive(Clone)]
struct Chunks(Rc<RefCell<Option<Payload>>>);

impl Chunks {
    /// Whether nothing is left.
    async fn has_ended(&mut self) -> bool {
        if self.is_at_end().await {
            return true;
        }
        // The framework starts on a request before it has looked at the rest of what came with its head. A request
        // that is answered without a pause gives it no chance to, unless one is made.
        tokio::task::yield_now().await;
        self.is_at_end().await
    }

    async fn is_at_end(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(matches!(Pin::new(&mut *self).poll_next(cx), Poll::Ready(None)))).await
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut rest = self.0.borrow_mut();
        let Some(payload) = rest.as_mut() else { return Poll::Ready(None) };
        let next = Pin::new(payload).poll_next(cx);
        if matches!(next, Poll::Ready(None)) {
            *rest = None;
        }
        next
    }
}

/// An answer that keeps the rest of the request.
struct Holding {
    body: BoxBody,
    _chunks: Chunks,
}

impl MessageBody for Holding {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
