//! What the fuzz targets of every format need.

use crate::handler::Headers;

/// Headers as they came.
pub(crate) struct Lines<'l>(pub(crate) Vec<(&'l str, &'l str)>);

impl Headers for Lines<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn list(&self, name: &str) -> Option<String> {
        let same: Vec<&str> = self.0.iter().filter(|(key, _)| *key == name).map(|(_, value)| *value).collect();
        (!same.is_empty()).then(|| same.join(","))
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, Option<String>)> {
        let named = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        named.map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect()
    }

    fn is_unreadable(&self, _: &str) -> bool {
        false
    }
}
