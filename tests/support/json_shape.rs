//! The shape that every answer under `/v2` must have, whatever the test is about.

use super::Answer;

/// The codes of distribution-spec, and those that registries have in common beyond it.
const CODES: &[&str] = &[
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "PAGINATION_NUMBER_INVALID",
    "PRECONDITION_FAILED",
    "RANGE_INVALID",
    "SIZE_INVALID",
    "STORAGE_FULL",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
];

/// Checks an answer of the OCI API. `head`: its body was left out.
#[track_caller]
pub(crate) fn check(answer: &Answer, head: bool) {
    assert!(answer.status < 500, "{answer}");
    check_shape(answer, head);
}

/// The same for an answer that may tell of a fault: it has the shape of every other refusal.
#[track_caller]
pub(crate) fn check_shape(answer: &Answer, head: bool) {
    assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0", "{answer}");
    assert!(!answer.header("x-request-id").is_empty(), "{answer}");
    // A layer that arrives encoded does not have its digest.
    assert_eq!(answer.find("content-encoding"), None, "{answer}");
    if answer.status < 400 {
        return;
    }
    assert_eq!(answer.header("content-type"), "application/json", "{answer}");
    if head {
        assert!(answer.body.is_empty(), "{answer}");
        assert_ne!(answer.header("content-length"), "0", "{answer}");
    } else {
        refusal(answer);
    }
    if answer.status == 401 {
        assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"http"), "{answer}");
    } else {
        assert_eq!(answer.find("www-authenticate"), None, "{answer}");
    }
}

/// Code and sentence of a refusal: `{"errors":[{"code","message","detail"}]}`, one error, nothing else.
#[track_caller]
pub(crate) fn refusal(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {answer}"));
    assert_eq!((body.as_object().map(|body| body.len()), errors.len()), (Some(1), 1), "{answer}");
    let text = |field: &str| {
        let value = errors[0][field].as_str();
        value.unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
    };
    let (code, message) = (text("code"), text("message"));
    assert!(CODES.contains(&code.as_str()), "{answer}");
    assert!(message.len() > 10, "a sentence is wanted in {answer}");
    (code, message)
}
