//! The wall clock, in the unit the catalog keeps: milliseconds since 1970-01-01 UTC.
//!
//! Durations inside the process use `Instant`; only times that outlive it come from here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since the epoch, UTC.
pub type Millis = i64;

/// Now. A clock before 1970 reads as 0.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `duration` in milliseconds, saturating.
pub fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
