//! Errors as `{"error":"…"}`, for the formats outside `/v2`: it is what ChartMuseum says and Helm's plugins read. The
//! challenge is the one that helm, curl and wget can answer: Basic (RFC 7617).

use crate::handler::{Challenge, Reply, ReplyBody};
use granary_storage::{Error, ErrorKind, What};
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// What every answer carries: content is what its type says, and nothing that a browser makes of it.
pub(crate) fn with_common_headers(mut reply: Reply) -> Reply {
    reply.headers.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    reply
}

/// The status of an error.
fn status(error: &Error) -> StatusCode {
    use ErrorKind as K;
    match error.kind() {
        K::NotFound => StatusCode::NOT_FOUND,
        K::Conflict => StatusCode::CONFLICT,
        K::DigestMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        K::Invalid => StatusCode::BAD_REQUEST,
        K::BadRange => StatusCode::RANGE_NOT_SATISFIABLE,
        K::Unauthenticated => StatusCode::UNAUTHORIZED,
        K::Denied | K::Blocked => StatusCode::FORBIDDEN,
        K::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        K::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        K::LengthRequired => StatusCode::LENGTH_REQUIRED,
        K::UriTooLong => StatusCode::URI_TOO_LONG,
        K::Unsupported if error.what() == What::File => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        K::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
        K::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        K::Timeout => StatusCode::REQUEST_TIMEOUT,
        K::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        K::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        K::Internal | K::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error as an answer.
pub(crate) fn render(error: &Error, challenge: &Challenge) -> Reply {
    let reply = body(error);
    match reply.status {
        StatusCode::UNAUTHORIZED => {
            // Quotes and backslashes would end the attribute; a service's name needs neither.
            let realm = challenge.service.replace(['"', '\\'], "");
            reply.header(WWW_AUTHENTICATE, format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => reply.header(RETRY_AFTER, "1"),
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = match error.what() {
                What::Method(allowed) => allowed,
                _ => "GET, HEAD",
            };
            reply.header(ALLOW, allowed)
        }
        // RFC 9110 §12.5.3: what the content may be coded as instead.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => reply.header(ACCEPT_ENCODING, "identity"),
        _ => reply,
    }
}

/// Status and body of an error, for answers that add headers of their own.
pub(crate) fn body(error: &Error) -> Reply {
    json_reply(status(error), json!({"error": error.message()}).to_string() + "\n")
}

/// An answer in JSON.
pub(crate) fn json_reply(status: StatusCode, text: String) -> Reply {
    Reply::new(status)
        .header(CONTENT_TYPE, "application/json")
        .with(ReplyBody::Bytes(text.into()))
}
