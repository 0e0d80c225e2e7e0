//! `artifacthub-repo.yml`, by which who publishes a chart repository shows that it is theirs
//! (<https://artifacthub.io/docs/topics/repositories/#verified-publisher>).

use super::fault;
use super::values::{list, map, text};
use super::yaml::{self, Node};
use granary_storage::Result;
use granary_storage::limits::Limits;

const FILE: &str = "artifacthub-repo.yml";

/// Checks that a file is one that Artifact Hub can read, in what counts there: who it is and who owns it. Blocks.
///
/// # Errors
/// `Invalid`/`Request` with a sentence that names what is wrong with it.
pub(crate) fn check_publisher(bytes: &[u8], limits: &Limits) -> Result<()> {
    let content = std::str::from_utf8(bytes).map_err(|_| fault(format!("{FILE} is not UTF-8")))?;
    let document = yaml::read(content, FILE, limits)?;
    let Node::Map(fields) = &document.node else {
        return Err(fault(format!("{FILE} is no mapping of fields to values")));
    };
    for (key, value) in fields {
        let what = format!("{key:.100} in {FILE}");
        match key.as_str() {
            "repositoryID" => drop(text(&what, value)?),
            "owners" => {
                for owner in list(&what, value)? {
                    for (key, value) in map(&format!("each of the owners in {FILE}"), owner)? {
                        text(&format!("an owner's {key:.100} in {FILE}"), value)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_artifact_hub_reads_is_taken_and_nothing_else() {
        let check = |text: &str| check_publisher(text.as_bytes(), &Limits::default());
        for good in [
            "repositoryID: 4aae7cba-1e24-4e23-a5a7-2e9a3bd56a33\nowners:\n  - name: anna\n    email: anna@example.com\n",
            "owners: []\nignore:\n  - name: web\n    version: beta\n",
            "{}",
        ] {
            check(good).unwrap();
        }
        for (bad, why) in [
            ("", "is empty"),
            ("- a", "no mapping"),
            ("<html></html>", "no mapping"),
            ("repositoryID: [a]", "repositoryID in artifacthub-repo.yml must be text"),
            ("owners: anna", "must be a list"),
            ("owners: [anna]", "each of the owners"),
            ("owners: [{email: [a]}]", "an owner's email"),
            ("a: [", "not valid YAML"),
        ] {
            let sentence = check(bad).unwrap_err().to_string();
            assert!(sentence.contains(why), "{bad}: {sentence}");
        }
        assert!(
            check_publisher(b"a: \xff", &Limits::default())
                .unwrap_err()
                .to_string()
                .contains("UTF-8")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if check_publisher(&bytes, &Limits::default()).is_ok() {
                prop_assert!(std::str::from_utf8(&bytes).is_ok());
            }
        }
    }
}
