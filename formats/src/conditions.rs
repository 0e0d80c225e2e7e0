//! Conditions of requests (RFC 9110 §13): entity tags are digests, on reads and on writes; dates count where a format
//! sends `Last-Modified`, and only as far as they prove something.

use crate::handler::Head;
use crate::range::{Wanted, wanted};
use granary_storage::blob::Blob;
use granary_storage::catalog::{Changed, Condition};
use granary_storage::clock::Millis;
use granary_storage::{Error, ErrorKind, Result, What};
use std::time::{Duration, SystemTime};

/// Entity tags as `If-Match` and `If-None-Match` list them (RFC 9110 §8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: of whatever there is.
    Any,
    /// These.
    These(Vec<Tag>),
}

/// One entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Whether it begins with `W/`.
    pub weak: bool,
    /// What stands between its quotes. One without them is taken, too: people copy digests.
    pub text: String,
}

impl Tags {
    /// Those of a header.
    fn of(head: &Head<'_>, name: &str) -> Option<Self> {
        let list = head.header_list(name)?;
        let mut tags = Vec::new();
        let mut rest = list.as_str();
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                return Some(Self::These(tags));
            }
            let (weak, opaque) = match rest.strip_prefix("W/") {
                Some(opaque) => (true, opaque),
                None => (false, rest),
            };
            // A comma between quotes is part of the tag.
            let quoted = opaque.strip_prefix('"').and_then(|behind| behind.split_once('"'));
            let (text, behind) = quoted.unwrap_or_else(|| opaque.split_once(',').unwrap_or((opaque, "")));
            let text = text.trim();
            if quoted.is_none() && !weak && text == "*" {
                return Some(Self::Any);
            }
            tags.push(Tag {
                weak,
                text: text.to_owned(),
            });
            rest = behind;
        }
    }

    /// Whether `tag` is among them, by the strong comparison (RFC 9110 §8.8.3.2): a weak tag equals none.
    fn hold_strongly(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|held| !held.weak && held.text == tag),
        }
    }

    /// The same by the weak comparison.
    fn hold_weakly(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|held| held.text == tag),
        }
    }
}

/// Conditions of a read (RFC 9110 §13).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-Match`.
    pub if_match: Option<Tags>,
    /// `If-Unmodified-Since`, in seconds since 1970.
    pub if_unmodified_since: Option<i64>,
    /// `If-None-Match`.
    pub if_none_match: Option<Tags>,
    /// `If-Modified-Since`, in seconds since 1970.
    pub if_modified_since: Option<i64>,
    /// `Range`, as it came.
    pub range: Option<String>,
    /// `If-Range`, as it came.
    pub if_range: Option<String>,
}

impl ReadConditions {
    /// Those of a request.
    pub(crate) fn of(head: &Head<'_>) -> Self {
        Self {
            if_match: Tags::of(head, "if-match"),
            if_unmodified_since: date_of(head, "if-unmodified-since"),
            if_none_match: Tags::of(head, "if-none-match"),
            if_modified_since: date_of(head, "if-modified-since"),
            range: head.header_list("range"),
            if_range: head.header_list("if-range"),
        }
    }

    /// Whether one of the dates is this second, so that it matters what else happened in it.
    pub(crate) fn name_second(&self, second: i64) -> bool {
        let if_range = self.if_range.as_deref().and_then(date);
        [self.if_unmodified_since, self.if_modified_since, if_range].contains(&Some(second))
    }

    /// Whether the client holds the content already, in the order of RFC 9110 §13.2.2; `tag` is its entity tag without
    /// quotes, `changed` is when it came there, where that is known.
    ///
    /// # Errors
    /// `PreconditionFailed`/`Request` when `If-Match` or, without it, `If-Unmodified-Since` does not hold.
    pub(crate) fn not_modified(&self, tag: &str, changed: Option<Changed>) -> Result<bool> {
        let as_expected = match (&self.if_match, self.if_unmodified_since, changed) {
            (Some(tags), _, _) => tags.hold_strongly(tag),
            (None, Some(second), Some(changed)) => changed.is_seen_by(second),
            _ => true,
        };
        if !as_expected {
            return Err(does_not_hold());
        }
        Ok(match (&self.if_none_match, self.if_modified_since, changed) {
            (Some(tags), _, _) => tags.hold_weakly(tag),
            (None, Some(second), Some(changed)) => changed.is_seen_by(second),
            _ => false,
        })
    }

    /// Whether what has no entity tag may be sent: of `If-Match`, only `*` holds for it.
    ///
    /// # Errors
    /// `PreconditionFailed`/`Request` when `If-Match` names tags.
    pub(crate) fn check_untagged(&self) -> Result<()> {
        match self.if_match {
            Some(Tags::These(_)) => Err(does_not_hold()),
            Some(Tags::Any) | None => Ok(()),
        }
    }

    /// The parts to send: none but the whole when `If-Range` names other content, by its tag or by its date.
    pub(crate) fn parts(&self, blob: &Blob, changed: Option<Changed>, most: usize) -> Wanted {
        let same = |validator: &String| {
            let validator = validator.trim();
            // §13.1.5: compared strongly. A weak tag begins with W/, which no digest does.
            let tagged = validator.trim_matches('"') == blob.digest.to_string();
            tagged || date(validator).is_some_and(|second| changed.is_some_and(|changed| changed.is(second)))
        };
        match &self.range {
            Some(range) if self.if_range.as_ref().is_none_or(same) => wanted(range, blob.size, most),
            _ => Wanted::Whole,
        }
    }
}

fn does_not_hold() -> Error {
    let sentence = "the condition on what is there does not hold";
    Error::new(ErrorKind::PreconditionFailed, What::Request, sentence)
}

/// The date of a header. One that is no date, or stands twice, counts as absent (RFC 9110 §13.1.3, §13.1.4).
fn date_of(head: &Head<'_>, name: &str) -> Option<i64> {
    date(&head.header_list(name)?)
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

/// The condition of a write. Both conditions count where both stand (RFC 9110 §13.2.2).
pub(crate) fn condition(head: &Head<'_>) -> Condition {
    let digests = |tags: Vec<Tag>, weak_too: bool| {
        let counted = tags.into_iter().filter(|tag| weak_too || !tag.weak);
        counted.filter_map(|tag| tag.text.parse().ok()).collect()
    };
    let must_match = Tags::of(head, "if-match").map(|tags| match tags {
        Tags::Any => Condition::Present,
        Tags::These(tags) => Condition::OneOf(digests(tags, false)),
    });
    let must_not_match = Tags::of(head, "if-none-match").map(|tags| match tags {
        Tags::Any => Condition::Absent,
        Tags::These(tags) => Condition::NoneOf(digests(tags, true)),
    });
    both(must_match, must_not_match)
}

/// The condition of a write to what has a date: `If-Unmodified-Since` counts where no `If-Match` stands (§13.1.4).
pub(crate) fn dated_condition(head: &Head<'_>) -> Condition {
    let date = match head.header("if-match") {
        None => date_of(head, "if-unmodified-since").map(Condition::UnchangedSince),
        Some(_) => None,
    };
    both(date, Some(condition(head)).filter(|condition| *condition != Condition::Always))
}

fn both(one: Option<Condition>, other: Option<Condition>) -> Condition {
    match (one, other) {
        (Some(one), Some(other)) => Condition::Both(Box::new((one, other))),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Condition::Always,
    }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
