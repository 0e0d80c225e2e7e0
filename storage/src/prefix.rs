//! What the names of several repositories have in common: `acme/charts` of `acme/charts/web`.

use crate::error::Result;
use crate::name::{ProjectName, RepositoryName};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A repository's name without its last segment. Never completed: `acme` is the project, not a repository of `library`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The project that everything under it belongs to.
    ///
    /// # Errors
    /// None, for a prefix that was parsed.
    pub fn project_name(&self) -> Result<ProjectName> {
        self.0.split('/').next().unwrap_or(&self.0).parse()
    }

    /// The repository `name` directly under it.
    ///
    /// # Errors
    /// `Invalid`/`Name` when `name` is not one segment of the grammar, or the whole is too long.
    pub fn repository(&self, name: &str) -> Result<RepositoryName> {
        if name.contains('/') {
            return Err(crate::Error::invalid(
                crate::What::Name,
                "a name directly under a prefix holds no '/'",
            ));
        }
        format!("{}/{name}", self.0).parse()
    }

    /// The prefix of a repository, and the segment behind it.
    pub fn of(repository: &RepositoryName) -> (Self, &str) {
        let (prefix, name) = repository.as_str().rsplit_once('/').unwrap_or_default();
        (Self(prefix.into()), name)
    }
}

impl FromStr for Prefix {
    type Err = crate::Error;

    /// # Errors
    /// `Invalid`/`Name` when no repository can lie under it.
    fn from_str(text: &str) -> Result<Self> {
        let shortest: RepositoryName = format!("{text}/0").parse()?;
        Ok(Self::of(&shortest).0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_prefix_is_what_names_have_in_common() {
        let name: RepositoryName = "acme/charts/web".parse().unwrap();
        let (prefix, last) = Prefix::of(&name);
        assert_eq!((prefix.as_str(), last), ("acme/charts", "web"));
        assert_eq!(prefix, "acme/charts".parse().unwrap());
        assert_eq!(prefix.repository("web").unwrap(), name);
        assert_eq!(prefix.project_name().unwrap().as_str(), "acme");
        let library = Prefix::of(&"hello".parse().unwrap()).0;
        assert_eq!(library.as_str(), "library");
    }

    #[test]
    fn what_no_name_begins_with_is_no_prefix() {
        for bad in ["", "/", "acme/", "/acme", "Acme", "a//b", "a/..", "a b"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad:?}");
        }
        let prefix: Prefix = "acme".parse().unwrap();
        for bad in ["", "a/b", "..", "A"] {
            assert!(prefix.repository(bad).is_err(), "{bad:?}");
        }
    }
}
