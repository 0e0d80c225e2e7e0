//! Conditions of requests (RFC 9110 §13): entity tags are digests, on reads and on writes.

use crate::handler::Head;
use crate::range::{Wanted, wanted};
use granary_storage::Digest;
use granary_storage::blob::Blob;
use granary_storage::catalog::Condition;
use granary_storage::clock::Millis;
use std::time::{Duration, SystemTime};

/// Conditions of a read (RFC 9110 §13).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-None-Match`: digests (entity tags without quotes), or `*`.
    pub if_none_match: Vec<String>,
    /// `Range`, as it came.
    pub range: Option<String>,
    /// `If-Range`, as it came.
    pub if_range: Option<String>,
}

impl ReadConditions {
    /// Those of a request.
    pub(crate) fn of(head: &Head<'_>) -> Self {
        Self {
            if_none_match: head.header_list("if-none-match").map(|list| entity_tags(&list)).unwrap_or_default(),
            range: head.header("range").map(str::to_owned),
            if_range: head.header("if-range").map(str::to_owned),
        }
    }

    /// Whether the client holds the content already.
    pub(crate) fn not_modified(&self, digest: &Digest) -> bool {
        self.if_none_match
            .iter()
            .any(|tag| tag == "*" || tag.parse().is_ok_and(|held: Digest| held == *digest))
    }

    /// The parts to send: none but the whole when `If-Range` names other content, by its tag or by its date.
    pub(crate) fn parts(&self, blob: &Blob, modified: Option<Millis>, most: usize) -> Wanted {
        let same = |validator: &String| {
            let validator = validator.trim();
            let tagged = validator.trim_matches('"').parse().is_ok_and(|held: Digest| held == blob.digest);
            tagged || modified.is_some_and(|modified| date(validator) == Some(modified.div_euclid(1000)))
        };
        match &self.range {
            Some(range) if self.if_range.as_ref().is_none_or(same) => wanted(range, blob.size, most),
            _ => Wanted::Whole,
        }
    }
}

/// The seconds since 1970 of a date as HTTP writes it, in any of its three forms (RFC 9110 §5.6.7).
pub(crate) fn date(text: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// A time as HTTP writes it.
pub(crate) fn http_date(at: Millis) -> String {
    // The form has four digits for the year; what is beyond is nobody's clock.
    let seconds = u64::try_from(at.div_euclid(1000)).unwrap_or(0).min(253_402_300_799);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The tags in an `If-Match` or `If-None-Match`, without quotes and weakness.
fn entity_tags(text: &str) -> Vec<String> {
    let tag = |part: &str| part.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    text.split(',').map(tag).filter(|tag| !tag.is_empty()).collect()
}

/// The condition of a write. Both conditions count where both stand (RFC 9110 §13.2.2).
pub(crate) fn condition(head: &Head<'_>) -> Condition {
    let digests = |tags: &[String]| tags.iter().filter_map(|tag| tag.parse().ok()).collect();
    let must_match = head.header_list("if-match").map(|list| {
        // §13.1.1: compared strongly, so a weak tag matches nothing.
        let strong = list.split(',').filter(|tag| !tag.trim_start().starts_with("W/"));
        let tags = entity_tags(&strong.collect::<Vec<_>>().join(","));
        if tags.iter().any(|tag| tag == "*") {
            Condition::Present
        } else {
            Condition::OneOf(digests(&tags))
        }
    });
    let must_not_match = head.header_list("if-none-match").map(|list| {
        let tags = entity_tags(&list);
        if tags.iter().any(|tag| tag == "*") {
            Condition::Absent
        } else {
            Condition::NoneOf(digests(&tags))
        }
    });
    match (must_match, must_not_match) {
        (Some(one), Some(other)) => Condition::Both(Box::new((one, other))),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Condition::Always,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_each_of_its_forms_and_written_in_one() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(http_date(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        for bad in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 CET"] {
            assert_eq!(date(bad), None, "{bad}");
        }
        for far in [Millis::MIN, -1, Millis::MAX] {
            assert!(http_date(far).ends_with("GMT"));
        }
    }
}
