//! Versions, read as leniently as Helm does: `1.2`, `v1.2.3` and `2026.08.1` are some, and are kept as written.

use std::cmp::Ordering;

/// A version, to be compared. Build metadata does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    /// Empty when this is a release.
    pre: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Number(u64),
    Word(String),
}

impl Version {
    /// Whether this is no pre-release.
    pub(crate) fn is_release(&self) -> bool {
        self.pre.is_empty()
    }

    /// Reads a version: an optional `v`, one to three numbers, an optional pre-release, optional build metadata.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let words = |list: Option<&str>| list.is_none_or(|list| list.split('.').all(is_word));
        // A number in a pre-release has no zero before it (semver 2.0, section 9); Helm lists no such version.
        let padded = |word: &str| word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit());
        if !words(build) || !words(pre) || pre.is_some_and(|pre| pre.split('.').any(padded)) {
            return None;
        }
        let mut numbers = [0; 3];
        for (index, part) in core.split('.').enumerate() {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *numbers.get_mut(index)? = part.parse().ok()?;
        }
        let part = |word: &str| match word.parse() {
            Ok(number) if word.bytes().all(|byte| byte.is_ascii_digit()) => Part::Number(number),
            _ => Part::Word(word.to_owned()),
        };
        Some(Self {
            numbers,
            pre: pre.map_or_else(Vec::new, |pre| pre.split('.').map(part).collect()),
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Ord for Version {
    /// As semver 2.0 has it, section 11.
    fn cmp(&self, other: &Self) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => one.cmp(two),
            (Self::Number(_), Self::Word(_)) => Ordering::Less,
            (Self::Word(_), Self::Number(_)) => Ordering::Greater,
            (Self::Word(one), Self::Word(two)) => one.cmp(two),
        }
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_semver_has_it() {
        let ascending = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1",
            "v1.2",
            "1.2.3",
            "1.10.0",
            "2026.08.1",
        ];
        for pair in ascending.windows(2) {
            assert!(Version::read(pair[0]) < Version::read(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::read("1.2"), Version::read("v1.2.0+build.5"));
    }

    #[test]
    fn what_helm_does_not_take_for_a_version_is_none() {
        for bad in [
            "",
            "v",
            "latest",
            "1.2.3.4",
            "1..2",
            "1.x",
            "-1",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a..b",
            "1.2.3-ä",
            "1.2.3-01",
            "1.2.3-rc.01",
            "1.2.3_4",
            "V1",
            " 1",
            "1 ",
            "1.2.3+a+b",
            "99999999999999999999.0.0",
            "../1.0.0",
            "1.0.0/2",
        ] {
            assert_eq!(Version::read(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_total(texts in proptest::collection::vec("v?[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(-[0-9a-b.]{1,5})?", 3)) {
            let versions: Vec<_> = texts.iter().filter_map(|text| Version::read(text)).collect();
            if let [a, b, c] = versions.as_slice() {
                prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
                if a <= b && b <= c {
                    prop_assert!(a <= c);
                }
            }
        }
    }
}
