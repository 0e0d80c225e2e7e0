//! The list of tags, in pages.

use crate::support::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// Out of order on purpose; bytewise, capitals come before small letters and `_` between them.
const PUSHED: [&str; 8] = ["v2", "latest", "_tmp", "V1", "v10", "1.0", "v1", "a.b-c"];
const SORTED: [&str; 8] = ["1.0", "V1", "_tmp", "a.b-c", "latest", "v1", "v10", "v2"];

fn with_tags() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", PUSHED[0], "an image");
    for tag in &PUSHED[1..] {
        admin.put_manifest("acme/app", tag, &image.manifest).expect(201);
    }
    (server, admin)
}

fn list(admin: &Client, query: &str) -> Answer {
    admin.get(&format!("/v2/acme/app/tags/list{query}"))
}

fn tags(answer: &Answer) -> Value {
    answer.json()["tags"].clone()
}

/// Where `Link` says that the next page is.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.find("link")?;
    let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(path.unwrap_or_else(|| panic!("{answer}")).to_owned())
}

#[test]
fn tags_are_listed_bytewise_whatever_the_database() {
    let (_server, admin) = with_tags();
    let answer = list(&admin, "").expect(200);
    assert_eq!(answer.json(), json!({"name": "acme/app", "tags": SORTED}));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(next(&answer), None);
}

#[test]
fn pages_of_every_size_lead_through_all_tags_once() {
    let (_server, admin) = with_tags();
    for size in 1..=9 {
        let mut path = Some(format!("/v2/acme/app/tags/list?n={size}"));
        let mut seen = Vec::new();
        while let Some(page) = path {
            let answer = admin.get(&page).expect(200);
            let tags = tags(&answer);
            let tags = tags.as_array().unwrap();
            assert!(!tags.is_empty() && tags.len() <= size, "{answer}");
            seen.extend(tags.iter().map(|tag| tag.as_str().unwrap().to_owned()));
            path = next(&answer);
        }
        assert_eq!(seen, SORTED, "pages of {size}");
    }
}

#[test]
fn a_page_that_is_just_filled_has_no_next_one() {
    let (_server, admin) = with_tags();
    assert_eq!(next(&list(&admin, "?n=8")), None);
    assert!(next(&list(&admin, "?n=7")).is_some());
}

#[test]
fn a_page_begins_behind_its_marker_which_need_not_exist() {
    let (_server, admin) = with_tags();
    for (last, rest) in [
        ("latest", json!(["v1", "v10", "v2"])),
        ("v1", json!(["v10", "v2"])),
        ("v11", json!(["v2"])),
        ("aaa", json!(["latest", "v1", "v10", "v2"])),
        ("zzz", json!([])),
        ("%20", json!(SORTED)),
        ("v1%2B", json!(["v10", "v2"])),
        ("v2%27%20OR%201=1--", json!([])),
    ] {
        let answer = list(&admin, &format!("?last={last}")).expect(200);
        assert_eq!(tags(&answer), rest, "{last}");
    }
    let paged = list(&admin, "?n=2&last=a.b-c");
    assert_eq!(tags(&paged), json!(["latest", "v1"]));
}

#[test]
fn a_page_of_nothing_is_empty_and_leads_nowhere() {
    let (_server, admin) = with_tags();
    let answer = list(&admin, "?n=0").expect(200);
    assert_eq!((tags(&answer), next(&answer)), (json!([]), None));
}

#[test]
fn a_page_of_more_than_the_limit_is_cut_and_leads_on() {
    // distribution CVE-2023-2253: `n` decided how much was allocated.
    let server = TestServer::with(&[("limits.page_default", "2"), ("limits.page_max", "3")]);
    let admin = server.admin();
    let image = admin.push("acme/app", "a", "an image");
    for tag in ["b", "c", "d"] {
        admin.put_manifest("acme/app", tag, &image.manifest).expect(201);
    }
    assert_eq!(tags(&list(&admin, "")), json!(["a", "b"]));
    for huge in ["4", "1000000000", "99999999999999999999999999"] {
        let answer = list(&admin, &format!("?n={huge}")).expect(200);
        assert_eq!(tags(&answer), json!(["a", "b", "c"]), "{huge}");
        assert_eq!(next(&answer).as_deref(), Some("/v2/acme/app/tags/list?n=3&last=c"));
    }
}

#[test]
fn a_number_that_is_none_is_refused() {
    let (_server, admin) = with_tags();
    for number in ["-1", "x", "1.5", "", "+1", "0x10", "1e3", "%201", "1;"] {
        list(&admin, &format!("?n={number}")).refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn the_list_of_a_repository_that_is_not_there_is_not_found() {
    let (_server, admin) = with_tags();
    admin.get("/v2/acme/nothing/tags/list").refused(404, "NAME_UNKNOWN");
    admin.get("/v2/nowhere/app/tags/list").refused(404, "NAME_UNKNOWN");
}

#[test]
fn head_tells_the_same_as_get() {
    let (_server, admin) = with_tags();
    let (get, head) = (list(&admin, "?n=3"), admin.head("/v2/acme/app/tags/list?n=3"));
    assert_eq!(get.fingerprint().1, head.fingerprint().1);
    assert!(head.body.is_empty());
}

#[test]
fn tags_that_differ_in_case_are_two() {
    let (_server, admin) = with_tags();
    let other = admin.push("acme/app", "LATEST", "another image");
    assert_eq!(admin.tag_digest("acme/app", "LATEST"), Some(other.digest()));
    assert_ne!(admin.tag_digest("acme/app", "latest"), Some(other.digest()));
}
