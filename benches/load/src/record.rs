//! What a worker saw: latencies, bytes, errors; and their summary.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Latencies kept of one kind, at most, so that memory has a bound.
const SAMPLES_MAX: usize = 4_000_000;
/// Characters kept of an error, and errors told apart.
const ERROR_LENGTH_MAX: usize = 120;
const ERROR_KINDS_MAX: usize = 16;

/// What a worker saw, or all of them together.
#[derive(Default)]
pub(crate) struct Record {
    /// Microseconds, by the kind of step; `op` is a whole operation.
    pub(crate) latencies: BTreeMap<&'static str, Vec<u32>>,
    /// Operations that succeeded.
    pub(crate) operations: u64,
    /// Bytes of content sent.
    pub(crate) sent: u64,
    /// Bytes of content received.
    pub(crate) received: u64,
    /// Requests.
    pub(crate) requests: u64,
    /// Connections made.
    pub(crate) connects: u64,
    /// Tokens fetched.
    pub(crate) token_fetches: u64,
    /// How often each error came up.
    pub(crate) errors: BTreeMap<String, u64>,
    /// How often something happened that is not an error, but worth knowing.
    pub(crate) notes: BTreeMap<&'static str, u64>,
}

impl Record {
    /// Bytes of content, both ways.
    pub(crate) fn moved(&self) -> u64 {
        self.sent + self.received
    }

    /// A step took this long.
    pub(crate) fn latency(&mut self, step: &'static str, took: Duration) {
        let samples = self.latencies.entry(step).or_default();
        if samples.len() < SAMPLES_MAX {
            samples.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// An operation failed. Kinds of errors are few, whatever the server answers.
    pub(crate) fn error(&mut self, error: &str) {
        let mut kind: String = error.chars().take(ERROR_LENGTH_MAX).collect();
        if self.errors.len() >= ERROR_KINDS_MAX && !self.errors.contains_key(&kind) {
            kind = "other".to_owned();
        }
        *self.errors.entry(kind).or_default() += 1;
    }

    /// Something worth knowing happened.
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.notes.entry(what).or_default() += 1;
    }

    /// Takes in what another worker saw.
    pub(crate) fn merge(&mut self, other: Self) {
        for (step, samples) in other.latencies {
            self.latencies.entry(step).or_default().extend(samples);
        }
        self.operations += other.operations;
        self.sent += other.sent;
        self.received += other.received;
        self.requests += other.requests;
        self.connects += other.connects;
        self.token_fetches += other.token_fetches;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        for (note, count) in other.notes {
            *self.notes.entry(note).or_default() += count;
        }
    }

    /// Mean and quantiles of each kind of step.
    pub(crate) fn latency_summary(&mut self) -> Value {
        self.latencies
            .iter_mut()
            .map(|(step, samples)| ((*step).to_owned(), summary(samples)))
            .collect()
    }
}

fn summary(samples: &mut [u32]) -> Value {
    samples.sort_unstable();
    let milliseconds = |microseconds: f64| rounded(microseconds / 1000.0);
    // The nearest-rank quantile: the least sample that this share of all samples does not exceed.
    let quantile = |share: f64| {
        let rank = (samples.len() as f64 * share).ceil() as usize;
        milliseconds(samples.get(rank.saturating_sub(1)).copied().map_or(0.0, f64::from))
    };
    let sum: u64 = samples.iter().copied().map(u64::from).sum();
    json!({
        "n": samples.len(),
        "mean_ms": milliseconds(sum as f64 / samples.len().max(1) as f64),
        "p50_ms": quantile(0.50),
        "p90_ms": quantile(0.90),
        "p99_ms": quantile(0.99),
        "max_ms": quantile(1.0),
    })
}

/// Three digits after the point.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_and_the_last_is_the_greatest() {
        let mut samples: Vec<u32> = (1..=100).rev().map(|sample| sample * 1000).collect();
        assert_eq!(
            summary(&mut samples),
            json!({"n": 100, "mean_ms": 50.5, "p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "max_ms": 100.0})
        );
        assert_eq!(
            summary(&mut [1234]),
            json!({"n": 1, "mean_ms": 1.234, "p50_ms": 1.234, "p90_ms": 1.234, "p99_ms": 1.234, "max_ms": 1.234})
        );
        assert_eq!(
            summary(&mut []),
            json!({"n": 0, "mean_ms": 0.0, "p50_ms": 0.0, "p90_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0})
        );
    }

    #[test]
    fn errors_stay_few_and_short() {
        let mut record = Record::default();
        for number in 0..100 {
            record.error(&format!("{number} {}", "ä".repeat(1000)));
        }
        record.error(&format!("0 {}", "ä".repeat(1000)));
        assert_eq!(record.errors.len(), ERROR_KINDS_MAX + 1);
        assert_eq!(record.errors["other"], 100 - ERROR_KINDS_MAX as u64);
        assert_eq!(record.errors.values().sum::<u64>(), 101);
        assert!(record.errors.keys().all(|kind| kind.chars().count() <= ERROR_LENGTH_MAX));
    }

    #[test]
    fn what_workers_saw_adds_up() {
        let mut all = Record::default();
        for took in [1, 3] {
            let mut one = Record {
                operations: 1,
                sent: 10,
                received: 5,
                requests: 3,
                ..Record::default()
            };
            one.latency("op", Duration::from_millis(took));
            one.error("get: 500");
            one.note("mounted");
            all.merge(one);
        }
        assert_eq!((all.operations, all.moved(), all.requests), (2, 30, 6));
        assert_eq!(all.errors["get: 500"], 2);
        assert_eq!(all.notes["mounted"], 2);
        let summary = all.latency_summary();
        assert_eq!(summary["op"]["n"], 2);
        assert_eq!(summary["op"]["mean_ms"], 2.0);
        assert_eq!(summary["op"]["max_ms"], 3.0);
    }
}
