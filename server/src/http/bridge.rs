//! Between the web framework and the formats: a request becomes a `Head` and a `Body`,
//! a `Reply` becomes a response. The only file that knows both sides.

use super::connections;
use super::origin::origin;
use super::state::State;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody, None as NoBody, SizedStream};
use actix_web::http::ConnectionType;
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
pub(super) async fn to_format(
    state: &State,
    route: Route<'_>,
    rest: &str,
    id: &str,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let method = http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or(http::Method::TRACE);
    let headers = RequestHeaders(request.headers());
    // An Authorization that cannot be read is a wrong one, not an absent one.
    let authorization = if headers.is_unreadable("authorization") {
        Some("")
    } else {
        headers.get("authorization")
    };
    let caller = Caller {
        principal: match connections::admit(request) {
            Ok(()) => state.authenticator.principal(authorization).await,
            Err(error) => Err(error),
        },
        origin: origin(request, &state.origins),
        request: id.to_owned(),
    };
    let head = Head {
        method: &method,
        path: rest,
        query: request.uri().query().unwrap_or(""),
        headers: &headers,
        length_unknown: request.version() < actix_web::http::Version::HTTP_11
            && !request.headers().contains_key("content-length")
            && !request.headers().contains_key("transfer-encoding"),
    };
    // In HTTP/2 a body needs no header that announces it.
    let has_body = request.version() >= actix_web::http::Version::HTTP_2
        || headers.get("content-length").is_some_and(|length| length != "0")
        || headers.get("transfer-encoding").is_some();
    let body: Body = if has_body {
        Box::pin(Timed::new(payload, state.patience))
    } else {
        Box::pin(stream::empty())
    };
    let reply = route.dispatch(&state.dispatch, caller, head, body).await;
    let unframed = request.version() < actix_web::http::Version::HTTP_11 && matches!(reply.body, ReplyBody::Unsized { .. });
    let mut response = respond(reply, method == http::Method::HEAD);
    if unframed {
        // RFC 9112 §6.1: a client before 1.1 takes chunks for content. To it the content ends with the connection.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

struct RequestHeaders<'r>(&'r HeaderMap);

impl Headers for RequestHeaders<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn list(&self, name: &str) -> Option<String> {
        let mut lines = self.0.get_all(name).filter_map(|value| value.to_str().ok());
        let first = lines.next()?.to_owned();
        Some(lines.fold(first, |list, line| list + "," + line))
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, Option<String>)> {
        let named = self.0.iter().filter(|(name, _)| name.as_str().starts_with(prefix));
        let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
        named.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }

    fn is_unreadable(&self, name: &str) -> bool {
        self.0.get_all(name).any(|value| value.to_str().is_err())
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
        ReplyBody::Unsized { .. } if head => BoxBody::new(NoBody::new()),
        ReplyBody::Unsized { stream } => BoxBody::new(BodyStream::new(stream)),
        ReplyBody::Bytes(bytes) => BoxBody::new(bytes),
        ReplyBody::Stream { len, stream, .. } => BoxBody::new(SizedStream::new(len, stream)),
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

/// How slow a client may be with its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A body that brings no byte for this long is given up.
    pub(crate) idle: Duration,
    /// Bytes a second, at least, over any such time.
    pub(crate) rate: u64,
}

/// A request's body that ends in an error when the client sends nothing, or next to nothing, for too long:
/// the framework itself waits for ever. Only the time spent waiting for the client counts, not what the store takes.
pub(super) struct Timed {
    payload: web::Payload,
    patience: Patience,
    /// Since when the client is being waited for.
    waiting: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// Time waited, and bytes that came meanwhile, since both were last counted from nothing.
    waited: Duration,
    came: u64,
}

impl Timed {
    pub(super) fn new(payload: web::Payload, patience: Patience) -> Self {
        Self {
            payload,
            patience,
            waiting: None,
            timer: Box::pin(sleep(patience.idle)),
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// Counts a frame; whether the client keeps up.
    fn keeps_up(&mut self, bytes: usize) -> bool {
        self.waited += self.waiting.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.came += bytes as u64;
        if self.waited < self.patience.idle {
            return true;
        }
        let least = self.patience.rate.saturating_mul(self.waited.as_secs());
        let enough = self.came >= least;
        (self.waited, self.came) = (Duration::ZERO, 0);
        enough
    }
}

impl Stream for Timed {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) if !self.keeps_up(bytes.len()) => Poll::Ready(Some(Err(stalled()))),
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(|cause| broken(&cause)))),
            Poll::Pending => {
                if self.waiting.is_none() {
                    let now = Instant::now();
                    self.waiting = Some(now);
                    let deadline = now + self.patience.idle;
                    self.timer.as_mut().reset(deadline);
                }
                ready!(self.timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(stalled())))
            }
        }
    }
}

fn stalled() -> Error {
    Error::new(
        ErrorKind::Timeout,
        What::Request,
        "the request's body stopped arriving, or came too slowly",
    )
}

fn broken(cause: &actix_web::error::PayloadError) -> Error {
    Error::invalid(What::Size, "the request's body ended before its announced length").because(cause.to_string())
}
