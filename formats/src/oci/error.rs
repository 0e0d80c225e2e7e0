//! Errors in the shape of distribution-spec ("Error Codes"), and the challenge of its
//! token authentication.

use crate::handler::{Challenge, Reply, ReplyBody};
use granary_storage::{Error, ErrorKind, What};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// What every answer carries: the header by which old clients recognise a registry, and the word to browsers
/// that content is what its type says and nothing they make of it.
pub(super) fn with_common_headers(mut reply: Reply) -> Reply {
    reply.headers.push((API_VERSION, HeaderValue::from_static("registry/2.0")));
    reply.headers.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    reply
}

/// Status and code of an error.
pub(super) fn code(kind: ErrorKind, what: What) -> (StatusCode, &'static str) {
    use ErrorKind as K;
    match (kind, what) {
        (K::NotFound, What::Blob) => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        (K::NotFound, What::Upload) => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        (K::NotFound, What::Repository | What::Project) => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        (K::NotFound, _) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        (K::DigestMismatch, _) | (K::Invalid, What::Digest) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        (K::Invalid, What::Reference) => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
        (K::Invalid, What::Manifest) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        (K::Invalid, What::Name | What::Repository | What::Project) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        (K::Invalid, What::Tag) => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
        (K::Invalid, What::Page) => (StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
        (K::Invalid, What::Size) => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
        (K::Invalid, _) => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
        (K::BadRange, _) => (StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID"),
        (K::Conflict, What::Upload) => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
        (K::Conflict, _) => (StatusCode::CONFLICT, "DENIED"),
        (K::Unauthenticated, _) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        (K::Denied | K::Blocked, _) => (StatusCode::FORBIDDEN, "DENIED"),
        (K::TooLarge, _) => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        (K::TooManyRequests, _) => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        (K::LengthRequired, _) => (StatusCode::LENGTH_REQUIRED, "SIZE_INVALID"),
        (K::UriTooLong, _) => (StatusCode::URI_TOO_LONG, "UNSUPPORTED"),
        (K::Unsupported, What::Manifest) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "MANIFEST_INVALID"),
        (K::Unsupported, _) => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        (K::PreconditionFailed, _) => (StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"),
        (K::Timeout, _) => (StatusCode::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID"),
        (K::StorageFull, _) => (StatusCode::INSUFFICIENT_STORAGE, "STORAGE_FULL"),
        (K::Unavailable, _) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        (K::Internal | K::Corrupt, _) => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    }
}

/// An error as an answer.
pub(super) fn render(error: &Error, challenge: &Challenge) -> Reply {
    let reply = body(error);
    match reply.status {
        StatusCode::UNAUTHORIZED => reply.header(WWW_AUTHENTICATE, bearer(error, challenge)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => reply.header(RETRY_AFTER, "1"),
        StatusCode::METHOD_NOT_ALLOWED => reply.header(ALLOW, allowed(error)),
        _ => reply,
    }
}

/// What would do instead: a method that is refused only for what stands in its way is not the path's fault.
fn allowed(error: &Error) -> &'static str {
    match error.what() {
        What::Method(allowed) => allowed,
        _ => "GET, HEAD",
    }
}

/// Status and body of an error, for answers that add headers of their own.
pub(super) fn body(error: &Error) -> Reply {
    let (status, code) = code(error.kind(), error.what());
    let body = json!({"errors": [{"code": code, "message": error.message(), "detail": null}]}).to_string();
    Reply::new(status)
        .header(CONTENT_TYPE, "application/json")
        .with(ReplyBody::Bytes(body.into()))
}

fn bearer(error: &Error, challenge: &Challenge) -> String {
    // Quotes and backslashes would end the attribute; none of these values can need them.
    let clean = |text: &str| text.replace(['"', '\\'], "");
    let mut header = format!(
        "Bearer realm=\"{}/token\",service=\"{}\"",
        clean(&challenge.origin),
        clean(&challenge.service)
    );
    if !challenge.scope.is_empty() {
        header.push_str(&format!(",scope=\"{}\"", clean(&challenge.scope)));
    }
    match error.what() {
        What::Token => header.push_str(",error=\"invalid_token\""),
        What::Scope => header.push_str(",error=\"insufficient_scope\""),
        _ => {}
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> Challenge {
        Challenge {
            origin: "http://127.0.0.1:5000".into(),
            service: "granary".into(),
            scope: "repository:a/b:pull repository:c/d:pull".into(),
        }
    }

    #[test]
    fn a_challenge_names_realm_service_scope_and_reason() {
        let error = Error::new(ErrorKind::Unauthenticated, What::Scope, "narrow");
        let reply = render(&error, &challenge());
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            reply.get(&WWW_AUTHENTICATE),
            Some(
                "Bearer realm=\"http://127.0.0.1:5000/token\",service=\"granary\",scope=\"repository:a/b:pull repository:c/d:pull\",error=\"insufficient_scope\""
            )
        );
    }

    #[test]
    fn the_cause_is_never_sent() {
        let reply = render(&Error::internal("the secret path /var/x"), &challenge());
        let ReplyBody::Bytes(body) = reply.body else { panic!("no body") };
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(text.contains("\"UNKNOWN\"") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn codes_are_those_of_the_specification() {
        for (kind, what, status, expected) in [
            (ErrorKind::NotFound, What::Blob, 404, "BLOB_UNKNOWN"),
            (ErrorKind::NotFound, What::Upload, 404, "BLOB_UPLOAD_UNKNOWN"),
            (ErrorKind::NotFound, What::Manifest, 404, "MANIFEST_UNKNOWN"),
            (ErrorKind::NotFound, What::Repository, 404, "NAME_UNKNOWN"),
            (ErrorKind::Invalid, What::Reference, 400, "MANIFEST_BLOB_UNKNOWN"),
            (ErrorKind::Invalid, What::Name, 400, "NAME_INVALID"),
            (ErrorKind::Invalid, What::Size, 400, "SIZE_INVALID"),
            (ErrorKind::DigestMismatch, What::Digest, 400, "DIGEST_INVALID"),
            (ErrorKind::Denied, What::Repository, 403, "DENIED"),
            (ErrorKind::TooLarge, What::Manifest, 413, "SIZE_INVALID"),
            (ErrorKind::StorageFull, What::Storage, 507, "STORAGE_FULL"),
            (ErrorKind::PreconditionFailed, What::Tag, 412, "PRECONDITION_FAILED"),
        ] {
            assert_eq!(code(kind, what), (StatusCode::from_u16(status).unwrap_or_default(), expected));
        }
    }
}
