//! Medians of result files, and how many times better each is than the first.

use crate::results::{Key, Measure, Results, Row, shown};
use anyhow::{Context as _, Result};
use std::fmt::Write as _;

/// The report, in Markdown.
///
/// # Errors
/// When there is nothing to report.
pub(crate) fn report(all: &[Results]) -> Result<String> {
    let yardstick = all.first().context("there are no results")?;
    let mut text = format!(
        "Medians; A = {}. In brackets: how many times better than A (above 1 is better, whatever the column).\n\n",
        yardstick.label
    );
    let titles: Vec<&str> = Measure::ALL.iter().map(|measure| measure.title()).collect();
    writeln!(text, "| workload | server | runs | {} | errors |", titles.join(" | "))?;
    writeln!(text, "|---|---|---|{}---|", "---|".repeat(titles.len()))?;
    for key in keys(all) {
        for (index, results) in all.iter().enumerate() {
            if let Some(row) = results.row(key) {
                let compared = yardstick.row(key).filter(|_| index > 0);
                writeln!(text, "| {key} | {} | {} |{}", results.label, row.runs, cells(row, compared))?;
            }
        }
    }
    Ok(text)
}

/// Everything that was run anywhere, in the order in which it first was.
fn keys(all: &[Results]) -> Vec<&Key> {
    let mut keys: Vec<&Key> = Vec::new();
    for row in all.iter().flat_map(|results| &results.rows) {
        if !keys.contains(&&row.key) {
            keys.push(&row.key);
        }
    }
    keys
}

fn cells(row: &Row, compared: Option<&Row>) -> String {
    if let Some(failure) = &row.failure {
        return format!(" failed: {failure} |{}", " |".repeat(Measure::ALL.len()));
    }
    let cell = |measure: Measure| match (row.median(measure), compared.and_then(|row| row.median(measure))) {
        (None, _) => " - |".to_owned(),
        (Some(value), Some(yardstick)) if value > 0.0 && yardstick > 0.0 => {
            format!(" {} ({:.2}x) |", shown(value), measure.times_better(value, yardstick))
        }
        (Some(value), _) => format!(" {} |", shown(value)),
    };
    let cells: String = Measure::ALL.into_iter().map(cell).collect();
    format!("{cells} {} |", row.errors)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn results(label: &str, rates: &[f64], cpu: f64) -> Results {
        let lines: Vec<String> = rates
            .iter()
            .map(|rate| {
                serde_json::json!({
                    "label": label, "workload": "pull-tag", "connections": 8, "ops_s": rate, "errors": 1,
                    "latency": {"op": {"p50_ms": 2}}, "server": {"cpu_us_per_req": cpu},
                })
                .to_string()
            })
            .collect();
        Results::parse(&lines.join("\n"), label).unwrap()
    }

    #[test]
    fn medians_stand_beside_how_many_times_better_they_are() {
        let text = report(&[results("theirs", &[1.0, 3.0, 2.0], 500.0), results("ours", &[8.0, 4.0], 50.0)]).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("A = theirs"), "{text}");
        assert_eq!(lines[4], "| pull-tag c8 | theirs | 3 | 2.00 | - | 2.00 | - | 500 | - | - | 3 |");
        assert_eq!(
            lines[5],
            "| pull-tag c8 | ours | 2 | 6.00 (3.00x) | - | 2.00 (1.00x) | - | 50.0 (10.00x) | - | - | 2 |"
        );
        let columns: Vec<usize> = lines[2..].iter().map(|line| line.matches('|').count()).collect();
        assert!(columns.iter().all(|count| *count == columns[0]), "{text}");
    }

    #[test]
    fn what_failed_says_why_and_what_only_one_has_run_is_shown() {
        let failed = Results::parse(r#"{"label":"B","workload":"referrers","failed":"404"}"#, "B").unwrap();
        let text = report(&[results("A", &[1.0], 500.0), failed]).unwrap();
        assert!(text.contains("| referrers | B | 1 | failed: 404 |"), "{text}");
        assert!(report(&[]).is_err());
    }
}
