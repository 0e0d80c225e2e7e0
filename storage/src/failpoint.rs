//! Places where tests make the process die or fail. In release builds they are nothing.
//!
//! `GRANARY_FAILPOINT=<name>` aborts the process when it comes by; `<name>=error` makes
//! the step fail as a broken disk would.

use std::io;

/// Comes by the failpoint `name`.
///
/// # Errors
/// When the failpoint is set to fail.
#[cfg(debug_assertions)]
#[allow(
    clippy::disallowed_methods,
    reason = "failpoints exist for tests only and are no setting of the configuration"
)]
pub(crate) fn hit(name: &'static str) -> io::Result<()> {
    static ACTIVE: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("GRANARY_FAILPOINT").ok());
    match ACTIVE.as_deref().and_then(|active| active.strip_prefix(name)) {
        Some("") => std::process::abort(),
        Some("=error") => Err(io::Error::other(format!("failpoint {name}"))),
        _ => Ok(()),
    }
}

/// Nothing, in a release build.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn hit(_: &'static str) -> io::Result<()> {
    Ok(())
}
