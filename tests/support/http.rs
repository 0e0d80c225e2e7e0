//! An answer, and what tests ask of it.

use super::json_shape;
use serde_json::Value;
use std::fmt;

/// An answer, read to its end.
pub(crate) struct Answer {
    /// What was asked, for messages.
    pub(crate) asked: String,
    /// The status.
    pub(crate) status: u16,
    /// The headers, in their order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {self}"))
    }

    /// The value of a header.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(key, _)| key == name);
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The sentence of a refusal, which must have this status and this code of the specification.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self}");
        let (found, message) = json_shape::refusal(self);
        assert_eq!(found, code, "{self}");
        message
    }

    /// What one caller can tell about this answer from another: all but what names the request itself.
    pub(crate) fn fingerprint(&self) -> (u16, Vec<(String, String)>, String) {
        let mut headers = self.headers.clone();
        // Whether the connection goes on depends on how much of the body had come, not on what was asked.
        let passing = ["date", "x-request-id", "location", "docker-upload-uuid", "connection"];
        headers.retain(|(name, _)| !passing.contains(&name.as_str()));
        headers.sort();
        (self.status, headers, self.text())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the answer {} to {}", self.status, self.asked)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]);
        write!(f, "  {} bytes: {text}", self.body.len())
    }
}
