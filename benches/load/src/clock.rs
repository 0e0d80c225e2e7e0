//! The wall clock, for what is compared with times from outside this process. Durations inside it use `Instant`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970-01-01 UTC. A clock before 1970 reads as 0.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
