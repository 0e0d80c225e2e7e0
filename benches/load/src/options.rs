//! What one run is told, and within which bounds.

use crate::http::{Target, Verify};
use crate::measure::Watched;
use anyhow::Result;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a workload may be measured, and prepared.
const SECONDS_MAX: u64 = 3600;
const SETUP_SECONDS_MAX: u64 = 7200;

/// Which server, how much of what, and how to look at it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Base URL of the server, loopback only
    #[arg(long)]
    pub(crate) url: String,
    /// Account to fetch tokens with
    #[arg(long, requires = "password")]
    pub(crate) user: Option<String>,
    /// Password of the account
    #[arg(long, requires = "user")]
    pub(crate) password: Option<String>,
    /// Send Basic at once instead of waiting for a Bearer challenge
    #[arg(long)]
    pub(crate) basic: bool,
    /// Process of the server: its CPU time, memory and disk traffic are reported, its children included
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Connections
    #[arg(short, long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) connections: u16,
    /// Threads of this program
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Operations at most, 0 for as many as --seconds allow; pushes are also bounded by --images
    #[arg(short = 'n', long, default_value_t = 0)]
    pub(crate) operations: u64,
    /// Seconds at most for the measured part of a workload
    #[arg(short, long, default_value = "5", value_parser = measured_time)]
    pub(crate) seconds: Duration,
    /// Seconds at most for each step of its preparation
    #[arg(long, default_value = "300", value_parser = setup_time)]
    pub(crate) setup_seconds: Duration,
    /// Connections of the preparation
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) setup_connections: u16,
    /// Bytes at most in the measured part of a workload
    #[arg(long, default_value = "64GiB", value_parser = size)]
    pub(crate) max_bytes: u64,
    /// What all content follows from; another seed, other content
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// First part of the names of repositories
    #[arg(long, default_value = "load")]
    pub(crate) prefix: String,
    /// Repositories that images are spread over
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) spread: u64,
    /// Images that are pushed
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) images: u64,
    /// Layers of an image
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=1000))]
    pub(crate) layers: u64,
    /// Bytes of a layer
    #[arg(long, default_value = "1MiB", value_parser = blob_size)]
    pub(crate) layer_size: u64,
    /// Bytes of a small blob
    #[arg(long, default_value = "4KiB", value_parser = blob_size)]
    pub(crate) small_size: u64,
    /// Bytes of a big blob
    #[arg(long, default_value = "1GiB", value_parser = blob_size)]
    pub(crate) big_size: u64,
    /// Tags of the repository whose tags are listed
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) tags: u64,
    /// Repositories of the catalog
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) repos: u64,
    /// Entries of a page of a list
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) page: u64,
    /// Referrers of the subject
    #[arg(long, default_value_t = 50)]
    pub(crate) referrers: u64,
    /// Do not ask for a blob before pushing it
    #[arg(long)]
    pub(crate) no_head: bool,
    /// How received content is checked
    #[arg(long, value_enum, default_value = "digest")]
    pub(crate) verify: Verify,
    /// Path under which the generic workloads keep their files
    #[arg(long)]
    pub(crate) generic_prefix: Option<String>,
    /// Path of a Helm index
    #[arg(long)]
    pub(crate) helm_path: Option<String>,
    /// Path that get-path asks for
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Seconds at most to wait for a quiet machine before each workload
    #[arg(long, default_value = "0", value_parser = quiet_time)]
    pub(crate) quiet_wait: Duration,
    /// A machine is quiet when it uses fewer cores than this
    #[arg(long, default_value_t = 0.3)]
    pub(crate) quiet_below: f64,
}

impl Options {
    /// The server, with the credentials for it.
    ///
    /// # Errors
    /// Unless it is on this machine.
    pub(crate) fn target(&self) -> Result<Target> {
        let target = Target::new(&self.url)?;
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => target.with_credentials(user, password, self.basic),
            _ => Ok(target),
        }
    }

    /// Whom to measure.
    pub(crate) fn watched(&self) -> Watched {
        Watched {
            server: self.pid,
            quiet_wait: self.quiet_wait,
            quiet_below: self.quiet_below,
        }
    }
}

/// A run: the options, and the server they name.
#[derive(Clone)]
pub(crate) struct Load {
    /// What the run is told.
    pub(crate) options: Arc<Options>,
    /// The server.
    pub(crate) target: Arc<Target>,
}

/// Reads a number of bytes: `4096`, `4KiB`, `1M`.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("{text} is not a number of bytes"))?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        unit => return Err(format!("{unit} is not a unit; the units are B, KiB, MiB, GiB")),
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("{text} is more than can be counted"))
}

fn blob_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("a blob has at least one byte".to_owned()),
        size => Ok(size),
    }
}

fn measured_time(text: &str) -> Result<Duration, String> {
    seconds(text, SECONDS_MAX)
}

fn setup_time(text: &str) -> Result<Duration, String> {
    seconds(text, SETUP_SECONDS_MAX)
}

fn quiet_time(text: &str) -> Result<Duration, String> {
    seconds(text, SECONDS_MAX)
}

/// Reads a number of seconds, with a fraction if wanted.
fn seconds(text: &str, most: u64) -> Result<Duration, String> {
    text.trim()
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| *time <= Duration::from_secs(most))
        .ok_or_else(|| format!("{text} is not a number of seconds between 0 and {most}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("4K", 4096),
            ("4KiB", 4096),
            (" 4 KiB ", 4096),
            ("1M", 1 << 20),
            ("1MiB", 1 << 20),
            ("64GiB", 64 << 30),
            ("16G", 16 << 30),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for bad in [
            "",
            "KiB",
            "-1",
            "1.5M",
            "1 MB",
            "1TiB",
            "1k",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert!(blob_size("0KiB").is_err());
        assert_eq!(blob_size("1").unwrap(), 1);
    }

    #[test]
    fn times_have_a_bound() {
        assert_eq!(measured_time("0.25").unwrap(), Duration::from_millis(250));
        assert_eq!(measured_time("3600").unwrap(), Duration::from_secs(3600));
        assert_eq!(setup_time("7200").unwrap(), Duration::from_secs(7200));
        for bad in ["", "x", "-1", "3601", "NaN", "inf", "1e300"] {
            assert!(measured_time(bad).is_err(), "{bad}");
        }
        assert!(setup_time("7201").is_err());
    }
}
