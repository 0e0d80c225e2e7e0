//! Between the web framework and the formats: a request becomes a `Head` and a `Body`,
//! a `Reply` becomes a response. The only file that knows both sides.

use super::origin::origin;
use super::state::State;
use actix_web::body::{BodySize, BoxBody, MessageBody, SizedStream};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use granary_formats::{Body, Caller, Head, Headers, Reply, ReplyBody, Route};
use granary_storage::{Error, ErrorKind, Result, What};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Takes a request to its format and back.
pub(super) async fn to_format(state: &State, route: Route<'_>, rest: &str, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    let method = http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or(http::Method::TRACE);
    let headers = RequestHeaders(request.headers());
    let caller = Caller {
        principal: state.authenticator.principal(headers.get("authorization")).await,
        origin: origin(request, &state.origins),
    };
    let head = Head {
        method: &method,
        path: rest,
        query: request.uri().query().unwrap_or(""),
        headers: &headers,
    };
    // In HTTP/2 a body needs no header that announces it.
    let has_body = request.version() >= actix_web::http::Version::HTTP_2
        || headers.get("content-length").is_some_and(|length| length != "0")
        || headers.get("transfer-encoding").is_some();
    let body: Body = if has_body {
        Box::pin(IdleLimited::new(payload, state.body_idle))
    } else {
        Box::pin(stream::empty())
    };
    let reply = route.dispatch(&state.dispatch, caller, head, body).await;
    respond(reply, method == http::Method::HEAD)
}

struct RequestHeaders<'r>(&'r HeaderMap);

impl Headers for RequestHeaders<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

/// A reply as the framework sends it. `head`: keep the length, leave the body out.
pub(super) fn respond(reply: Reply, head: bool) -> HttpResponse {
    let Reply { status, headers, body } = reply;
    let status = actix_web::http::StatusCode::from_u16(status.as_u16()).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let body = match body {
        ReplyBody::Empty => BoxBody::new(()),
        ReplyBody::Omitted { len } => BoxBody::new(LengthOnly(len)),
        ReplyBody::Bytes(bytes) if head => BoxBody::new(LengthOnly(bytes.len() as u64)),
        ReplyBody::Stream { len, .. } if head => BoxBody::new(LengthOnly(len)),
        ReplyBody::Bytes(bytes) => BoxBody::new(bytes),
        ReplyBody::Stream { len, stream } => BoxBody::new(SizedStream::new(len, stream)),
    };
    let mut response = HttpResponse::with_body(status, body);
    for (name, value) in &headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The body of an answer to HEAD: a length, and nothing to send.
struct LengthOnly(u64);

impl MessageBody for LengthOnly {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::result::Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

/// A request's body that ends in an error when the client sends nothing for too long:
/// the framework itself waits for ever.
struct IdleLimited {
    payload: web::Payload,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
}

impl IdleLimited {
    fn new(payload: web::Payload, idle: Duration) -> Self {
        Self {
            payload,
            idle,
            timer: Box::pin(sleep(idle)),
        }
    }
}

impl Stream for IdleLimited {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.payload).poll_next(cx) {
            Poll::Ready(frame) => {
                let deadline = Instant::now() + self.idle;
                self.timer.as_mut().reset(deadline);
                Poll::Ready(frame.map(|frame| frame.map_err(|cause| broken(&cause))))
            }
            Poll::Pending => {
                ready!(self.timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(Error::new(
                    ErrorKind::Timeout,
                    What::Request,
                    "the request's body stopped arriving",
                ))))
            }
        }
    }
}

fn broken(cause: &actix_web::error::PayloadError) -> Error {
    Error::invalid(What::Size, "the request's body ended before its announced length").because(cause.to_string())
}
