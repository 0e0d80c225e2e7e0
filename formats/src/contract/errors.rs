//! Errors: whatever goes wrong, the client reads it in the shape it knows.

use super::gate::{CAUSE, FakeGate, SENTENCE};
use super::request::Request;
use super::world::World;
use super::{Backend, PROJECT, Specimen};
use granary_storage::{ErrorKind, What};
use http::Method;
use std::collections::BTreeSet;

const KINDS: [ErrorKind; 18] = [
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::DigestMismatch,
    ErrorKind::Invalid,
    ErrorKind::BadRange,
    ErrorKind::Unauthenticated,
    ErrorKind::Denied,
    ErrorKind::Blocked,
    ErrorKind::TooLarge,
    ErrorKind::TooManyRequests,
    ErrorKind::LengthRequired,
    ErrorKind::UriTooLong,
    ErrorKind::Unsupported,
    ErrorKind::PreconditionFailed,
    ErrorKind::Timeout,
    ErrorKind::StorageFull,
    ErrorKind::Unavailable,
    ErrorKind::Internal,
];

const SUBJECTS: [What; 18] = [
    What::Blob,
    What::Upload,
    What::Manifest,
    What::Reference,
    What::Repository,
    What::Project,
    What::Name,
    What::Digest,
    What::Tag,
    What::File,
    What::Size,
    What::Range,
    What::Page,
    What::Credentials,
    What::Token,
    What::Scope,
    What::Request,
    What::Storage,
];

pub(super) async fn every_error_has_the_shape_of_the_format<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let sample = S::samples(&world, PROJECT, "plain").await.swap_remove(0);
    for kind in KINDS {
        for what in SUBJECTS {
            let answer = world.behind(FakeGate::refusing(kind, what)).ask(&sample.request).await;
            let case = format!("{kind:?}/{what:?}: {answer:?}");
            let faults = [ErrorKind::StorageFull, ErrorKind::Unavailable, ErrorKind::Internal];
            let ours = faults.contains(&kind);
            assert!(
                if ours {
                    answer.status >= 500
                } else {
                    (400..500).contains(&answer.status)
                },
                "{case}"
            );
            assert_eq!(S::message(&answer).as_deref(), Some(SENTENCE), "{case}");
            assert!(!format!("{answer:?}").contains(CAUSE), "{case}");
            assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{case}");
            assert_eq!(answer.header("retry-after").is_some(), matches!(answer.status, 429 | 503), "{case}");
            assert_eq!(answer.header("allow").is_some(), answer.status == 405, "{case}");
        }
    }
}

pub(super) async fn a_method_that_a_path_does_not_know_is_refused_with_those_it_knows<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let samples = S::samples(&world, PROJECT, "plain").await;
    let door = world.behind(FakeGate::refusing(ErrorKind::Denied, What::Repository));
    let mut methods: BTreeSet<String> = ["GET", "HEAD", "OPTIONS", "TRACE", "BREW"].map(str::to_owned).into();
    methods.extend(samples.iter().map(|sample| sample.request.method.to_string()));
    for sample in &samples {
        for method in &methods {
            let request = Request {
                method: Method::from_bytes(method.as_bytes()).unwrap(),
                ..sample.request.clone()
            };
            if door.needs(&request).await.is_some() {
                continue;
            }
            let answer = door.ask(&request).await;
            let case = format!("{method} for: {}: {answer:?}", sample.what);
            assert!(S::message(&answer).is_some_and(|message| !message.is_empty()), "{case}");
            // A method of another operation on this path may miss its own parameters instead.
            let nobodys = matches!(method.as_str(), "TRACE" | "BREW");
            assert!(answer.status == 405 || !nobodys, "{case}");
            if answer.status == 405 {
                let allowed = answer.header("allow").unwrap_or_else(|| panic!("{case}"));
                assert!(allowed.split(", ").any(|allowed| sample.request.method == allowed), "{case}");
            }
        }
    }
}
