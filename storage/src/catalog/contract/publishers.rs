//! The file that says who publishes what lies under a prefix.

use super::*;
use crate::error::{ErrorKind, What};
use crate::prefix::Prefix;

on_each_database!(
    each_prefix_has_a_file_of_its_own_or_none,
    a_file_needs_a_project_that_is_there,
    a_file_that_stays_the_same_is_no_event,
);

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

async fn put(catalog: &Catalog, at: &str, content: &str) -> Result<bool> {
    let owner = prefix(at).project_name().unwrap();
    catalog.put_publisher(prefix(at), owner, content.into(), somebody()).await
}

async fn content(catalog: &Catalog, at: &str) -> Option<String> {
    let found = catalog.publisher(prefix(at)).await.unwrap();
    found.map(|file| String::from_utf8(file.content).unwrap())
}

/// Leaves a file.
pub(super) async fn fill(catalog: &Catalog) {
    assert!(put(catalog, "acme", "owners: []").await.unwrap());
}

async fn each_prefix_has_a_file_of_its_own_or_none(database: &TestDatabase) {
    let catalog = &database.catalog;
    repository(catalog, "acme/charts/web").await;
    assert_eq!(content(catalog, "acme").await, None);
    assert!(put(catalog, "acme", "a: 1").await.unwrap());
    assert!(put(catalog, "acme/charts", "b: 2").await.unwrap());
    assert!(!put(catalog, "acme", "a: 2").await.unwrap());
    assert_eq!(content(catalog, "acme").await.as_deref(), Some("a: 2"));
    assert_eq!(content(catalog, "acme/charts").await.as_deref(), Some("b: 2"));
    assert!(catalog.delete_publisher(prefix("acme"), somebody()).await.unwrap());
    assert!(!catalog.delete_publisher(prefix("acme"), somebody()).await.unwrap());
    assert_eq!(content(catalog, "acme").await, None);
    assert_eq!(content(catalog, "acme/charts").await.as_deref(), Some("b: 2"));
}

async fn a_file_needs_a_project_that_is_there(database: &TestDatabase) {
    let catalog = &database.catalog;
    assert_eq!(refusal(put(catalog, "none", "a: 1").await), (ErrorKind::NotFound, What::Project));
    assert_eq!(content(catalog, "none").await, None);
}

async fn a_file_that_stays_the_same_is_no_event(database: &TestDatabase) {
    let catalog = &database.catalog;
    repository(catalog, "acme/web").await;
    let skip = catalog.events(0, 100).await.unwrap().len();
    for text in ["a: 1", "a: 1", "a: 2"] {
        put(catalog, "acme", text).await.unwrap();
    }
    assert!(catalog.delete_publisher(prefix("acme"), somebody()).await.unwrap());
    let expected = ["publisher.stored", "publisher.stored", "publisher.deleted"];
    assert_eq!(events_after(catalog, skip).await, expected);
}
