//! Logs: for people on a terminal, JSON otherwise. They go to standard error; standard output is for data.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging.
///
/// # Errors
/// When `log.level` cannot be read.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| anyhow::anyhow!("log.level = {:?}: {error}", log.level))?;
    let pretty = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if pretty {
        builder.with_target(false).init();
    } else {
        builder.json().init();
    }
    Ok(())
}
