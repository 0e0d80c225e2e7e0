//! Errors as ChartMuseum says them, `{"error":"…"}`, which is what Helm's plugins read; and the challenge for
//! passwords, the only one that helm, curl and wget can answer.

use crate::handler::{Reply, ReplyBody};
use granary_storage::{Error, ErrorKind, What};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// What every answer carries: content is what its type says, and nothing that a browser makes of it.
pub(super) fn with_common_headers(mut reply: Reply) -> Reply {
    reply.headers.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    reply
}

fn status(kind: ErrorKind) -> StatusCode {
    use ErrorKind as K;
    match kind {
        K::NotFound => StatusCode::NOT_FOUND,
        K::Conflict => StatusCode::CONFLICT,
        K::DigestMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        K::Invalid => StatusCode::BAD_REQUEST,
        K::BadRange => StatusCode::RANGE_NOT_SATISFIABLE,
        K::Unauthenticated => StatusCode::UNAUTHORIZED,
        K::Denied | K::Blocked => StatusCode::FORBIDDEN,
        K::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        K::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        K::UriTooLong => StatusCode::URI_TOO_LONG,
        K::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
        K::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        K::Timeout => StatusCode::REQUEST_TIMEOUT,
        K::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        K::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        K::Internal | K::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error as an answer.
pub(super) fn render(error: &Error) -> Reply {
    let reply = body(error);
    match reply.status {
        StatusCode::UNAUTHORIZED => reply.header(WWW_AUTHENTICATE, "Basic realm=\"granary\", charset=\"UTF-8\""),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => reply.header(RETRY_AFTER, "1"),
        StatusCode::METHOD_NOT_ALLOWED => match error.what() {
            What::Method(allowed) => reply.header(ALLOW, allowed),
            _ => reply.header(ALLOW, "GET, HEAD"),
        },
        _ => reply,
    }
}

/// Status and body of an error.
pub(super) fn body(error: &Error) -> Reply {
    let text = json!({"error": error.message()}).to_string();
    json_reply(status(error.kind()), text)
}

/// An answer in JSON.
pub(super) fn json_reply(status: StatusCode, text: String) -> Reply {
    Reply::new(status)
        .header(CONTENT_TYPE, "application/json")
        .with(ReplyBody::Bytes(text.into()))
}
