//! Conditions as clients write them, and what they say of a file that stands since a second.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::contract::request::Request;
use granary_storage::Digest;
use proptest::prelude::*;

const SECOND: i64 = 784_111_777;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn head<T>(headers: &[(&'static str, &str)], ask: impl Fn(&Head<'_>) -> T) -> T {
    let mut request = Request::get("/x");
    // Not by `Request::header`: a header may stand on several lines.
    request.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    ask(&Head {
        method: &http::Method::GET,
        path: "/x",
        query: "",
        headers: &request,
        length_unknown: false,
    })
}

fn tagged(content: &str) -> String {
    format!("\"{}\"", Digest::sha256(content.as_bytes()))
}

/// What a GET of the content `abc`, which stands since [`SECOND`], is answered with.
fn read(headers: &[(&'static str, &str)], once: bool) -> u16 {
    let changed = Changed { second: SECOND, once };
    let tag = Digest::sha256(b"abc").to_string();
    match head(headers, ReadConditions::of).not_modified(&tag, Some(changed)) {
        Ok(false) => 200,
        Ok(true) => 304,
        Err(error) if error.kind() == ErrorKind::PreconditionFailed => 412,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_date_is_read_in_each_of_its_forms_and_written_in_one() {
    for text in [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        assert_eq!(date(text), Some(SECOND), "{text}");
    }
    assert_eq!(http_date(784_111_777_999), DATE);
    for bad in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 CET"] {
        assert_eq!(date(bad), None, "{bad}");
    }
    for far in [Millis::MIN, -1, Millis::MAX] {
        assert!(http_date(far).ends_with("GMT"));
    }
}

#[test]
fn conditions_of_a_read_are_asked_in_the_order_of_the_rfc() {
    let (own, other) = (tagged("abc"), tagged("other"));
    let weak = format!("W/{own}");
    let listed = format!("\"a,b\", {weak} , \"\"");
    for (headers, status) in [
        (&[][..], 200),
        (&[("if-match", &*own)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"*\"")], 412),
        (&[("if-match", &other)], 412),
        (&[("if-match", &weak)], 412),
        (&[("if-match", &other), ("if-match", &own)], 200),
        (&[("if-match", &other), ("if-none-match", &own)], 412),
        (&[("if-match", &own), ("if-none-match", &own)], 304),
        (&[("if-unmodified-since", DATE)], 200),
        (&[("if-unmodified-since", AFTER)], 200),
        (&[("if-unmodified-since", BEFORE)], 412),
        (&[("if-unmodified-since", BEFORE), ("if-match", &own)], 200),
        (&[("if-unmodified-since", AFTER), ("if-match", &other)], 412),
        (&[("if-unmodified-since", "some day")], 200),
        (&[("if-unmodified-since", BEFORE), ("if-unmodified-since", BEFORE)], 200),
        (&[("if-none-match", &own)], 304),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", &listed)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"*\"")], 200),
        (&[("if-none-match", "\"a, *, b\"")], 200),
        (&[("if-none-match", &other)], 200),
        (&[("if-modified-since", DATE)], 304),
        (&[("if-modified-since", AFTER)], 304),
        (&[("if-modified-since", BEFORE)], 200),
        (&[("if-modified-since", AFTER), ("if-none-match", &other)], 200),
        (&[("if-modified-since", BEFORE), ("if-none-match", &own)], 304),
        (&[("if-modified-since", AFTER), ("if-unmodified-since", BEFORE)], 412),
    ] {
        assert_eq!(read(headers, true), status, "{headers:?}");
    }
}

#[test]
fn a_date_in_whose_second_the_file_changed_twice_proves_nothing() {
    for (headers, status) in [
        (&[("if-modified-since", DATE)][..], 200),
        (&[("if-modified-since", AFTER)], 304),
        (&[("if-unmodified-since", DATE)], 412),
        (&[("if-unmodified-since", AFTER)], 200),
    ] {
        assert_eq!(read(headers, false), status, "{headers:?}");
    }
    let named = |name, value| head(&[(name, value)], ReadConditions::of).name_second(SECOND);
    assert!(named("if-range", DATE) && named("if-modified-since", DATE) && named("if-unmodified-since", DATE));
    assert!(!named("if-range", BEFORE) && !named("if-range", &tagged("abc")));
}

#[test]
fn a_quoted_star_is_a_tag_and_not_every_tag() {
    let of = |name, value| head(&[(name, value)], condition);
    assert_eq!(of("if-none-match", "*"), Condition::Absent);
    assert_eq!(of("if-none-match", " * "), Condition::Absent);
    assert_eq!(of("if-none-match", "\"*\""), Condition::NoneOf(vec![]));
    assert_eq!(of("if-match", "*"), Condition::Present);
    assert_eq!(of("if-match", "\"*\""), Condition::OneOf(vec![]));
}

#[test]
fn a_date_is_a_condition_of_a_write_unless_a_tag_is() {
    let own = tagged("abc");
    let of = |headers: &[(&'static str, &str)]| head(headers, dated_condition);
    assert_eq!(of(&[("if-unmodified-since", DATE)]), Condition::UnchangedSince(SECOND));
    assert_eq!(
        of(&[("if-unmodified-since", DATE), ("if-match", &own)]),
        Condition::OneOf(vec![Digest::sha256(b"abc")])
    );
    assert_eq!(
        of(&[("if-unmodified-since", DATE), ("if-none-match", "*")]),
        Condition::Both(Box::new((Condition::UnchangedSince(SECOND), Condition::Absent)))
    );
    // What has no date lets nobody ask about one.
    assert_eq!(head(&[("if-unmodified-since", DATE)], condition), Condition::Always);
    assert_eq!(of(&[("if-modified-since", DATE)]), Condition::Always);
}

proptest! {
    #[test]
    fn any_list_of_tags_is_read_to_its_end(text in "[W/\"*, \ta-z]{0,40}|[ -~]{0,40}") {
        let read = head(&[("if-none-match", &text)], |head| Tags::of(head, "if-none-match")).unwrap();
        if let Tags::These(tags) = read {
            for tag in tags {
                prop_assert!(text.contains(&tag.text));
            }
        }
    }
}
