//! Names, validated on parse: project, repository, tag, and the reference that is
//! either a tag or a digest. Source: distribution-spec, "Pulling manifests".
//!
//! The parser alone completes a name of one segment with the project `library`;
//! everything behind it sees the canonical name.

mod file;

pub use file::{FILE_PATH_DEPTH, FILE_PATH_MAX, FilePath};

use crate::digest::Digest;
use crate::error::{Error, Result, What};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The project that owns names of one segment.
pub const DEFAULT_PROJECT: &str = "library";

/// Bytes in a repository name, completed, at most. Docker's reference parser stops at 255 with the host.
pub const NAME_MAX: usize = 255;

/// Bytes in a tag, at most (distribution-spec).
pub const TAG_MAX: usize = 128;

/// The first segment of every name: `acme` in `acme/api`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectName(Arc<str>);

impl ProjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > NAME_MAX || !is_component(text.as_bytes()) {
            return Err(Error::invalid(
                What::Name,
                "a project name is lower-case letters and digits, with single '.', '_', '__' or dashes between them",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository's canonical name: project, slash, at least one more component.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName {
    full: Arc<str>,
    project_len: usize,
}

impl RepositoryName {
    /// The canonical name, `library/hello` for `hello`.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The project's part.
    pub fn project(&self) -> &str {
        &self.full[..self.project_len]
    }

    /// The project's part, as a name.
    pub fn project_name(&self) -> ProjectName {
        ProjectName(self.project().into())
    }

    /// What follows the project: `charts/web` in `acme/charts/web`.
    pub fn within_project(&self) -> &str {
        &self.full[self.project_len + 1..]
    }
}

impl FromStr for RepositoryName {
    type Err = Error;

    /// # Errors
    /// `Invalid`/`Name` when the grammar of distribution-spec is broken or the name is over [`NAME_MAX`].
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why| Err(Error::invalid(What::Name, why));
        if text.len() > NAME_MAX {
            return bad("the repository name is longer than 255 characters");
        }
        if !text.split('/').all(|component| is_component(component.as_bytes())) {
            return bad(
                "a repository name is lower-case letters and digits, with single '.', '_', '__' or dashes between them, in segments joined by '/'",
            );
        }
        match text.find('/') {
            Some(project_len) => Ok(Self {
                full: text.into(),
                project_len,
            }),
            None if text.len() + DEFAULT_PROJECT.len() + 1 > NAME_MAX => bad("the repository name is longer than 255 characters"),
            None => Ok(Self {
                full: format!("{DEFAULT_PROJECT}/{text}").into(),
                project_len: DEFAULT_PROJECT.len(),
            }),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, by hand: it runs on every request.
fn is_component(text: &[u8]) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return false;
    };
    if !alphanumeric(first) || !alphanumeric(last) {
        return false;
    }
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| !alphanumeric(byte)) {
        let separator = &rest[start..];
        let len = separator.iter().position(alphanumeric).unwrap_or(separator.len());
        let valid = match &separator[..len] {
            b"." | b"_" | b"__" => true,
            dashes => dashes.iter().all(|byte| *byte == b'-'),
        };
        if !valid {
            return false;
        }
        rest = &separator[len..];
    }
    true
}

/// A tag: a mutable name of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = Error;

    /// # Errors
    /// `Invalid`/`Tag` unless `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    fn from_str(text: &str) -> Result<Self> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = text.as_bytes();
        let valid = bytes.len() <= TAG_MAX
            && bytes.first().is_some_and(|byte| word(*byte))
            && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-'));
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(Error::invalid(
                What::Tag,
                "a tag is at most 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'",
            ))
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client names a manifest by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A mutable name.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.contains(':') {
            text.parse().map(Self::Digest)
        } else {
            text.parse().map(Self::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_of_one_segment_belongs_to_library() {
        let name: RepositoryName = "hello".parse().unwrap();
        assert_eq!(
            (name.as_str(), name.project(), name.within_project()),
            ("library/hello", "library", "hello")
        );
        assert_eq!(name, "library/hello".parse().unwrap());
    }

    #[test]
    fn deep_names_keep_their_project() {
        let name: RepositoryName = "acme/charts/web".parse().unwrap();
        assert_eq!((name.project(), name.within_project()), ("acme", "charts/web"));
    }

    #[test]
    fn bad_names_are_refused() {
        let long = format!("acme/{}", "a".repeat(251));
        let completed_too_long = "a".repeat(250);
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A/b",
            "a/..",
            "..",
            "a/./b",
            "a..b/c",
            "a/-b",
            "a/b-",
            "a___b/c",
            "a._b/c",
            "a b/c",
            "ä/b",
            "a/b%2fc",
            "a\\b",
            "a/b\0",
            &long,
            &completed_too_long,
        ] {
            assert_eq!(bad.parse::<RepositoryName>().unwrap_err().what(), What::Name, "{bad:?}");
        }
        for good in ["a/b", "a.b/c_d", "a__b/c---d", "0/1", "acme/blobs/uploads", "acme/tags"] {
            good.parse::<RepositoryName>().unwrap();
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        let longest = "a".repeat(128);
        for good in ["latest", "1.0", "_", "A-b.c_d", &longest] {
            good.parse::<Tag>().unwrap();
        }
        let long = "a".repeat(129);
        for bad in ["", ".a", "-a", "a b", "a/b", "a:b", "ä", "a+b", &long] {
            assert_eq!(bad.parse::<Tag>().unwrap_err().what(), What::Tag, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_stable_and_within_bounds(text in "[a-zA-Z0-9._/-]{0,40}|.{0,300}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert!(name.as_str().len() <= NAME_MAX);
                prop_assert_eq!(name.as_str().parse::<RepositoryName>().unwrap(), name);
            }
            let _ = text.parse::<Reference>();
        }
    }
}
