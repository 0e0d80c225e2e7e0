//! How two charts differ, file by file: what a reviewer of an upgrade wants to see.
//!
//! What is compared is a stranger's to choose, and comparing can cost the square of it. So lines and time have limits:
//! behind them the answer is coarser, never wrong.

use super::parts::Kept;
use granary_storage::limits::Limits;
use similar::{ChangeTag, TextDiff};
use std::cmp::Ordering;
use std::time::Instant;

/// Lines around a change that stayed the same.
const CONTEXT: usize = 3;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    /// The word in an answer.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// The lines of a file that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    /// How many are new.
    pub(crate) added: usize,
    /// How many are gone.
    pub(crate) removed: usize,
    /// They, with some around them, as `diff -u` writes it; empty when only an empty file came or went.
    pub(crate) unified: String,
}

/// A file that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differing {
    /// Its path in the chart's folder.
    pub(crate) name: String,
    pub(crate) change: Change,
    /// Its lines; `None` for one that is no text, or is longer than the limit.
    pub(crate) lines: Option<Lines>,
}

/// The files that are not the same in both, by their names. Blocks.
pub(crate) fn compare(mut before: Vec<Kept>, mut after: Vec<Kept>, limits: &Limits) -> Vec<Differing> {
    let until = Instant::now() + limits.chart_diff_time;
    before.sort_by(|one, other| one.name.cmp(&other.name));
    after.sort_by(|one, other| one.name.cmp(&other.name));
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    let mut all = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return all,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.name.cmp(&new.name),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        all.extend(differing(old, new, limits, until));
    }
}

fn differing(old: Option<Kept>, new: Option<Kept>, limits: &Limits, until: Instant) -> Option<Differing> {
    let (change, name) = match (&old, &new) {
        (Some(old), Some(new)) if old.data == new.data => return None,
        (Some(old), Some(_)) => (Change::Changed, old.name.clone()),
        (Some(old), None) => (Change::Removed, old.name.clone()),
        (None, Some(new)) => (Change::Added, new.name.clone()),
        (None, None) => return None,
    };
    let text = |file: Option<Kept>| match file {
        None => Some(String::new()),
        Some(file) => String::from_utf8(file.data)
            .ok()
            .filter(|text| !text.contains('\0') && text.lines().count() <= limits.chart_diff_lines),
    };
    let lines = match (text(old), text(new)) {
        (Some(old), Some(new)) => Some(lines(&name, change, &old, &new, until)),
        _ => None,
    };
    Some(Differing { name, change, lines })
}

fn lines(name: &str, change: Change, old: &str, new: &str, until: Instant) -> Lines {
    let diff = TextDiff::configure().deadline(until).diff_lines(old, new);
    let count = |tag: ChangeTag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let none = "/dev/null".to_owned();
    // Nothing in a name may look like a line of its own.
    let shown: String = name.escape_debug().collect();
    let before = if change == Change::Added {
        none.clone()
    } else {
        format!("a/{shown}")
    };
    let after = if change == Change::Removed { none } else { format!("b/{shown}") };
    Lines {
        added: count(ChangeTag::Insert),
        removed: count(ChangeTag::Delete),
        unified: diff.unified_diff().context_radius(CONTEXT).header(&before, &after).to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::time::Duration;

    fn files(of: &[(&str, &[u8])]) -> Vec<Kept> {
        of.iter().map(|(name, data)| Kept::new((*name).to_owned(), data.to_vec())).collect()
    }

    fn told(before: &[(&str, &[u8])], after: &[(&str, &[u8])]) -> Vec<(String, &'static str, Option<String>)> {
        compare(files(before), files(after), &Limits::default())
            .into_iter()
            .map(|file| (file.name, file.change.word(), file.lines.map(|lines| lines.unified)))
            .collect()
    }

    #[test]
    fn files_are_told_in_order_as_what_became_of_them() {
        let before: &[(&str, &[u8])] = &[
            ("values.yaml", b"a: 1\nb: 2\n"),
            ("same", b"x"),
            ("gone", b"old\n"),
            ("logo.png", b"\x89\0"),
        ];
        let after: &[(&str, &[u8])] = &[
            ("new", b"fresh\n"),
            ("same", b"x"),
            ("logo.png", b"\x89\0\0"),
            ("values.yaml", b"a: 1\nb: 3\n"),
        ];
        let unified = |text: &str| Some(text.to_owned());
        let expected = [
            ("gone", "removed", unified("--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n")),
            ("logo.png", "changed", None),
            ("new", "added", unified("--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+fresh\n")),
            (
                "values.yaml",
                "changed",
                unified("--- a/values.yaml\n+++ b/values.yaml\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n"),
            ),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, word, text)| (name.to_owned(), word, text))
            .collect();
        assert_eq!(told(before, after), expected);
        assert_eq!(told(before, before), []);
        let hostile = told(&[("a\n+++ b/x", b"1\n")], &[]);
        assert!(
            hostile[0].2.as_ref().unwrap().starts_with("--- a/a\\n+++ b/x\n+++ /dev/null\n"),
            "{hostile:?}"
        );
    }

    #[test]
    fn a_file_longer_than_the_limit_is_told_without_its_lines() {
        let limits = Limits {
            chart_diff_lines: 3,
            ..Limits::default()
        };
        for (text, lines) in [("1\n2\n3\n", true), ("1\n2\n3\n4\n", false)] {
            let found = compare(files(&[("a", b"1\n")]), files(&[("a", text.as_bytes())]), &limits);
            assert_eq!(found[0].lines.is_some(), lines, "{text:?}");
        }
    }

    #[test]
    fn what_would_take_the_square_of_its_lines_ends_in_time() {
        let limits = Limits {
            chart_diff_time: Duration::from_millis(50),
            ..Limits::default()
        };
        // Nothing in common, and nothing alike to find quickly.
        let text = |first: usize| -> Vec<u8> {
            let lines = (0..50_000).map(|line| format!("{}\n", (line * 7919 + first) % 100_003));
            lines.collect::<String>().into_bytes()
        };
        let began = Instant::now();
        let found = compare(files(&[("a", &text(1))]), files(&[("a", &text(50_000))]), &limits);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert!(found[0].lines.as_ref().unwrap().added > 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Coarse or fine, what is told makes the one of the other.
        #[test]
        fn the_lines_that_are_told_make_the_new_text_of_the_old_one(
            old in vec("[a-c]{0,2}", 0..12), new in vec("[a-c]{0,2}", 0..12), ended in any::<bool>(),
        ) {
            let join = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let (old, new) = (join(&old), join(&new));
            let limits = Limits {
                chart_diff_time: if ended { Duration::ZERO } else { Duration::from_secs(10) },
                ..Limits::default()
            };
            let found = compare(files(&[("a", old.as_bytes())]), files(&[("a", new.as_bytes())]), &limits);
            prop_assert_eq!(found.is_empty(), old == new);
            if let Some(file) = found.first() {
                let lines = file.lines.as_ref().unwrap();
                prop_assert_eq!(&apply(&old, &lines.unified), &new);
                prop_assert_eq!(old.lines().count() + lines.added, new.lines().count() + lines.removed);
            }
        }
    }

    /// Applies a unified diff.
    fn apply(old: &str, unified: &str) -> String {
        let (mut left, mut made) = (old.lines().enumerate().peekable(), String::new());
        for line in unified.lines().skip(2) {
            if let Some(rest) = line.strip_prefix("@@ -") {
                let range = rest.split(' ').next().unwrap();
                let (start, count) = range.split_once(',').unwrap_or((range, "1"));
                // Lines count from one; an empty range names the line before it.
                let start = start.parse::<usize>().unwrap() - usize::from(count != "0");
                while left.peek().is_some_and(|(number, _)| *number < start) {
                    made += &format!("{}\n", left.next().unwrap().1);
                }
                continue;
            }
            let (sign, text) = line.split_at(1);
            if sign != "+" {
                assert_eq!(left.next().unwrap().1, text);
            }
            if sign != "-" {
                made += &format!("{text}\n");
            }
        }
        left.for_each(|(_, line)| made += &format!("{line}\n"));
        made
    }
}
