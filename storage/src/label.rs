//! Labels: what people say of a version, as keys with a value each.

use crate::error::{Error, Result, What};
use crate::limits::Limits;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Bytes in a key, whatever the limits say: it is part of an index, and PostgreSQL bounds what one holds.
pub const KEY_MAX: usize = 255;
/// Bytes in a value, whatever the limits say; as [`KEY_MAX`].
pub const VALUE_MAX: usize = 2048;

/// Changes of labels by key: another value, or none.
pub type LabelChanges = BTreeMap<String, Option<String>>;

/// Labels by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Adds a label, its key in lower case.
    ///
    /// # Errors
    /// Those of [`key`] and [`value`]; `Invalid`/`Request` when the key is there with another value, or there are more
    /// than [`Limits::labels_per_version`].
    pub fn add(&mut self, name: &str, text: &str, limits: &Limits) -> Result<()> {
        let (key, value) = (key(name, limits)?, value(text, limits)?);
        match self.0.get(&key) {
            Some(known) if *known != value => Err(bad(format!("the label {key} is given twice, with different values"))),
            Some(_) => Ok(()),
            None => {
                self.0.insert(key, value);
                self.check(limits.labels_per_version)
            }
        }
    }

    /// The same with some changes.
    ///
    /// # Errors
    /// `Invalid`/`Request` when there are more than `most` then.
    pub fn changed(&self, changes: &LabelChanges, most: usize) -> Result<Self> {
        let mut labels = self.clone();
        for (key, value) in changes {
            match value {
                Some(value) => drop(labels.0.insert(key.clone(), value.clone())),
                None => drop(labels.0.remove(key)),
            }
        }
        labels.check(most).map(|()| labels)
    }

    /// The changes that make `labels` of these.
    pub fn to_changes_into(&self, labels: &Self) -> LabelChanges {
        let gone = self.0.keys().filter(|key| !labels.0.contains_key(*key));
        let set = labels.0.iter().filter(|(key, value)| self.0.get(*key) != Some(value));
        let set = set.map(|(key, value)| (key.clone(), Some(value.clone())));
        gone.map(|key| (key.clone(), None)).chain(set).collect()
    }

    /// A JSON object of strings.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }

    fn check(&self, most: usize) -> Result<()> {
        match self.0.len() > most {
            true => Err(bad(format!("a version has at most {most} labels"))),
            false => Ok(()),
        }
    }
}

impl FromStr for Labels {
    type Err = Error;

    /// Reads what [`Labels::to_json`] wrote.
    ///
    /// # Errors
    /// `Internal` for anything else.
    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Self).map_err(Error::internal)
    }
}

/// The key of a label, in lower case: letters, digits, `.`, `_`, `-` and `/`, a letter or a digit at either end.
///
/// # Errors
/// `Invalid`/`Request` for anything else, and over [`Limits::label_key_bytes`].
pub fn key(text: &str, limits: &Limits) -> Result<String> {
    let most = limits.label_key_bytes.min(KEY_MAX);
    if text.len() > most {
        return Err(bad(format!("the key of a label has at most {most} bytes")));
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if !ends(bytes.first()) || !ends(bytes.last()) || !bytes.iter().copied().all(known) {
        return Err(bad(
            "the key of a label is made of letters, digits, '.', '_', '-' and '/', and begins and ends with a letter or a digit".to_owned(),
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// The value of a label: any text without control characters, also none.
///
/// # Errors
/// `Invalid`/`Request` for anything else, and over [`Limits::label_value_bytes`].
pub fn value(text: &str, limits: &Limits) -> Result<String> {
    let most = limits.label_value_bytes.min(VALUE_MAX);
    if text.len() > most {
        return Err(bad(format!("the value of a label has at most {most} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(bad("the value of a label holds no control characters".to_owned()));
    }
    Ok(text.to_owned())
}

fn bad(why: String) -> Error {
    Error::invalid(What::Request, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn labels(of: &[(&str, &str)]) -> Result<Labels> {
        let mut labels = Labels::default();
        of.iter().try_for_each(|(key, value)| labels.add(key, value, &Limits::default()))?;
        Ok(labels)
    }

    #[test]
    fn keys_are_words_in_lower_case() {
        let (limits, long) = (Limits::default(), "k".repeat(128));
        for (given, kept) in [
            ("build.number", "build.number"),
            ("OS", "os"),
            ("app.kubernetes.io/name", "app.kubernetes.io/name"),
            ("7", "7"),
            (&long, &long),
        ] {
            assert_eq!(key(given, &limits).unwrap(), kept);
        }
        for bad in ["", ".", "a.", "-a", "a b", "ä", "a;b", "a=b", "a\0", "/a", &format!("{long}k")] {
            assert_eq!(key(bad, &limits).unwrap_err().what(), What::Request, "{bad:?}");
        }
    }

    #[test]
    fn values_are_any_text_that_can_be_seen() {
        let limits = Limits::default();
        for good in ["", "42", "größe = 3; x", &"v".repeat(1024)] {
            assert_eq!(value(good, &limits).unwrap(), good);
        }
        for bad in ["a\nb", "\0", &"v".repeat(1025)] {
            value(bad, &limits).unwrap_err();
        }
    }

    #[test]
    fn a_key_has_one_value_and_a_version_some_labels() {
        let two = labels(&[("os", "linux"), ("OS", "linux"), ("arch", "arm64")]).unwrap();
        assert_eq!(two.iter().collect::<Vec<_>>(), [("arch", "arm64"), ("os", "linux")]);
        labels(&[("os", "linux"), ("Os", "windows")]).unwrap_err();
        let changes = LabelChanges::from([("os".into(), None), ("build".into(), Some("42".into())), ("none".into(), None)]);
        let changed = two.changed(&changes, 2).unwrap();
        assert_eq!(changed, labels(&[("arch", "arm64"), ("build", "42")]).unwrap());
        let more = LabelChanges::from([("a".into(), Some(String::new()))]);
        assert!(two.changed(&more, 2).unwrap_err().message().contains("at most 2"));
        let back = changed.to_changes_into(&two);
        assert_eq!(
            back,
            LabelChanges::from([("build".into(), None), ("os".into(), Some("linux".into()))])
        );
        assert_eq!(changed.changed(&back, 2).unwrap(), two);
        assert_eq!(changed.to_json().to_string().parse::<Labels>().unwrap(), changed);
    }
}
