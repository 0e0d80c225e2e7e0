//! Runs workloads one after the other, and writes down what came of each: a row of a table, a line of JSON.

#![allow(clippy::print_stdout, reason = "the table is what the program is for")]

use crate::cli::RunArguments;
use crate::clock;
use crate::measure::ServerUse;
use crate::options::{Load, Options};
use crate::record::rounded;
use crate::workloads::{self, Outcome, Workload};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Arc;

/// The bytes of a GiB and of a MiB, and the KiB of a MiB.
const GIB: f64 = (1u64 << 30) as f64;
const KIB_OF_MIB: f64 = 1024.0;

/// Runs the workloads.
///
/// # Errors
/// When one could not be run or some of its operations failed; the others are run nevertheless.
pub(crate) fn run(arguments: &RunArguments) -> Result<()> {
    let wanted: Vec<&Workload> = arguments
        .workloads
        .iter()
        .map(|name| workloads::find(name))
        .collect::<Result<_>>()?;
    let load = Load {
        target: Arc::new(arguments.options.target()?),
        options: Arc::new(arguments.options.clone()),
    };
    if !arguments.quiet {
        println!("{}", table_head());
    }
    let mut failed = false;
    for workload in wanted {
        let line = match (workload.run)(&load) {
            Ok(outcome) => line(outcome, &load.options),
            Err(error) => json!({"failed": format!("{error:#}"), "connections": load.options.connections}),
        };
        failed |= line.get("failed").is_some() || line["errors"] != 0;
        if !arguments.quiet {
            println!("{}", table_row(workload.name, &line));
        }
        write_line(arguments, workload.name, line)?;
    }
    if failed {
        bail!("some operations failed");
    }
    Ok(())
}

/// What came of a workload, in the form that `report` reads.
fn line(mut outcome: Outcome, options: &Options) -> Value {
    let wall = outcome.wall.as_secs_f64();
    let record = &mut outcome.record;
    let measured = outcome.measured;
    let per_second = |count: f64| rounded(count / wall);
    let server = measured.server.map(|server| Shares {
        wall,
        operations: record.operations,
        requests: record.requests,
        gib: record.moved() as f64 / GIB,
        server,
    });
    json!({
        "connections": options.connections,
        "params": outcome.parameters,
        "seed": options.seed,
        "verify": format!("{:?}", options.verify).to_lowercase(),
        "wall_s": rounded(wall),
        "ops": record.operations,
        "ops_s": per_second(record.operations as f64),
        "reqs": record.requests,
        "req_s": per_second(record.requests as f64),
        "up_mb": rounded(record.sent as f64 / 1e6),
        "down_mb": rounded(record.received as f64 / 1e6),
        "mb_s": per_second(record.moved() as f64 / 1e6),
        "latency": record.latency_summary(),
        "errors": record.errors.values().sum::<u64>(),
        "error_kinds": record.errors,
        "notes": record.notes,
        "connects": record.connects,
        "token_fetches": record.token_fetches,
        "server": server.map(Shares::into_json),
        "client_cpu_s": rounded(measured.client_cpu),
        "other_cpu_cores": per_second(measured.other_cpu),
        "steal_s": rounded(measured.stolen),
        "unix_time": clock::since_epoch().as_secs(),
    })
}

/// What the server used, and what that is shared over.
struct Shares {
    wall: f64,
    operations: u64,
    requests: u64,
    gib: f64,
    server: ServerUse,
}

impl Shares {
    fn into_json(self) -> Value {
        let Self { server, .. } = self;
        let microseconds_each = |count: u64| rounded(server.cpu * 1e6 / count.max(1) as f64);
        let mib = |kib: u64| rounded(kib as f64 / KIB_OF_MIB);
        json!({
            "cpu_s": rounded(server.cpu),
            "cpu_cores": rounded(server.cpu / self.wall),
            "cpu_us_per_op": microseconds_each(self.operations),
            "cpu_us_per_req": microseconds_each(self.requests),
            "cpu_s_per_gib": (self.gib > 0.0).then(|| rounded(server.cpu / self.gib)),
            "rss_before_mb": mib(server.resident_before),
            "rss_after_mb": mib(server.resident_after),
            "peak_rss_mb": mib(server.resident_peak),
            "threads": server.threads,
            "disk_write_mb": rounded(server.disk_written as f64 / 1e6),
            "disk_read_mb": rounded(server.disk_read as f64 / 1e6),
        })
    }
}

/// A column of the table: a number in the line of JSON, and how it is shown.
struct Column {
    title: &'static str,
    pointer: &'static str,
    factor: f64,
    width: usize,
    digits: usize,
}

const fn column(title: &'static str, pointer: &'static str, width: usize, digits: usize) -> Column {
    Column {
        title,
        pointer,
        factor: 1.0,
        width,
        digits,
    }
}

const fn percent(title: &'static str, pointer: &'static str) -> Column {
    Column {
        factor: 100.0,
        ..column(title, pointer, 7, 0)
    }
}

const COLUMNS: [Column; 12] = [
    column("ops/s", "/ops_s", 9, 1),
    column("MB/s", "/mb_s", 9, 1),
    column("p50ms", "/latency/op/p50_ms", 8, 3),
    column("p90ms", "/latency/op/p90_ms", 8, 3),
    column("p99ms", "/latency/op/p99_ms", 8, 3),
    column("maxms", "/latency/op/max_ms", 8, 1),
    percent("srvCPU%", "/server/cpu_cores"),
    column("us/req", "/server/cpu_us_per_req", 8, 1),
    column("CPUs/GiB", "/server/cpu_s_per_gib", 8, 2),
    column("RSSMB", "/server/peak_rss_mb", 6, 0),
    percent("other%", "/other_cpu_cores"),
    column("errors", "/errors", 6, 0),
];

fn table_head() -> String {
    let titles = COLUMNS.iter().map(|column| format!(" {:>1$}", column.title, column.width));
    format!("{:<15}{}", "workload", titles.collect::<String>())
}

fn table_row(workload: &str, line: &Value) -> String {
    if let Some(failure) = line["failed"].as_str() {
        return format!("{workload:<15} FAILED: {failure}");
    }
    let cells = COLUMNS.iter().map(|column| {
        let number = line.pointer(column.pointer).and_then(Value::as_f64);
        let text = number.map_or_else(|| "-".to_owned(), |number| format!("{:.1$}", number * column.factor, column.digits));
        format!(" {text:>0$}", column.width)
    });
    let mut row = format!("{workload:<15}{}", cells.collect::<String>());
    for (error, count) in line["error_kinds"].as_object().into_iter().flatten() {
        row.push_str(&format!("\n    {count} x {error}"));
    }
    row
}

fn write_line(arguments: &RunArguments, workload: &str, mut line: Value) -> Result<()> {
    let Some(file) = &arguments.json else {
        return Ok(());
    };
    line["label"] = json!(arguments.label);
    line["workload"] = json!(workload);
    if file == "-" {
        println!("{line}");
        return Ok(());
    }
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut open| writeln!(open, "{line}"))
        .with_context(|| file.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::measure::Measured;
    use crate::record::Record;
    use clap::Parser as _;
    use std::time::Duration;

    fn options() -> Options {
        let line = ["granary-load", "run", "--url", "http://127.0.0.1:1", "-w", "ping"];
        let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not a run");
        };
        run.options
    }

    fn outcome() -> Outcome {
        let mut record = Record {
            operations: 10,
            requests: 20,
            sent: 1 << 30,
            ..Record::default()
        };
        record.latency("op", Duration::from_millis(5));
        Outcome {
            record,
            wall: Duration::from_secs(2),
            measured: Measured {
                server: Some(ServerUse {
                    cpu: 1.0,
                    resident_peak: 2048,
                    ..ServerUse::default()
                }),
                ..Measured::default()
            },
            parameters: json!({"size": 1}),
        }
    }

    #[test]
    fn a_line_shares_cpu_over_operations_requests_and_bytes() {
        let line = line(outcome(), &options());
        assert_eq!(line["ops_s"], 5.0);
        assert_eq!(line["req_s"], 10.0);
        assert_eq!(line["server"]["cpu_us_per_op"], 100_000.0);
        assert_eq!(line["server"]["cpu_us_per_req"], 50_000.0);
        assert_eq!(line["server"]["cpu_s_per_gib"], 1.0);
        assert_eq!(line["server"]["peak_rss_mb"], 2.0);
        assert_eq!(line["latency"]["op"]["p50_ms"], 5.0);
        assert_eq!(line["verify"], "digest");
        assert_eq!(line["errors"], 0);
    }

    #[test]
    fn without_a_process_or_content_there_is_nothing_to_share() {
        let mut bare = outcome();
        bare.measured.server = None;
        assert_eq!(line(bare, &options())["server"], Value::Null);
        let mut empty = outcome();
        empty.record.sent = 0;
        assert_eq!(line(empty, &options())["server"]["cpu_s_per_gib"], Value::Null);
    }

    #[test]
    fn rows_line_up_with_the_head_and_show_errors() {
        let mut failing = outcome();
        failing.record.error("get: 500");
        let row = table_row("pull-tag", &line(failing, &options()));
        let (first, second) = row.split_once('\n').unwrap();
        assert_eq!(first.len(), table_head().len());
        assert_eq!(second, "    1 x get: 500");
        assert_eq!(
            first,
            "pull-tag              5.0     536.9    5.000    5.000    5.000      5.0      50  50000.0     1.00      2       0      1"
        );
        assert_eq!(table_row("ping", &json!({"failed": "x"})), "ping            FAILED: x");
    }
}
