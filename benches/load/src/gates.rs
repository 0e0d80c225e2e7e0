//! The gates: what B may cost compared with A, for a release of B to go out.
//!
//! A is CNCF distribution without authentication, B is Granary with it. Nearly all gates are ratios of CPU time, which
//! a busy machine does not bend much.

use crate::results::{Measure, Results, Row, shown};
use anyhow::Result;
use std::fmt::{self, Write as _};

/// Memory that B may use whatever A does, in MB of 2^20 bytes, and the connections at which that is judged.
const MEMORY_FREE: f64 = 64.0;
const MEMORY_CONNECTIONS: u64 = 8;

/// What is compared, and how far it may go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    /// At most this part of A: 9 means a ninth.
    Part(u32),
    /// At most this many times A.
    AtMost(f64),
    /// At least this many times A.
    AtLeast(f64),
    /// At most the larger of A and a fixed value.
    LargerOf(f64),
    /// At most this many times another workload of B itself.
    AtMostOwn(f64, &'static str),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => write!(f, "<= 1/{part} of A"),
            Self::AtMost(times) => write!(f, "<= {times} x A"),
            Self::AtLeast(times) => write!(f, ">= {times} x A"),
            Self::LargerOf(free) => write!(f, "<= A or {free}"),
            Self::AtMostOwn(times, workload) => write!(f, "<= {times} x {workload} of B"),
        }
    }
}

impl Limit {
    fn holds(self, value: f64, yardstick: f64) -> bool {
        match self {
            Self::Part(part) => value * f64::from(part) <= yardstick,
            Self::AtMost(times) | Self::AtMostOwn(times, _) => value <= times * yardstick,
            Self::AtLeast(times) => value >= times * yardstick,
            Self::LargerOf(free) => value <= yardstick.max(free),
        }
    }
}

/// One condition on one workload.
#[derive(Clone, Copy, Debug)]
struct Gate {
    workload: &'static str,
    measure: Measure,
    limit: Limit,
}

const fn gate(workload: &'static str, measure: Measure, limit: Limit) -> Gate {
    Gate { workload, measure, limit }
}

/// Every gate but that on memory, which all workloads share.
const GATES: [Gate; 15] = [
    gate("pull-tag", Measure::CpuPerRequest, Limit::Part(9)),
    gate("pull-digest", Measure::CpuPerRequest, Limit::Part(9)),
    gate("head-tag", Measure::CpuPerRequest, Limit::Part(9)),
    gate("head-blob", Measure::CpuPerRequest, Limit::Part(11)),
    gate("get-small", Measure::CpuPerRequest, Limit::Part(14)),
    gate("get-range", Measure::CpuPerRequest, Limit::Part(4)),
    gate("push-shared", Measure::CpuPerRequest, Limit::Part(6)),
    gate("push-again", Measure::CpuPerRequest, Limit::Part(6)),
    gate("mixed", Measure::CpuPerRequest, Limit::Part(2)),
    gate("push-mono", Measure::CpuPerGib, Limit::Part(4)),
    gate("push-chunk", Measure::CpuPerGib, Limit::Part(4)),
    gate("push-big", Measure::CpuPerGib, Limit::Part(2)),
    gate("get-big", Measure::CpuPerGib, Limit::AtMost(1.3)),
    gate("get-big", Measure::Bandwidth, Limit::AtLeast(0.9)),
    gate("referrers", Measure::CpuPerRequest, Limit::AtMostOwn(1.5, "pull-digest")),
];

/// What came of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Missed,
    /// There is nothing to compare with.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Missed => "MISSED",
            Self::Unknown => "not measured",
        })
    }
}

/// Every gate that B's results are subject to.
pub(crate) struct Judgement {
    /// A table in Markdown.
    pub(crate) table: String,
    /// Whether there are gates, and all hold.
    pub(crate) passed: bool,
}

/// Judges B by A.
///
/// # Errors
/// Never in practice: writing to a string does not fail.
pub(crate) fn judge(a: &Results, b: &Results) -> Result<Judgement> {
    let mut table = String::from("| workload | measure | gate | A | B | verdict |\n|---|---|---|---|---|---|\n");
    let (mut count, mut passes) = (0, 0);
    for row in &b.rows {
        for gate in gates(row) {
            let (value, yardstick) = (row.median(gate.measure), yardstick(gate, row, a, b));
            let verdict = verdict(gate, row, value, yardstick);
            count += 1;
            passes += u32::from(verdict == Verdict::Pass);
            let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), shown);
            writeln!(
                table,
                "| {} | {} | {} | {} | {} | {verdict}{} |",
                row.key,
                gate.measure.title(),
                gate.limit,
                cell(yardstick),
                cell(value),
                remark(row, value, yardstick),
            )?;
        }
    }
    writeln!(table, "\n{passes} of {count} gates pass")?;
    Ok(Judgement {
        table,
        passed: count > 0 && passes == count,
    })
}

/// The gates of a workload, that on memory included.
fn gates(row: &Row) -> Vec<Gate> {
    let own = GATES.into_iter().filter(|gate| gate.workload == row.key.workload);
    let memory = (row.key.connections == Some(MEMORY_CONNECTIONS)).then_some(Gate {
        workload: "",
        measure: Measure::PeakMemory,
        limit: Limit::LargerOf(MEMORY_FREE),
    });
    own.chain(memory).collect()
}

/// What the gate measures by: the same of A, or another workload of B on as many connections.
fn yardstick(gate: Gate, row: &Row, a: &Results, b: &Results) -> Option<f64> {
    let compared = match gate.limit {
        Limit::AtMostOwn(_, workload) => b
            .rows
            .iter()
            .find(|other| other.key.workload == workload && other.key.connections == row.key.connections),
        _ => a.row(&row.key),
    };
    compared?.median(gate.measure)
}

fn verdict(gate: Gate, row: &Row, value: Option<f64>, yardstick: Option<f64>) -> Verdict {
    // Answers that are wrong are no good however cheap they are.
    if row.failure.is_some() || row.errors > 0 {
        return Verdict::Missed;
    }
    // Where A has used nothing, what is free is still free.
    let yardstick = yardstick.or(matches!(gate.limit, Limit::LargerOf(_)).then_some(0.0));
    match value.zip(yardstick) {
        Some((value, yardstick)) if gate.limit.holds(value, yardstick) => Verdict::Pass,
        Some(_) => Verdict::Missed,
        None => Verdict::Unknown,
    }
}

fn remark(row: &Row, value: Option<f64>, yardstick: Option<f64>) -> String {
    if let Some(failure) = &row.failure {
        return format!(": {failure}");
    }
    if row.errors > 0 {
        return format!(": {} errors", row.errors);
    }
    match (value, yardstick) {
        (Some(value), Some(yardstick)) if yardstick > 0.0 => format!(" at {:.3}", value / yardstick),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    struct Line {
        workload: &'static str,
        connections: u64,
        cpu: f64,
        gib: f64,
        rate: f64,
        memory: f64,
        errors: u64,
    }

    const LINE: Line = Line {
        workload: "ping",
        connections: 8,
        cpu: 100.0,
        gib: 1.0,
        rate: 100.0,
        memory: 50.0,
        errors: 0,
    };

    fn results(lines: &[Line]) -> Results {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| {
                serde_json::json!({
                    "workload": line.workload, "connections": line.connections, "mb_s": line.rate, "errors": line.errors,
                    "server": {"cpu_us_per_req": line.cpu, "cpu_s_per_gib": line.gib, "peak_rss_mb": line.memory},
                })
                .to_string()
            })
            .collect();
        Results::parse(&lines.join("\n"), "x").unwrap()
    }

    /// The verdicts on one workload, those on memory first.
    fn verdicts(a: Line, b: Line) -> Vec<String> {
        let table = judge(&results(&[a]), &results(&[b])).unwrap().table;
        let rows = table.lines().skip(2).filter(|line| line.starts_with('|'));
        let verdict = |row: &str| row.rsplit('|').nth(1).unwrap().trim().split([' ', ':']).next().unwrap().to_owned();
        let (memory, own): (Vec<&str>, Vec<&str>) = rows.partition(|row| row.contains("RSS"));
        memory.into_iter().chain(own).map(verdict).collect()
    }

    #[test]
    fn cpu_is_judged_as_a_part_of_a() {
        let of = |workload, cpu| Line { workload, cpu, ..LINE };
        assert_eq!(verdicts(of("pull-tag", 900.0), of("pull-tag", 100.0)), ["PASS", "PASS"]);
        assert_eq!(verdicts(of("pull-tag", 899.0), of("pull-tag", 100.0)), ["PASS", "MISSED"]);
        assert_eq!(verdicts(of("get-small", 1400.0), of("get-small", 100.0)), ["PASS", "PASS"]);
        assert_eq!(verdicts(of("mixed", 199.0), of("mixed", 100.0)), ["PASS", "MISSED"]);
    }

    #[test]
    fn a_big_download_must_be_both_cheap_and_fast() {
        let of = |gib, rate| Line {
            workload: "get-big",
            connections: 1,
            gib,
            rate,
            ..LINE
        };
        assert_eq!(verdicts(of(1.0, 100.0), of(1.3, 90.0)), ["PASS", "PASS"]);
        assert_eq!(verdicts(of(1.0, 100.0), of(1.31, 89.0)), ["MISSED", "MISSED"]);
    }

    #[test]
    fn memory_is_judged_at_eight_connections_by_the_larger_of_a_and_64() {
        let of = |connections, memory| Line {
            connections,
            memory,
            ..LINE
        };
        assert_eq!(verdicts(of(8, 20.0), of(8, 64.0)), ["PASS"]);
        assert_eq!(verdicts(of(8, 20.0), of(8, 65.0)), ["MISSED"]);
        assert_eq!(verdicts(of(8, 100.0), of(8, 65.0)), ["PASS"]);
        assert!(verdicts(of(1, 20.0), of(1, 999.0)).is_empty());
        let alone = |memory| judge(&results(&[]), &results(&[of(8, memory)])).unwrap().passed;
        assert!(alone(64.0) && !alone(65.0));
    }

    #[test]
    fn referrers_are_judged_by_our_own_pulls() {
        let of = |workload, cpu| Line { workload, cpu, ..LINE };
        let judged = |b: &[Line]| judge(&results(&[of("pull-digest", 9000.0)]), &results(b)).unwrap();
        assert!(judged(&[of("pull-digest", 100.0), of("referrers", 150.0)]).passed);
        assert!(!judged(&[of("pull-digest", 100.0), of("referrers", 151.0)]).passed);
        let alone = judged(&[of("referrers", 10.0)]);
        assert!(!alone.passed && alone.table.contains("| not measured |"), "{}", alone.table);
    }

    #[test]
    fn errors_miss_every_gate_and_nothing_measured_is_no_pass() {
        let broken = Line {
            workload: "pull-tag",
            cpu: 1.0,
            errors: 3,
            ..LINE
        };
        assert_eq!(
            verdicts(
                Line {
                    workload: "pull-tag",
                    ..LINE
                },
                broken
            ),
            ["MISSED", "MISSED"]
        );
        assert!(!judge(&results(&[LINE]), &results(&[])).unwrap().passed);
        let alone = judge(
            &results(&[]),
            &results(&[Line {
                workload: "pull-tag",
                ..LINE
            }]),
        )
        .unwrap();
        assert!(!alone.passed && alone.table.contains("1 of 2 gates pass"), "{}", alone.table);
    }

    #[test]
    fn every_gate_is_on_a_workload_that_exists() {
        for gate in GATES {
            assert!(crate::workloads::find(gate.workload).is_ok(), "{gate:?}");
        }
    }
}
