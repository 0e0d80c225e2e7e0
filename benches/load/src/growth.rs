//! How the cost of a list grows with the number of its entries.

use crate::results::{Key, Measure, Results, Row, shown};
use anyhow::Result;
use std::fmt::Write as _;

/// What is followed.
const MEASURES: [Measure; 3] = [Measure::Median, Measure::Tail, Measure::CpuPerRequest];

/// The table, in Markdown: each size beside the smallest of the same workload and page.
///
/// # Errors
/// Never in practice: writing to a string does not fail.
pub(crate) fn growth(results: &Results) -> Result<String> {
    let mut text = String::from("Medians. In brackets: times the value of the shortest list.\n\n");
    let titles: Vec<&str> = MEASURES.iter().map(|measure| measure.title()).collect();
    writeln!(text, "| list | runs | {} | errors |", titles.join(" | "))?;
    writeln!(text, "|---|---|{}---|", "---|".repeat(titles.len()))?;
    for row in results.rows.iter().filter(|row| row.key.total.is_some()) {
        let cells: String = MEASURES.into_iter().map(|measure| cell(results, row, measure)).collect();
        writeln!(text, "| {} | {} |{cells} {} |", row.key, row.runs, row.errors)?;
    }
    Ok(text)
}

fn cell(results: &Results, row: &Row, measure: Measure) -> String {
    let Some(value) = row.median(measure) else {
        return " - |".to_owned();
    };
    let shortest = shortest(results, &row.key).filter(|shortest| shortest.key != row.key);
    match shortest.and_then(|shortest| shortest.median(measure)) {
        Some(least) if least > 0.0 => format!(" {} ({:.2}x) |", shown(value), value / least),
        _ => format!(" {} |", shown(value)),
    }
}

/// The row that differs from `key` in nothing but that it has the fewest entries.
fn shortest<'r>(results: &'r Results, key: &Key) -> Option<&'r Row> {
    let alike = |row: &&Row| {
        *key == Key {
            total: key.total,
            ..row.key.clone()
        }
    };
    results.rows.iter().filter(alike).min_by_key(|row| row.key.total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_size_stands_beside_the_smallest_of_its_kind() {
        let line = |workload: &str, total: u64, page: u64, p50: f64| {
            serde_json::json!({
                "workload": workload, "connections": 2, "params": {"total": total, "page": page},
                "errors": 0, "latency": {"op": {"p50_ms": p50}},
            })
            .to_string()
        };
        let lines = [
            line("tags-page", 10_000, 100, 3.0),
            line("tags-page", 1_000, 100, 2.0),
            line("tags-page", 10_000, 1_000, 40.0),
            line("catalog-page", 1_000, 100, 5.0),
            r#"{"workload":"ping","connections":2,"errors":0}"#.to_owned(),
        ];
        let text = growth(&Results::parse(&lines.join("\n"), "x").unwrap()).unwrap();
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            rows,
            [
                "| tags-page c2 100 of 10000 | 1 | 3.00 (1.50x) | - | - | 0 |",
                "| tags-page c2 100 of 1000 | 1 | 2.00 | - | - | 0 |",
                "| tags-page c2 1000 of 10000 | 1 | 40.0 | - | - | 0 |",
                "| catalog-page c2 100 of 1000 | 1 | 5.00 | - | - | 0 |",
            ]
        );
    }
}
