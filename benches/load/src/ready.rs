//! Waits for a server to answer.

use crate::cli::ReadyArguments;
use crate::clock;
use crate::drive::runtime;
use crate::http::{Connection, Target};
use crate::process;
use anyhow::{Result, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Between two questions: the start of a server is measured in milliseconds.
const PAUSE: Duration = Duration::from_millis(1);

/// Waits until the server answers with anything but a failure of its own, a challenge included; gives milliseconds since
/// the time named, or since now.
///
/// # Errors
/// When it does not in time, or its process has ended.
pub(crate) fn ready(arguments: &ReadyArguments) -> Result<f64> {
    let target = Arc::new(Target::new(&arguments.url)?);
    let since = match arguments.since_ns {
        0 => clock::since_epoch(),
        nanoseconds => Duration::from_nanos(nanoseconds),
    };
    let end = Instant::now() + Duration::from_secs(arguments.timeout);
    runtime()?.block_on(async {
        let mut connection = Connection::new(target);
        loop {
            let answer = tokio::time::timeout(ANSWER_TIME, connection.probe(&arguments.path)).await;
            if let Ok(Ok(status)) = answer
                && !status.is_server_error()
            {
                return Ok(clock::since_epoch().saturating_sub(since).as_secs_f64() * 1000.0);
            }
            if arguments.pid.is_some_and(|pid| !process::runs(pid)) {
                bail!("the server has ended");
            }
            if Instant::now() > end {
                bail!("{} did not answer in {} s", arguments.url, arguments.timeout);
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}
