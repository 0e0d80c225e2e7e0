//! Places where tests make the process die or fail. In release builds they are nothing.
//!
//! `GRANARY_FAILPOINT=<name>` aborts the process when it comes by; `<name>=error` makes
//! the step fail as a broken disk would, every time. `<name>@3` and `<name>@3=error` let
//! it pass all but the third time.

use std::io;

/// Comes by the failpoint `name`.
///
/// # Errors
/// When the failpoint is set to fail.
#[cfg(debug_assertions)]
pub(crate) fn hit(name: &'static str) -> io::Result<()> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static ACTIVE: std::sync::LazyLock<Option<Active>> = std::sync::LazyLock::new(active);
    static TIMES: AtomicU64 = AtomicU64::new(0);
    match ACTIVE.as_ref().filter(|active| active.name == name) {
        Some(active) if active.acts(TIMES.fetch_add(1, Ordering::Relaxed) + 1) => {
            if active.fails {
                return Err(io::Error::other(format!("failpoint {name}")));
            }
            std::process::abort()
        }
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

/// The failpoint that is set.
#[cfg(debug_assertions)]
#[derive(Debug, PartialEq, Eq)]
struct Active {
    name: String,
    /// The one time at which it acts; every time without it.
    at: Option<u64>,
    /// Whether the step fails, rather than the process.
    fails: bool,
}

#[cfg(debug_assertions)]
impl Active {
    /// `None` for what is no setting of a failpoint.
    fn parse(text: &str) -> Option<Self> {
        let (text, fails) = match text.strip_suffix("=error") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (name, at) = match text.split_once('@') {
            Some((name, at)) => (name, Some(at.parse().ok()?)),
            None => (text, None),
        };
        let name = name.to_owned();
        Some(Self { name, at, fails })
    }

    fn acts(&self, time: u64) -> bool {
        self.at.is_none_or(|at| at == time)
    }
}

#[cfg(debug_assertions)]
#[allow(
    clippy::disallowed_methods,
    reason = "failpoints exist for tests only and are no setting of the configuration"
)]
fn active() -> Option<Active> {
    Active::parse(&std::env::var("GRANARY_FAILPOINT").ok()?)
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    fn active(name: &str, at: Option<u64>, fails: bool) -> Option<Active> {
        let name = name.to_owned();
        Some(Active { name, at, fails })
    }

    #[test]
    fn a_setting_has_a_name_and_perhaps_a_time_and_a_kind() {
        assert_eq!(Active::parse("blob.written"), active("blob.written", None, false));
        assert_eq!(Active::parse("blob.written=error"), active("blob.written", None, true));
        assert_eq!(Active::parse("blob.written@3"), active("blob.written", Some(3), false));
        assert_eq!(Active::parse("blob.written@12=error"), active("blob.written", Some(12), true));
        assert_eq!(Active::parse("blob.written@often"), None);
    }

    #[test]
    fn a_failpoint_with_a_time_lets_all_others_pass() {
        let times = |setting: &str| {
            let active = Active::parse(setting);
            let acts = |time: &u64| active.as_ref().is_some_and(|active| active.acts(*time));
            (1..5).filter(acts).collect::<Vec<_>>()
        };
        assert_eq!(times("x@3"), [3]);
        assert_eq!(times("x"), [1, 2, 3, 4]);
    }
}
