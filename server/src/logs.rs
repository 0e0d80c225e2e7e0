//! Logs: for people on a terminal, JSON otherwise. They go to standard error; standard output is for data.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What is logged at a level. The framework calls every malformed request of a stranger an error, and announces each
/// worker that goes idle; unless it is named in `level`, it is heard only of what concerns the operator.
///
/// # Errors
/// When the level cannot be read.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let quiet = [("actix_http", "actix_http=off"), ("actix_server", "actix_server=warn")];
    let directives = quiet
        .iter()
        .filter(|(target, _)| !level.contains(target))
        .map(|(_, directive)| *directive);
    EnvFilter::try_new(directives.fold(level.to_owned(), |all, directive| all + "," + directive))
}

/// Starts logging.
///
/// # Errors
/// When `log.level` cannot be read.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = filter(&log.level).map_err(|error| anyhow::anyhow!("log.level = {:?}: {error}", log.level))?;
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
