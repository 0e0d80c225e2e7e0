//! The ranges by which a release is asked for. What a release is stands in [`granary_storage::release`].

use granary_storage::release::{Release, Releases};

/// Which releases are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Those between its bounds.
    pub(super) releases: Releases,
    /// Whether pre-releases are among them.
    pub(super) pre: bool,
}

impl Range {
    /// Reads what stands behind the `@`: `latest`, `1.2` (every 1.2.x), `^1.2`, `~1.2.3`, `>=1.2,<2`, `*`. A range that
    /// names a pre-release asks for pre-releases.
    pub(super) fn read(text: &str) -> Option<Self> {
        let all = Self::default();
        if text == "latest" || text == "*" {
            return Some(all);
        }
        let mut parts = text.split([',', ' ']).filter(|part| !part.is_empty()).peekable();
        parts.peek()?;
        parts.try_fold(all, Self::narrowed)
    }

    /// The same with pre-releases.
    pub(super) fn with_pre(self, pre: bool) -> Self {
        Self {
            pre: self.pre || pre,
            ..self
        }
    }

    fn narrowed(self, part: &str) -> Option<Self> {
        let (sign, version) = ["^", "~", ">=", "<=", ">", "<", "="]
            .into_iter()
            .find_map(|sign| part.strip_prefix(sign).map(|version| (sign, version)))
            .unwrap_or(("=", part));
        let version = version.strip_suffix(".x").or_else(|| version.strip_suffix(".*")).unwrap_or(version);
        let (release, numbers) = Release::lenient(version)?;
        // The first numbers of which the one at `index` is another one.
        let behind = |index: usize| {
            let mut numbers: Vec<u64> = numbers.iter().take(index + 1).copied().collect();
            if let Some(last) = numbers.last_mut() {
                *last += 1;
            }
            numbers
        };
        let last = numbers.len().saturating_sub(1);
        let whole = last >= 2 || release.is_prerelease();
        let releases = self.releases;
        let releases = match sign {
            "^" => {
                let first = numbers.iter().position(|number| *number > 0).unwrap_or(last);
                releases.at_least(&release).below_numbers(behind(first))
            }
            "~" => releases.at_least(&release).below_numbers(behind(1)),
            ">=" => releases.at_least(&release),
            ">" if whole => releases.newer_than(&release),
            ">" => releases.at_least(&Release::of_numbers(behind(last))),
            "<" if release.is_prerelease() => releases.older_than(&release),
            "<" => releases.below_numbers(numbers),
            "<=" if whole => releases.at_most(&release),
            "<=" => releases.below_numbers(behind(last)),
            _ if whole => releases.at_least(&release).at_most(&release),
            _ => releases.at_least(&release).below_numbers(behind(last)),
        };
        Some(Self {
            releases,
            pre: self.pre || release.is_prerelease(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    /// The newest of these folders that a range asks for, as the catalog finds it.
    fn newest<'f>(range: &Range, folders: &[&'f str]) -> Option<&'f str> {
        let asked = |folder: &&'f str| {
            let release = Release::read(folder)?;
            let key = release.sort_key(folder);
            ((range.pre || !release.is_prerelease()) && range.releases.hold(&key)).then_some((key, *folder))
        };
        folders.iter().filter_map(asked).max().map(|(_, folder)| folder)
    }

    #[test]
    fn a_range_asks_for_the_newest_of_some() {
        let folders = [
            "0.0.3",
            "0.2.9",
            "0.3.0",
            "1.1.9",
            "1.2",
            "v1.2.7",
            "1.3.0-rc.1",
            "1.9.1",
            "1.10",
            "2.0.0-rc.1",
            "2.0.0",
            "3.0-beta",
            "notes.d",
        ];
        for (range, wanted) in [
            ("latest", Some("2.0.0")),
            ("*", Some("2.0.0")),
            ("1", Some("1.10")),
            ("1.2", Some("v1.2.7")),
            ("1.2.x", Some("v1.2.7")),
            ("v1.2.7", Some("v1.2.7")),
            ("1.2.6", None),
            ("^1.2", Some("1.10")),
            ("^0.2.1", Some("0.2.9")),
            ("^0.0.3", Some("0.0.3")),
            ("~1.2", Some("v1.2.7")),
            ("~1", Some("1.10")),
            (">=1.2,<1.10", Some("1.9.1")),
            (">=1.2 <=1.9", Some("1.9.1")),
            (">1.2", Some("2.0.0")),
            (">1.10.0,<2", None),
            ("<1.2", Some("1.1.9")),
            ("^1.3.0-0", Some("1.10")),
            ("=1.3.0-rc.1", Some("1.3.0-rc.1")),
            ("~1.3-0", Some("1.3.0-rc.1")),
            (">=3.0-0", Some("3.0-beta")),
            ("^7", None),
        ] {
            assert_eq!(newest(&Range::read(range).unwrap(), &folders), wanted, "{range}");
        }
        assert_eq!(newest(&Range::read("latest").unwrap().with_pre(true), &folders), Some("3.0-beta"));
        for none in ["", "scope", "^", "^x", "latest2", "1.y", ">=", "1.2;3", ">>1", ",", ">=1,x"] {
            assert_eq!(Range::read(none), None, "{none:?}");
        }
    }

    /// What a bound says, told number by number, with nothing of how it is answered.
    fn meets(sign: &str, given: &[u64], numbers: &[u64]) -> bool {
        let at = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or(0);
        let order = |count: usize| {
            (0..count)
                .map(|index| at(numbers, index).cmp(&at(given, index)))
                .find(|order| order.is_ne())
        };
        let order = |count| order(count).unwrap_or(Ordering::Equal);
        let all = given.len().max(numbers.len());
        // A version that is not whole stands for all that begin as it does.
        let named = if given.len() >= 3 { all } else { given.len() };
        let first = given.iter().position(|number| *number > 0).unwrap_or(given.len() - 1);
        match sign {
            "^" => order(all).is_ge() && order(first + 1).is_eq(),
            "~" => order(all).is_ge() && order(given.len().min(2)).is_eq(),
            ">=" => order(all).is_ge(),
            ">" => order(named).is_gt(),
            "<" => order(all).is_lt(),
            "<=" => order(named).is_le(),
            _ => order(named).is_eq(),
        }
    }

    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![0..3_u64, Just(10)], 1..5)
    }

    fn dotted(numbers: &[u64]) -> String {
        numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
    }

    proptest! {
        #[test]
        fn a_bound_holds_what_it_says(
            sign in prop::sample::select(vec!["^", "~", ">=", ">", "<", "<=", "=", ""]),
            given in numbers(),
            numbers in numbers().prop_filter("one is no release", |numbers| numbers.len() > 1),
        ) {
            let range = Range::read(&format!("{sign}{}", dotted(&given))).unwrap();
            let held = newest(&range, &[&dotted(&numbers)]).is_some();
            prop_assert_eq!(held, meets(sign, &given, &numbers), "{}{:?} {:?}", sign, given, numbers);
        }

        #[test]
        fn bounds_hold_together_what_each_of_them_holds(a in numbers(), b in numbers(), folder in "[01]{1,2}(\\.[012]{1,2}){1,3}(-[ab])?") {
            let [a, b] = [format!(">={}", dotted(&a)), format!("<={}", dotted(&b))];
            let holds = |text: &str| newest(&Range::read(text).unwrap().with_pre(true), &[&folder]).is_some();
            prop_assert_eq!(holds(&format!("{a},{b}")), holds(&a) && holds(&b));
        }

        #[test]
        fn whatever_is_read_asks_for_something_or_nothing(text in "[v^~<>=]{0,2}[0-9]{1,20}(\\.[0-9]{1,20}){0,3}(-[0-9a-z.]{1,5})?|.{0,30}") {
            if let Some(range) = Range::read(&text) {
                newest(&range, &[&text, "1.0"]);
            }
        }
    }
}
