//! Content that is here: who holds it, and files made of it without the bytes.

use super::files::{at, files, path, put};
use super::*;
use crate::error::{ErrorKind, What};
use crate::label::Labels;

on_each_database!(
    content_is_held_where_something_live_holds_it_and_may_be_seen,
    a_file_may_be_made_of_what_another_repository_holds,
);

async fn content_is_held_where_something_live_holds_it_and_may_be_seen(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let api = repository(catalog, "other/api").await;
    let content = digest("content");
    let held = async |only: Option<&str>| {
        let visible = Visible {
            only: only.map(|only| vec![name(only)]),
            ..everything()
        };
        let held = catalog.held(content, visible, 10).await.unwrap();
        held.map(|held| {
            held.holders
                .iter()
                .map(|holder| holder.repository.name.to_string())
                .collect::<Vec<_>>()
        })
    };
    push_blob(catalog, api, "content").await;
    assert_eq!(held(None).await, None, "a lease alone");
    let image = push(catalog, manifest(api, "image").naming(content, EdgeRole::Layer)).await;
    assert_eq!(held(None).await, Some(vec!["other/api".to_owned()]));
    put(catalog, firmware, "a", "content").await;
    assert_eq!(held(Some("acme/firmware")).await, Some(vec!["acme/firmware".to_owned()]));
    assert_eq!(held(Some("acme/other")).await, None);
    let one = catalog.held(content, everything(), 1).await.unwrap().unwrap();
    assert_eq!((one.holders.len(), one.size), (1, 7));
    catalog.delete_artifact(api, image, somebody()).await.unwrap();
    let left = catalog.held(content, everything(), 10).await.unwrap().unwrap();
    assert_eq!((left.holders.len(), left.holders[0].path.clone()), (1, Some(path("a"))));
    catalog
        .delete_file(firmware, path("a"), Condition::Always, somebody())
        .await
        .unwrap();
    assert_eq!(held(None).await, None, "what is in the trash is nobody's to read");
}

async fn a_file_may_be_made_of_what_another_repository_holds(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "a", "content").await;
    let made = catalog.ensure_repository(name("other/files"), StorageFormat::Generic, None, somebody());
    let other = made.await.unwrap().id;
    let skip = catalog.events(0, 100).await.unwrap().len();
    let copy = |source| NewFile {
        mends: false,
        repository: other,
        path: path("b"),
        digest: digest("content"),
        size: 7,
        media_type: None,
        condition: Condition::Always,
        may_overwrite: false,
        labels: Labels::default(),
        source,
        by: somebody(),
    };
    let unlinked = catalog.put_file(Arc::new(copy(None))).await.unwrap_err();
    assert_eq!((unlinked.kind(), unlinked.what()), (ErrorKind::Conflict, What::Blob));
    assert_eq!(catalog.put_file(Arc::new(copy(Some(firmware)))).await.unwrap(), FileStored::Created);
    assert_eq!(at(catalog, other, "b").await, Some(digest("content")));
    assert_eq!(events_after(catalog, skip).await, ["file.stored"]);
    assert_eq!(database.count("blob"), 1);
    // What went to the trash since it was looked at is no source.
    catalog
        .delete_file(firmware, path("a"), Condition::Always, somebody())
        .await
        .unwrap();
    catalog.delete_file(other, path("b"), Condition::Always, somebody()).await.unwrap();
    let late = catalog.put_file(Arc::new(copy(Some(firmware)))).await.unwrap_err();
    assert_eq!((late.kind(), late.what()), (ErrorKind::NotFound, What::Blob));
    assert_eq!(at(catalog, other, "b").await, None);
}
