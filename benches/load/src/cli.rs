//! The command line.

use crate::options::Options;
use clap::{Args, Parser, Subcommand};

/// Load program for OCI registries, generic file stores and Helm repositories, on loopback only
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run workloads against one server
    Run(Box<RunArguments>),
    /// Name the workloads
    List,
    /// Medians of result files, and ratios to the first
    Report {
        /// Files that `run --json` wrote, one for each server
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Judge the results of B against those of A
    Gates {
        /// Results of A, the yardstick
        a: String,
        /// Results of B, the judged
        b: String,
        /// End with exit code 1 unless every gate holds
        #[arg(long)]
        enforce: bool,
    },
    /// How the cost of lists grows with the number of their entries
    Growth {
        /// A file that `run --json` wrote
        file: String,
    },
    /// Wait until a server answers, and print the milliseconds since --since-ns
    Ready(ReadyArguments),
    /// How fast this machine makes content and hashes it, with one thread
    Limits,
}

/// Which workloads, and where their results go.
#[derive(Args)]
#[command(args_override_self = true)]
pub(crate) struct RunArguments {
    /// Names of workloads, separated by commas (see `list`)
    #[arg(short, long, value_delimiter = ',', required = true)]
    pub(crate) workloads: Vec<String>,
    /// Append a line of JSON for each workload to this file, "-" for the standard output
    #[arg(long)]
    pub(crate) json: Option<String>,
    /// A name for the server in the results
    #[arg(long, default_value = "server")]
    pub(crate) label: String,
    /// No table
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// How each is run.
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What to wait for.
#[derive(Args)]
pub(crate) struct ReadyArguments {
    /// Base URL of the server, loopback only
    #[arg(long)]
    pub(crate) url: String,
    /// Path to ask for; any answer but a failure of the server will do
    #[arg(long, default_value = "/v2/")]
    pub(crate) path: String,
    /// Begin of the count in nanoseconds since 1970 (`date +%s%N`); 0: now
    #[arg(long, default_value_t = 0)]
    pub(crate) since_ns: u64,
    /// Seconds to wait at most
    #[arg(long, default_value_t = 30)]
    pub(crate) timeout: u64,
    /// Do not wait for a process that has ended
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn of_a_flag_given_twice_the_last_one_counts() {
        let line = "granary-load run --url http://127.0.0.1:1 -w ping,pull-tag -c 8 -s 5 -c 1";
        let Command::Run(run) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("not a run");
        };
        assert_eq!(run.workloads, ["ping", "pull-tag"]);
        assert_eq!(run.options.connections, 1);
    }

    #[test]
    fn counts_and_times_out_of_range_are_refused() {
        for bad in [
            "-c 0",
            "-c 5000",
            "--images 0",
            "--spread 0",
            "--tags 1",
            "--repos 1",
            "--page 0",
            "-s 3601",
            "--user a",
        ] {
            let line = format!("granary-load run --url http://127.0.0.1:1 -w ping {bad}");
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{bad}");
        }
    }
}
