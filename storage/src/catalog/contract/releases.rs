//! Folders that may be releases.

use super::files::{files, path, put};
use super::*;

on_each_database!(first_folders_that_begin_as_versions_do_are_found);

async fn first_folders_that_begin_as_versions_do_are_found(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for at in [
        "1.2/a",
        "1.2/b",
        "1.2.3/deep/c",
        "1.10/a",
        "1.9",
        "10/x",
        "v2.0/a",
        "v2.1",
        "vendor/a",
        "w/1.0",
        "a/1.0/x",
        ":",
        "9.9/gone",
    ] {
        put(catalog, firmware, at, at).await;
    }
    let gone = catalog.delete_file(firmware, path("9.9/gone"), Condition::Always, somebody());
    assert!(gone.await.unwrap());
    let found = catalog.release_folders(firmware, 7).await.unwrap();
    assert_eq!(found.unwrap(), ["1.10", "1.2.3", "1.2", "10", "v2.0"]);
    // The two files count: they are looked at.
    assert_eq!(catalog.release_folders(firmware, 6).await.unwrap(), None);
}
