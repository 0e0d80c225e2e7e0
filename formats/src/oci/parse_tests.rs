//! What clients send, and what it means.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::handler::Headers;
use granary_storage::catalog::Condition;
use proptest::prelude::*;

struct Sent<'h>(&'h [(&'h str, &'h str)]);

impl Headers for Sent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn list(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn beginning_with(&self, _: &str) -> Vec<(String, Option<String>)> {
        Vec::new()
    }

    fn is_unreadable(&self, _: &str) -> bool {
        false
    }
}

fn ask(method: &Method, target: &str, headers: &[(&str, &str)]) -> Result<Op> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    parse(
        &Head {
            method,
            path,
            query,
            headers: &Sent(headers),
            length_unknown: false,
        },
        &Limits::default(),
    )
}

fn digest() -> String {
    Digest::sha256(b"").to_string()
}

fn refusal(method: &Method, target: &str) -> (ErrorKind, What) {
    let error = ask(method, target, &[]).unwrap_err();
    (error.kind(), error.what())
}

#[test]
fn the_base_is_found_with_and_without_a_slash() {
    for path in ["", "/"] {
        assert_eq!(
            ask(&Method::GET, path, &[]).unwrap(),
            Op {
                name: None,
                act: Act::Base
            }
        );
    }
}

#[test]
fn names_are_read_from_the_right() {
    let digest = digest();
    for (target, name) in [
        (format!("/acme/api/blobs/{digest}"), "acme/api"),
        (format!("/acme/blobs/blobs/{digest}"), "acme/blobs"),
        (format!("/a/blobs/uploads/blobs/{digest}"), "a/blobs/uploads"),
        (format!("/acme/tags/blobs/{}", digest.replace(':', "%3A")), "acme/tags"),
        ("/acme/manifests/manifests/latest".to_owned(), "acme/manifests"),
        ("/tags/list/tags/list".to_owned(), "tags/list"),
        (format!("/referrers/x/referrers/{digest}"), "referrers/x"),
    ] {
        assert_eq!(ask(&Method::GET, &target, &[]).unwrap().name.unwrap().requested, name, "{target}");
    }
}

#[test]
fn a_name_of_one_segment_is_echoed_but_means_library() {
    let name = ask(&Method::GET, "/hello/tags/list", &[]).unwrap().name.unwrap();
    assert_eq!((name.requested.as_str(), name.repository.as_str()), ("hello", "library/hello"));
}

#[test]
fn names_that_are_none_are_refused() {
    let long = format!("/{}/tags/list", "a".repeat(300));
    for target in [
        "/a//b/tags/list",
        "/../x/tags/list",
        "/a/..%2fb/tags/list",
        "/a%2Fb/tags/list",
        "/A/b/tags/list",
        "/a%252fb/tags/list",
        "/nothing",
        "/a/b/c",
        &long,
    ] {
        assert_eq!(refusal(&Method::GET, target), (ErrorKind::Invalid, What::Name), "{target}");
    }
}

#[test]
fn malformed_digests_tags_and_ids_have_their_own_answers() {
    assert_eq!(refusal(&Method::GET, "/a/b/blobs/sha256:abc"), (ErrorKind::Invalid, What::Digest));
    assert_eq!(refusal(&Method::GET, "/a/b/manifests/.bad"), (ErrorKind::NotFound, What::Manifest));
    assert_eq!(refusal(&Method::PUT, "/a/b/manifests/.bad"), (ErrorKind::Invalid, What::Tag));
    assert_eq!(refusal(&Method::PUT, "/a/b/manifests/md5:00"), (ErrorKind::Invalid, What::Digest));
    assert_eq!(
        refusal(&Method::PATCH, "/a/b/blobs/uploads/nope"),
        (ErrorKind::NotFound, What::Upload)
    );
    assert_eq!(
        refusal(&Method::PUT, "/a/b/blobs/uploads/0d7ad0e0-0000-4000-8000-000000000000"),
        (ErrorKind::Invalid, What::Digest)
    );
    assert_eq!(
        refusal(&Method::POST, "/a/b/blobs/uploads/?mount=sha256:zz"),
        (ErrorKind::Invalid, What::Digest)
    );
    for (method, path, allowed) in [
        (Method::POST, "/a/b/tags/list", "GET, HEAD"),
        (Method::GET, "/a/b/blobs/uploads/", "POST"),
        (Method::POST, "/a/b/manifests/1.0", "GET, HEAD, PUT, DELETE"),
    ] {
        assert_eq!(
            refusal(&method, path),
            (ErrorKind::Unsupported, What::Method(allowed)),
            "{method} {path}"
        );
    }
}

#[test]
fn pages_are_bounded() {
    let limit = |n: &str| match ask(&Method::GET, &format!("/a/b/tags/list?n={n}&last=x"), &[]).unwrap().act {
        Act::Tags(page) => page.limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (limit("0"), limit("7"), limit("1000000000"), limit(&"9".repeat(30))),
        (0, 7, 1000, 1000)
    );
    for n in ["-1", "x", "", "1.5", "%2B1"] {
        assert_eq!(
            refusal(&Method::GET, &format!("/a/b/tags/list?n={n}")),
            (ErrorKind::Invalid, What::Page),
            "{n}"
        );
    }
}

#[test]
fn uploads_start_with_and_without_a_slash_and_from_nowhere_bad() {
    let digest = digest();
    for slash in ["", "/"] {
        assert!(matches!(
            ask(&Method::POST, &format!("/a/b/blobs/uploads{slash}"), &[]).unwrap().act,
            Act::StartUpload { mount: None, .. }
        ));
    }
    let mounted = ask(&Method::POST, &format!("/a/b/blobs/uploads/?mount={digest}&from=c/d"), &[])
        .unwrap()
        .act;
    assert!(matches!(
        mounted,
        Act::StartUpload {
            mount: Some(Mount { from: Some(_), .. }),
            ..
        }
    ));
    let impossible = ask(&Method::POST, &format!("/a/b/blobs/uploads/?mount={digest}&from=C/D"), &[])
        .unwrap()
        .act;
    assert!(matches!(impossible, Act::StartUpload { mount: None, .. }));
}

#[test]
fn a_push_carries_its_type_tags_and_conditions() {
    let digest = digest();
    let headers = [
        ("content-type", "application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
        ("if-none-match", "*"),
    ];
    match ask(&Method::PUT, &format!("/a/b/manifests/{digest}?tag=one&tag=two"), &headers)
        .unwrap()
        .act
    {
        Act::PutManifest {
            tags,
            media_type,
            condition,
            ..
        } => {
            assert_eq!(tags.len(), 2);
            assert_eq!(media_type.as_deref(), Some("application/vnd.oci.image.manifest.v1+json"));
            assert_eq!(condition, Condition::Absent);
        }
        other => panic!("{other:?}"),
    }
    let many = (0..65).map(|i| format!("tag=t{i}")).collect::<Vec<_>>().join("&");
    assert_eq!(
        refusal(&Method::PUT, &format!("/a/b/manifests/{digest}?{many}")),
        (ErrorKind::UriTooLong, What::Tag)
    );
    assert_eq!(refusal(&Method::PUT, "/a/b/manifests/x?tag=y"), (ErrorKind::Invalid, What::Tag));
}

#[test]
fn chunk_ranges_are_read_in_both_spellings() {
    let range = |text: &str| {
        ask(
            &Method::PATCH,
            "/a/b/blobs/uploads/0d7ad0e0-0000-4000-8000-000000000000",
            &[("content-range", text)],
        )
    };
    for text in ["0-9", "bytes 0-9/10", "bytes 0-9/*"] {
        assert!(
            matches!(
                range(text).unwrap().act,
                Act::Append {
                    range: Some(ChunkRange { first: 0, last: 9 }),
                    ..
                }
            ),
            "{text}"
        );
    }
    for text in ["9-0", "x", "0-", "-5", "0-18446744073709551615", "+1-+2"] {
        assert_eq!(range(text).unwrap_err().what(), What::Size, "{text}");
    }
}

proptest! {
    #[test]
    fn no_request_makes_the_parser_panic(path in "(/[a-z%2fF.:_/-]{0,40}|.{0,60})(/(tags/list|blobs/uploads/?|manifests/.{0,20}|blobs/.{0,20}))?", query in "(n|last|mount|from|digest|tag|=|&|%|[a-z0-9:]){0,20}") {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let _ = parse(&Head { method: &method, path: &path, query: &query, headers: &Sent(&[]), length_unknown: false }, &Limits::default());
        }
    }
}
