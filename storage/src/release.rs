//! Releases of files: first folders that read as a version (an optional `v`, numbers with at least one dot, an optional
//! pre-release), kept as given and ordered leniently, and the text by which a database orders them the same way.

use std::fmt::Write as _;

/// Bytes in the name of a release, at most, as in a tag; a folder with a longer name is no release. Its text to sort
/// by is a few times as long and must fit into an index.
pub const RELEASE_MAX: usize = 128;

/// Ends the text that a version sorts by, before its name: less than whatever may stand there instead.
const END: char = ' ';

/// The next character.
const BEHIND_END: char = '!';

/// Greater than the first character of every text to sort by.
const BEHIND_ALL: &str = "~";

/// A version, ordered as semver has it, but with as many numbers as it likes; missing ones count as 0, build metadata
/// counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// Without zeros at the end.
    numbers: Vec<u64>,
    /// Whether it is no pre-release.
    released: bool,
    pre: Vec<Word>,
}

/// One identifier of a pre-release (semver 2.0 §11.4): numbers first, and by their value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// How many digits without leading zeros, and these: they may be more than a number holds.
    Number(usize, String),
    Text(String),
}

impl Word {
    /// Reads an identifier, which is not empty.
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return None;
        }
        Some(match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => {
                let digits = text.trim_start_matches('0');
                Self::Number(digits.len(), digits.to_owned())
            }
            false => Self::Text(text.to_owned()),
        })
    }
}

fn words(text: &str) -> Option<Vec<Word>> {
    text.split('.').map(Word::read).collect()
}

/// The one greatest number is left out, so that there is one more than each.
fn number(text: &str) -> Option<u64> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok().filter(|number| *number < u64::MAX),
        false => None,
    }
}

fn without_zeros(mut numbers: Vec<u64>) -> Vec<u64> {
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

impl Release {
    /// Reads a folder's name; `None` for one that is no version.
    pub fn read(text: &str) -> Option<Self> {
        Self::lenient(text)
            // The dot stands among the numbers: neither 7-zip.d nor 2024-11-30.logs is a version.
            .filter(|(_, numbers)| numbers.len() > 1)
            .map(|(release, _)| release)
    }

    /// Reads a version of one number or more, and gives its numbers as they stand there, zeros at the end included:
    /// one at least, each less than [`u64::MAX`].
    pub fn lenient(text: &str) -> Option<(Self, Vec<u64>)> {
        if text.len() > RELEASE_MAX {
            return None;
        }
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        build.map_or(Some(Vec::new()), words)?;
        let given = core.split('.').map(number).collect::<Option<Vec<u64>>>()?;
        let release = Self {
            released: pre.is_none(),
            pre: pre.map_or(Some(Vec::new()), words)?,
            ..Self::of_numbers(given.clone())
        };
        Some((release, given))
    }

    /// The version of these numbers.
    pub fn of_numbers(numbers: Vec<u64>) -> Self {
        Self {
            numbers: without_zeros(numbers),
            released: true,
            pre: Vec::new(),
        }
    }

    /// Whether it only leads up to a version (`1.2.0-rc.1`).
    pub fn is_prerelease(&self) -> bool {
        !self.released
    }

    /// What a release of this name sorts by, bytewise: as its version does, and of equal versions as the name.
    /// `name` is what the release was read from.
    pub fn sort_key(&self, name: &str) -> String {
        format!("{}{END}{name}", self.order())
    }

    /// Printable ASCII that sorts bytewise as the version does. None of it begins with the whole of another one, unless
    /// it goes on with something greater than [`BEHIND_END`].
    fn order(&self) -> String {
        let mut text = numbers_order(&self.numbers);
        // Both are less than what a further number begins with: 1.2 stands before 1.2.1.
        text.push(if self.released { '=' } else { '-' });
        for word in &self.pre {
            // A text ends with what is less than all that may go on in it.
            let _ = match word {
                Word::Number(len, digits) => write!(text, "{len:03}{digits}"),
                Word::Text(word) => write!(text, "~{word},"),
            };
        }
        text
    }
}

/// Each number behind a letter that says how many digits it has.
fn numbers_order(numbers: &[u64]) -> String {
    let mut text = String::new();
    for number in numbers {
        let digits = number.to_string();
        // At most 20 digits, `a` to `t`.
        text.extend(('a'..='t').nth(digits.len() - 1));
        text.push_str(&digits);
    }
    text
}

/// The name of the release that sorts by this.
pub(crate) fn name_in(sort_key: &str) -> &str {
    sort_key.split_once(END).map_or("", |(_, name)| name)
}

/// Releases between two places of their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Releases {
    from: String,
    below: String,
}

impl Default for Releases {
    /// All of them.
    fn default() -> Self {
        Self {
            from: String::new(),
            below: BEHIND_ALL.to_owned(),
        }
    }
}

impl Releases {
    /// The least text to sort by that any of them may have.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// What stands behind the text to sort by of each of them.
    pub fn below(&self) -> &str {
        &self.below
    }

    /// Whether a release with this text to sort by is among them.
    pub fn hold(&self, sort_key: &str) -> bool {
        (self.from()..self.below()).contains(&sort_key)
    }

    fn not_before(mut self, place: String) -> Self {
        self.from = self.from.max(place);
        self
    }

    /// Those before a place of the order.
    fn before(mut self, place: String) -> Self {
        self.below = self.below.min(place);
        self
    }

    /// Those of this version or a newer one.
    #[must_use]
    pub fn at_least(self, least: &Release) -> Self {
        self.not_before(least.order())
    }

    /// Those of a newer version.
    #[must_use]
    pub fn newer_than(self, release: &Release) -> Self {
        self.not_before(format!("{}{BEHIND_END}", release.order()))
    }

    /// Those of this version or an older one.
    #[must_use]
    pub fn at_most(self, most: &Release) -> Self {
        self.before(format!("{}{BEHIND_END}", most.order()))
    }

    /// Those of an older version.
    #[must_use]
    pub fn older_than(self, release: &Release) -> Self {
        self.before(release.order())
    }

    /// Those that stand before this one, by version and name.
    #[must_use]
    pub fn before_this(self, release: &Release, name: &str) -> Self {
        self.before(release.sort_key(name))
    }

    /// Those of lesser numbers: what leads up to 2.0 is not among them for 2.0.
    #[must_use]
    pub fn below_numbers(self, numbers: Vec<u64>) -> Self {
        self.before(numbers_order(&without_zeros(numbers)))
    }
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
            "1.0.0-alpha.99999999999999999999",
            "1.0.0-alpha.100000000000000000000",
            "1.0.0-alpha.beta",
            "1.0.0-alpha1",
            "1.0.0-rc.2",
            "1.0.0-rc.11",
            "v1.0",
            "1.0.0.1-0",
            "1.0.0.1",
            "1.2.3",
            "1.10.0",
            "2026.08.1",
            "2026.8.1.4.5",
            "18446744073709551614.0",
        ];
        for pair in ascending.windows(2) {
            let [less, more] = [pair[0], pair[1]].map(|name| Release::read(name).unwrap());
            assert!(less < more && less.sort_key(pair[0]) < more.sort_key(pair[1]), "{pair:?}");
        }
        assert_eq!(Release::read("1.2"), Release::read("v1.2.0+build.5"));
        let longest = format!("1.0-{}", "a".repeat(RELEASE_MAX - 4));
        assert!(Release::read(&longest).unwrap().is_prerelease());
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
            "1.2-a..b",
            "1.2+a+b",
            "V1.2",
            "1.2_3",
            "18446744073709551615.0",
            "99999999999999999999.0",
            "7-zip.d",
            "2024-11-30.logs",
            "1-rc.1",
            "1+b.5",
            "v1-rc.1+b.5",
            &format!("{longest}a"),
        ] {
            assert_eq!(Release::read(none), None, "{none:?}");
        }
    }

    /// Few different numbers and words, so that names are often of one version or nearly so.
    const NAMES: &str = "v?[012]{1,2}(\\.[012]{1,2}){1,3}(-[0-2ab-]{1,3}(\\.[0-2ab-]{1,3}){0,2})?(\\+[ab])?";

    fn named() -> impl Strategy<Value = (Release, String)> {
        (NAMES.prop_map(|name| (Release::read(&name).unwrap(), name))).boxed()
    }

    proptest! {
        #[test]
        fn texts_to_sort_by_are_ordered_as_the_releases(a in named(), b in named()) {
            let [by_a, by_b] = [&a, &b].map(|(release, name)| release.sort_key(name));
            prop_assert_eq!(a.0.order().cmp(&b.0.order()), a.0.cmp(&b.0));
            prop_assert_eq!(by_a.cmp(&by_b), a.cmp(&b));
            prop_assert_eq!(name_in(&by_a), a.1);
        }

        #[test]
        fn whatever_is_between_two_places_sorts_between_them(a in named(), b in named(), numbers in prop::collection::vec(0..23_u64, 1..4)) {
            let (key, all) = (a.0.sort_key(&a.1), Releases::default);
            prop_assert!(all().hold(&key));
            prop_assert_eq!(all().at_least(&b.0).hold(&key), a.0 >= b.0);
            prop_assert_eq!(all().newer_than(&b.0).hold(&key), a.0 > b.0);
            prop_assert_eq!(all().at_most(&b.0).hold(&key), a.0 <= b.0);
            prop_assert_eq!(all().older_than(&b.0).hold(&key), a.0 < b.0);
            prop_assert_eq!(all().before_this(&b.0, &b.1).hold(&key), a < b);
            let less = a.0.numbers < without_zeros(numbers.clone());
            prop_assert_eq!(all().below_numbers(numbers).hold(&key), less);
            let both = all().at_least(&b.0).at_most(&b.0).hold(&key);
            prop_assert_eq!(both, a.0 == b.0);
        }

        #[test]
        fn whatever_is_read_is_ordered_and_fits_into_an_index(text in "[v0-9a-zA-Z.+-]{0,140}|v?[0-9]{1,20}(\\.[0-9]{1,20}){0,6}(-[0-9a-z.]{1,60})?|.{0,30}") {
            if let Some(release) = Release::read(&text) {
                let key = release.sort_key(&text);
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
                prop_assert!(key.len() <= 5 * RELEASE_MAX, "{}", key.len());
                prop_assert!(Releases::default().hold(&key));
            }
        }
    }
}
