//! Releases: first folders that read as a version, ordered leniently (DESIGN §3: an optional `v`, numbers with at least
//! one dot, an optional pre-release), and the ranges by which one is asked for.

/// What tells one word of a pre-release from another (semver 2.0 §11.4): numbers first, and by their value.
type Word = (bool, u64, String);

/// A version, ordered as semver has it, but with as many numbers as it likes; missing ones count as 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    /// Without zeros at the end.
    numbers: Vec<u64>,
    /// Whether it is no pre-release.
    released: bool,
    pre: Vec<Word>,
}

impl Release {
    /// Reads a folder's name; `None` for one that is no version.
    pub(super) fn read(text: &str) -> Option<Self> {
        text.contains('.')
            .then(|| Self::partial(text))
            .flatten()
            .map(|(release, _)| release)
    }

    /// Reads a version of one number or more, and says how many.
    fn partial(text: &str) -> Option<(Self, usize)> {
        let text = text.strip_prefix('v').unwrap_or(text);
        // Build metadata does not count.
        let (text, build) = text.split_once('+').unwrap_or((text, "0"));
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if ![build, pre.unwrap_or("0")].iter().all(|words| words.split('.').all(word)) {
            return None;
        }
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().ok(),
            false => None,
        };
        let mut numbers = core.split('.').map(number).collect::<Option<Vec<u64>>>()?;
        let given = numbers.len();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        let word = |text: &str| number(text).map_or_else(|| (true, 0, text.to_owned()), |number| (false, number, String::new()));
        let release = Self {
            numbers,
            released: pre.is_none(),
            pre: pre.map_or_else(Vec::new, |pre| pre.split('.').map(word).collect()),
        };
        Some((release, given))
    }

    /// The numbers, as many as were given.
    fn given(&self, count: usize) -> Vec<u64> {
        let mut numbers = self.numbers.clone();
        numbers.resize(count, 0);
        numbers
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    AtLeast(Release),
    MoreThan(Release),
    /// Its numbers alone count: what leads up to 2.0 is no part of `^1.2`.
    Below(Vec<u64>),
    LessThan(Release),
    AtMost(Release),
}

/// Which releases are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    bounds: Vec<Bound>,
    /// Whether pre-releases are among them.
    pre: bool,
}

impl Range {
    /// Reads what stands behind the `@`: `latest`, `1.2` (every 1.2.x), `^1.2`, `~1.2.3`, `>=1.2,<2`, `*`. A range that
    /// names a pre-release asks for pre-releases.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut range = Self::default();
        if text == "latest" || text == "*" {
            return Some(range);
        }
        for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
            range.add(part)?;
        }
        (!range.bounds.is_empty()).then_some(range)
    }

    /// The same with pre-releases.
    pub(super) fn with_pre(self, pre: bool) -> Self {
        Self {
            pre: self.pre || pre,
            ..self
        }
    }

    fn add(&mut self, part: &str) -> Option<()> {
        let (sign, version) = ["^", "~", ">=", "<=", ">", "<", "="]
            .into_iter()
            .find_map(|sign| part.strip_prefix(sign).map(|version| (sign, version)))
            .unwrap_or(("=", part));
        let version = version.strip_suffix(".x").or_else(|| version.strip_suffix(".*")).unwrap_or(version);
        let (release, count) = Release::partial(version)?;
        self.pre |= !release.released;
        let numbers = release.given(count);
        // The first version of which the number at `index` is another one.
        let behind = |index: usize| {
            let mut numbers: Vec<u64> = numbers.iter().take(index + 1).copied().collect();
            if let Some(last) = numbers.last_mut() {
                *last = last.saturating_add(1);
            }
            trimmed(numbers)
        };
        let whole = count >= 3 || !release.released;
        let bounds = match sign {
            "^" => {
                let first = numbers.iter().position(|number| *number > 0).unwrap_or(count - 1);
                vec![Bound::AtLeast(release), Bound::Below(behind(first))]
            }
            "~" => vec![Bound::AtLeast(release), Bound::Below(behind(1))],
            ">=" => vec![Bound::AtLeast(release)],
            ">" if whole => vec![Bound::MoreThan(release)],
            ">" => vec![Bound::AtLeast(Release {
                numbers: behind(count - 1),
                ..release
            })],
            "<" if release.released => vec![Bound::Below(release.numbers)],
            "<" => vec![Bound::LessThan(release)],
            "<=" if whole => vec![Bound::AtMost(release)],
            "<=" => vec![Bound::Below(behind(count - 1))],
            _ if whole => vec![Bound::AtLeast(release.clone()), Bound::AtMost(release)],
            _ => vec![Bound::AtLeast(release), Bound::Below(behind(count - 1))],
        };
        self.bounds.extend(bounds);
        Some(())
    }

    fn holds(&self, release: &Release) -> bool {
        let within = |bound: &Bound| match bound {
            Bound::AtLeast(least) => release >= least,
            Bound::MoreThan(less) => release > less,
            Bound::Below(numbers) => release.numbers < *numbers,
            Bound::LessThan(more) => release < more,
            Bound::AtMost(most) => release <= most,
        };
        (self.pre || release.released) && self.bounds.iter().all(within)
    }

    /// The newest of these folders that it asks for. Of two names of one version the last bytewise.
    pub(super) fn newest<'f>(&self, folders: &'f [String]) -> Option<&'f str> {
        let releases = folders.iter().filter_map(|folder| Some((Release::read(folder)?, folder.as_str())));
        let newest = releases.filter(|(release, _)| self.holds(release)).max()?;
        Some(newest.1)
    }
}

fn trimmed(mut numbers: Vec<u64>) -> Vec<u64> {
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folders_are_ordered_as_the_versions_that_they_are() {
        let ascending = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc.2",
            "1.0.0-rc.11",
            "v1.0",
            "1.0.0.1",
            "1.2.3",
            "1.10.0",
            "2026.08.1",
            "2026.8.1.4.5",
        ];
        for pair in ascending.windows(2) {
            assert!(Release::read(pair[0]).unwrap() < Release::read(pair[1]).unwrap(), "{pair:?}");
        }
        assert_eq!(Release::read("1.2"), Release::read("v1.2.0+build.5"));
        for none in [
            "",
            "1",
            "v",
            "latest",
            "1..2",
            "1.x",
            "-1.0",
            "1.2-",
            "1.2+",
            "V1.2",
            "1.2_3",
            "99999999999999999999.0",
        ] {
            assert_eq!(Release::read(none), None, "{none:?}");
        }
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
        ]
        .map(str::to_owned);
        for (range, newest) in [
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
            assert_eq!(Range::read(range).unwrap().newest(&folders), newest, "{range}");
        }
        assert_eq!(Range::read("latest").unwrap().with_pre(true).newest(&folders), Some("3.0-beta"));
        for none in ["", "scope", "^", "^x", "latest2", "1.y", ">=", "1.2;3", ">>1", ","] {
            assert_eq!(Range::read(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_ordered_and_nothing_panics(text in "[v^~<>=]{0,2}[0-9]{1,20}(\\.[0-9]{1,20}){0,3}(-[0-9a-z.]{1,5})?|.{0,30}") {
            if let Some(range) = Range::read(&text) {
                range.newest(&[text.clone(), "1.0".to_owned()]);
            }
            if let Some(release) = Release::read(&text) {
                prop_assert_eq!(release.cmp(&release), std::cmp::Ordering::Equal);
            }
        }
    }
}
