//! The path of a file within its repository: the version name of generic files.

use crate::error::{Error, Result, What};
use crate::release::Release;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// Bytes in a path, at most.
pub const FILE_PATH_MAX: usize = 2048;

/// Segments in a path, at most: each one above the last is a lock while a file is stored.
pub const FILE_PATH_DEPTH: usize = 100;

/// A file's path: `1.2/fw.bin`. UTF-8 in normalisation form C, so that a name typed on one system is found from
/// another; case counts.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(Arc<str>);

impl FilePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folders above it, the outermost first: `a` and `a/b` for `a/b/c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// The release that the file is part of, and its name: the first folder, where it reads as a version.
    pub fn release(&self) -> Option<(&str, Release)> {
        let (folder, _) = self.0.split_once('/')?;
        Some((folder, Release::read(folder)?))
    }

    /// The path without `suffix`, where something is left of its last segment.
    pub fn without_suffix(&self, suffix: &str) -> Option<Self> {
        self.0.strip_suffix(suffix)?.parse().ok()
    }
}

impl FromStr for FilePath {
    type Err = Error;

    /// # Errors
    /// `Invalid`/`Name` for a path that is empty, over [`FILE_PATH_MAX`] or [`FILE_PATH_DEPTH`], has a segment that
    /// is empty, `.` or `..`, or holds a control character or a backslash.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &'static str| Err(Error::invalid(What::Name, why));
        if text.len() > FILE_PATH_MAX {
            return bad(TOO_LONG);
        }
        let normal: Arc<str> = match is_nfc(text) {
            true => text.into(),
            false => text.nfc().collect::<String>().into(),
        };
        if normal.len() > FILE_PATH_MAX {
            return bad(TOO_LONG);
        }
        if normal.contains(|c: char| c.is_control() || c == '\\') {
            return bad("a file's path holds no control characters and no backslash");
        }
        if normal.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return bad("every segment of a file's path is a name: not empty, not '.', not '..'");
        }
        if normal.split('/').count() > FILE_PATH_DEPTH {
            return bad("a file's path has at most 100 segments");
        }
        Ok(Self(normal))
    }
}

const TOO_LONG: &str = "a file's path is at most 2048 bytes";

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> FilePath {
        text.parse().unwrap()
    }

    #[test]
    fn people_name_files_as_they_like() {
        let (long, deep) = ("a".repeat(FILE_PATH_MAX), vec!["d"; FILE_PATH_DEPTH].join("/"));
        for good in [
            "fw.bin",
            "1.2/fw.bin",
            ".hidden",
            "...",
            "..a",
            "a file, with spaces .txt ",
            " ",
            "größe/日本語/🦀",
            "100%.txt",
            "a;b=c",
            "A",
            &long,
            &deep,
        ] {
            assert_eq!(path(good).as_str(), good);
        }
        assert_ne!(path("a"), path("A"));
    }

    #[test]
    fn what_would_lead_elsewhere_or_cannot_be_seen_is_refused() {
        let (long, deep) = ("a".repeat(FILE_PATH_MAX + 1), vec!["d"; FILE_PATH_DEPTH + 1].join("/"));
        // In form C it takes three bytes for every two.
        let grows = "\u{1d15e}".repeat(FILE_PATH_MAX / 4);
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\\b", "a\0", "a\nb", "a\u{7f}", "a\u{85}", &long, &deep,
            &grows,
        ] {
            assert_eq!(bad.parse::<FilePath>().unwrap_err().what(), What::Name, "{bad:?}");
        }
    }

    #[test]
    fn two_spellings_of_one_name_are_one_path() {
        assert_eq!(path("caf\u{65}\u{301}"), path("caf\u{e9}"));
    }

    #[test]
    fn a_path_knows_its_folders_and_its_name() {
        let path = path("a/b/c.bin.sha256");
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(path.file_name(), "c.bin.sha256");
        assert_eq!(path.without_suffix(".sha256").unwrap().as_str(), "a/b/c.bin");
        assert_eq!(path.without_suffix(".md5"), None);
        assert_eq!("a/.md5".parse::<FilePath>().unwrap().without_suffix(".md5"), None);
    }

    proptest! {
        #[test]
        fn whatever_parses_is_normal_stable_and_stays_in_its_place(text in "[a./\u{301}é%;\\\\]{0,12}|.{0,300}") {
            if let Ok(path) = text.parse::<FilePath>() {
                prop_assert!(is_nfc(path.as_str()) && path.as_str().len() <= FILE_PATH_MAX);
                prop_assert_eq!(&path.as_str().parse::<FilePath>().unwrap(), &path);
                prop_assert!(path.as_str().split('/').all(|segment| !matches!(segment, "" | "." | "..")));
                prop_assert_eq!(path.ancestors().count() + 1, path.as_str().split('/').count());
            }
        }
    }
}
