//! Result files: what `run --json` wrote over several rounds, by workload.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// A number that results are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Measure {
    /// Operations a second.
    Rate,
    /// Megabytes of content a second, both ways.
    Bandwidth,
    /// The median latency of an operation, in milliseconds.
    Median,
    /// Its 99th percentile.
    Tail,
    /// Microseconds of the server's CPU time for each request.
    CpuPerRequest,
    /// Seconds of the server's CPU time for each GiB of content.
    CpuPerGib,
    /// The server's most resident memory, in MB of 2^20 bytes.
    PeakMemory,
}

impl Measure {
    /// Every measure, in the order of the report's columns.
    pub(crate) const ALL: [Self; 7] = [
        Self::Rate,
        Self::Bandwidth,
        Self::Median,
        Self::Tail,
        Self::CpuPerRequest,
        Self::CpuPerGib,
        Self::PeakMemory,
    ];

    /// What it is called.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Rate => "ops/s",
            Self::Bandwidth => "MB/s",
            Self::Median => "p50 ms",
            Self::Tail => "p99 ms",
            Self::CpuPerRequest => "CPU us/req",
            Self::CpuPerGib => "CPU s/GiB",
            Self::PeakMemory => "peak RSS MB",
        }
    }

    /// Where it stands in a line of results.
    const fn pointer(self) -> &'static str {
        match self {
            Self::Rate => "/ops_s",
            Self::Bandwidth => "/mb_s",
            Self::Median => "/latency/op/p50_ms",
            Self::Tail => "/latency/op/p99_ms",
            Self::CpuPerRequest => "/server/cpu_us_per_req",
            Self::CpuPerGib => "/server/cpu_s_per_gib",
            Self::PeakMemory => "/server/peak_rss_mb",
        }
    }

    /// How many times better `value` is than `yardstick`, whether more of it is better or less.
    pub(crate) fn times_better(self, value: f64, yardstick: f64) -> f64 {
        match self {
            Self::Rate | Self::Bandwidth => value / yardstick,
            _ => yardstick / value,
        }
    }
}

/// What results must have in common to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The workload.
    pub(crate) workload: String,
    /// Connections.
    pub(crate) connections: Option<u64>,
    /// Entries of the list.
    pub(crate) total: Option<u64>,
    /// Entries of a page of it.
    pub(crate) page: Option<u64>,
    /// Bytes of a layer.
    pub(crate) layer_size: Option<u64>,
}

impl Key {
    fn of(line: &Value) -> Self {
        let parameter = |name: &str| line["params"][name].as_u64();
        Self {
            workload: line["workload"].as_str().unwrap_or("?").to_owned(),
            connections: line["connections"].as_u64(),
            total: parameter("total"),
            page: parameter("page"),
            layer_size: parameter("layer_size"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.workload)?;
        if let Some(connections) = self.connections {
            write!(f, " c{connections}")?;
        }
        if let (Some(total), Some(page)) = (self.total, self.page) {
            write!(f, " {page} of {total}")?;
        }
        if let Some(bytes) = self.layer_size {
            write!(f, " {}KiB", bytes / 1024)?;
        }
        Ok(())
    }
}

/// The results of one workload over all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Which.
    pub(crate) key: Key,
    /// Rounds.
    pub(crate) runs: usize,
    /// Operations that failed.
    pub(crate) errors: u64,
    /// Why it could not be run.
    pub(crate) failure: Option<String>,
    values: HashMap<Measure, Vec<f64>>,
}

impl Row {
    /// The median over the rounds; `None` when it was not measured.
    pub(crate) fn median(&self, measure: Measure) -> Option<f64> {
        median(self.values.get(&measure)?)
    }
}

/// A result file.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    /// The server.
    pub(crate) label: String,
    /// The workloads, in the order in which they were run.
    pub(crate) rows: Vec<Row>,
}

impl Results {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not JSON.
    pub(crate) fn load(file: &str) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
        Self::parse(&text, file).with_context(|| file.to_owned())
    }

    /// Reads lines of results; `name` serves where they do not name the server.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self> {
        let mut results = Self {
            label: name.to_owned(),
            rows: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            results.add(&serde_json::from_str(line)?);
        }
        Ok(results)
    }

    fn add(&mut self, line: &Value) {
        if let Some(label) = line["label"].as_str() {
            label.clone_into(&mut self.label);
        }
        let key = Key::of(line);
        let index = self.rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
            self.rows.push(Row {
                key,
                runs: 0,
                errors: 0,
                failure: None,
                values: HashMap::new(),
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        row.runs += 1;
        if let Some(failure) = line["failed"].as_str() {
            row.failure = Some(failure.to_owned());
            return;
        }
        row.errors += line["errors"].as_u64().unwrap_or(0);
        for measure in Measure::ALL {
            if let Some(value) = line.pointer(measure.pointer()).and_then(Value::as_f64) {
                row.values.entry(measure).or_default().push(value);
            }
        }
    }

    /// The results that `key` may be compared with.
    pub(crate) fn row(&self, key: &Key) -> Option<&Row> {
        self.rows.iter().find(|row| row.key == *key)
    }
}

/// The middle of the finite values; of an even number, the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let upper = *finite.get(finite.len() / 2)?;
    if finite.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(finite[finite.len() / 2 - 1], upper))
}

/// A number with as many digits as matter.
pub(crate) fn shown(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_was_measured() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
        assert_eq!(median(&[f64::INFINITY, 1.0, f64::NAN, 2.0]), Some(1.5));
    }

    #[test]
    fn rounds_of_one_workload_come_together_and_others_stay_apart() {
        let results = Results::parse(
            r#"
            {"label":"A","workload":"pull-tag","connections":8,"ops_s":10,"errors":0,"server":{"cpu_us_per_req":500}}
            {"label":"A","workload":"pull-tag","connections":8,"ops_s":30,"errors":2,"server":{"cpu_us_per_req":300}}
            {"label":"A","workload":"pull-tag","connections":1,"ops_s":7,"errors":0,"server":null}
            {"label":"A","workload":"tags-page","connections":2,"params":{"total":1000,"page":100},"ops_s":5}
            "#,
            "file",
        )
        .unwrap();
        assert_eq!(results.label, "A");
        let keys: Vec<String> = results.rows.iter().map(|row| row.key.to_string()).collect();
        assert_eq!(keys, ["pull-tag c8", "pull-tag c1", "tags-page c2 100 of 1000"]);
        let row = &results.rows[0];
        assert_eq!((row.runs, row.errors), (2, 2));
        assert_eq!(row.median(Measure::Rate), Some(20.0));
        assert_eq!(row.median(Measure::CpuPerRequest), Some(400.0));
        assert_eq!(row.median(Measure::PeakMemory), None);
        assert_eq!(results.rows[1].median(Measure::CpuPerRequest), None);
    }

    #[test]
    fn a_workload_that_could_not_be_run_says_why() {
        let results = Results::parse(r#"{"workload":"referrers","failed":"404"}"#, "file").unwrap();
        assert_eq!(results.label, "file");
        assert_eq!(results.rows[0].failure.as_deref(), Some("404"));
        assert!(Results::parse("not json", "file").is_err());
    }

    #[test]
    fn better_means_more_or_less_as_the_measure_has_it() {
        assert_eq!(Measure::Rate.times_better(20.0, 10.0), 2.0);
        assert_eq!(Measure::CpuPerRequest.times_better(5.0, 10.0), 2.0);
    }

    #[test]
    fn numbers_are_shown_with_as_many_digits_as_matter() {
        assert_eq!(shown(1234.5), "1234");
        assert_eq!(shown(12.34), "12.3");
        assert_eq!(shown(1.234), "1.23");
        assert_eq!(shown(0.0), "0.00");
    }
}
