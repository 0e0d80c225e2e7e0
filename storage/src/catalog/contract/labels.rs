//! Labels of files: with the content, changed alone, and found by their rows.

use super::files::{files, new, path, put};
use super::*;
use crate::error::{ErrorKind, What};
use crate::label::{LabelChanges, Labels};
use crate::limits::Limits;

on_each_database!(
    a_file_has_the_labels_that_it_was_stored_with,
    other_content_has_its_own_labels_and_the_same_content_may_get_others,
    labels_are_changed_without_the_content,
    who_may_not_overwrite_changes_no_labels,
    a_deleted_file_that_comes_back_has_no_old_labels,
);

fn of(labels: &[(&str, &str)]) -> Labels {
    let mut made = Labels::default();
    for (key, value) in labels {
        made.add(key, value, &Limits::default()).unwrap();
    }
    made
}

/// Stores a file with labels, its content named as its path is.
pub(super) async fn labelled(catalog: &Catalog, at: &str, labels: &[(&str, &str)]) -> FileStored {
    let firmware = files(catalog).await;
    let file = NewFile {
        labels: of(labels),
        ..new(catalog, firmware, at, at).await
    };
    catalog.put_file(Arc::new(file)).await.unwrap()
}

async fn at(catalog: &Catalog, at: &str) -> Labels {
    let firmware = files(catalog).await;
    catalog.file(firmware, path(at)).await.unwrap().unwrap().labels
}

/// Rows of one key and value.
fn rows(database: &TestDatabase, key: &str, value: &str) -> i64 {
    database.count(&format!("label WHERE key = '{key}' AND value = '{value}'"))
}

async fn change(catalog: &Catalog, at: &str, changes: &[(&str, Option<&str>)], condition: Condition) -> Result<Option<Labels>> {
    let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)));
    let at = RelabelFile {
        repository: files(catalog).await,
        path: path(at),
        changes: changes.collect::<LabelChanges>(),
        condition,
        most: 2,
        by: somebody(),
    };
    catalog.label_file(Arc::new(at)).await
}

async fn a_file_has_the_labels_that_it_was_stored_with(database: &TestDatabase) {
    let catalog = &database.catalog;
    let labels = [("build", "42"), ("os", "linux")];
    assert_eq!(labelled(catalog, "fw.bin", &labels).await, FileStored::Created);
    assert_eq!(at(catalog, "fw.bin").await, of(&labels));
    assert_eq!((rows(database, "os", "linux"), database.count("label")), (1, 2));
    let last = catalog.events(0, 100).await.unwrap().pop().unwrap();
    assert!(last.body.contains(r#""labels":{"build":"42","os":"linux"}"#), "{}", last.body);
    labelled(catalog, "other.bin", &[]).await;
    assert_eq!(at(catalog, "other.bin").await, Labels::default());
}

async fn other_content_has_its_own_labels_and_the_same_content_may_get_others(database: &TestDatabase) {
    let catalog = &database.catalog;
    labelled(catalog, "fw.bin", &[("os", "linux"), ("build", "1")]).await;
    let skip = catalog.events(0, 100).await.unwrap().len();
    // The same content: none given leave what is there, and others take their place.
    for (labels, stored) in [
        (&[][..], FileStored::Unchanged),
        (&[("build", "1"), ("os", "linux")], FileStored::Unchanged),
        (&[("os", "bsd")], FileStored::Relabelled),
    ] {
        assert_eq!(labelled(catalog, "fw.bin", labels).await, stored);
    }
    assert_eq!(at(catalog, "fw.bin").await, of(&[("os", "bsd")]));
    assert_eq!((rows(database, "os", "bsd"), database.count("label")), (1, 1));
    let mut kinds = events_after(catalog, skip).await;
    kinds.retain(|kind| kind != "blob.pushed");
    assert_eq!(kinds, ["file.labelled"]);
    let firmware = files(catalog).await;
    assert_eq!(
        put(catalog, firmware, "fw.bin", "other").await,
        FileStored::Replaced(digest("fw.bin"))
    );
    assert_eq!((at(catalog, "fw.bin").await, database.count("label")), (Labels::default(), 0));
}

async fn labels_are_changed_without_the_content(database: &TestDatabase) {
    let catalog = &database.catalog;
    labelled(catalog, "fw.bin", &[("os", "linux"), ("gone", "x")]).await;
    let before = catalog.file(files(catalog).await, path("fw.bin")).await.unwrap().unwrap();
    let skip = catalog.events(0, 100).await.unwrap().len();
    let changes = [("tested", Some("yes")), ("gone", None), ("never", None), ("os", Some("linux"))];
    let expected = of(&[("os", "linux"), ("tested", "yes")]);
    for _ in 0..2 {
        let changed = change(catalog, "fw.bin", &changes, Condition::Present).await.unwrap();
        assert_eq!(changed, Some(expected.clone()));
    }
    let after = catalog.file(files(catalog).await, path("fw.bin")).await.unwrap().unwrap();
    assert_eq!(
        after,
        FileView {
            labels: expected.clone(),
            ..before
        }
    );
    assert_eq!((rows(database, "tested", "yes"), database.count("label")), (1, 2));
    assert_eq!(events_after(catalog, skip).await, ["file.labelled"]);
    let last = catalog.events(0, 100).await.unwrap().pop().unwrap();
    assert!(last.body.contains(r#""labels":{"gone":null,"tested":"yes"}"#), "{}", last.body);
    // Too many, a condition that does not hold, and no file.
    let too_many = change(catalog, "fw.bin", &[("more", Some(""))], Condition::Always)
        .await
        .unwrap_err();
    assert_eq!(too_many.kind(), ErrorKind::Invalid);
    let other = change(catalog, "fw.bin", &[("os", None)], Condition::OneOf(vec![digest("x")]))
        .await
        .unwrap_err();
    assert_eq!((other.kind(), other.what()), (ErrorKind::PreconditionFailed, What::File));
    assert_eq!(change(catalog, "none", &[("os", None)], Condition::Always).await.unwrap(), None);
    assert_eq!(at(catalog, "fw.bin").await, expected);
}

async fn who_may_not_overwrite_changes_no_labels(database: &TestDatabase) {
    let catalog = &database.catalog;
    labelled(catalog, "fw.bin", &[("os", "linux")]).await;
    let firmware = files(catalog).await;
    let other = NewFile {
        labels: of(&[("os", "bsd")]),
        may_overwrite: false,
        ..new(catalog, firmware, "fw.bin", "fw.bin").await
    };
    let refused = catalog.put_file(Arc::new(other)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.what()), (ErrorKind::Conflict, What::File));
    assert_eq!(at(catalog, "fw.bin").await, of(&[("os", "linux")]));
}

async fn a_deleted_file_that_comes_back_has_no_old_labels(database: &TestDatabase) {
    let catalog = &database.catalog;
    labelled(catalog, "fw.bin", &[("os", "linux")]).await;
    let firmware = files(catalog).await;
    let deleted = catalog.delete_file(firmware, path("fw.bin"), Condition::Always, somebody());
    assert!(deleted.await.unwrap());
    assert_eq!(labelled(catalog, "fw.bin", &[]).await, FileStored::Created);
    assert_eq!((at(catalog, "fw.bin").await, database.count("label")), (Labels::default(), 0));
}
