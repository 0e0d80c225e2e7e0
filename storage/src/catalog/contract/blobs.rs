//! Blobs, and the links that make them visible.

use super::*;
use futures_util::future::join_all;

on_each_database!(
    a_blob_is_visible_where_it_was_pushed_and_nowhere_else,
    the_second_push_of_the_same_bytes_keeps_the_first_copy,
    of_many_pushes_of_the_same_bytes_one_is_the_blob,
    a_lease_grows_and_never_shrinks,
    a_mount_links_what_the_source_links,
    a_blob_is_found_where_the_asker_may_look,
    a_blob_that_a_live_manifest_names_cannot_be_unlinked,
    unlinking_in_one_repository_leaves_the_others_alone,
    a_blob_that_is_being_deleted_counts_as_absent_everywhere,
    pushing_a_blob_that_is_being_deleted_brings_it_back_under_a_new_key,
    keys_that_no_blob_has_are_unknown,
);

/// What garbage collection does first.
fn start_deleting(database: &TestDatabase, digest: Digest) {
    database.execute(&format!("UPDATE blob SET state = 'deleting' WHERE digest = '{digest}'"));
}

async fn lease(catalog: &Catalog, repository: RepositoryId, digest: Digest) -> Millis {
    catalog.blob(repository, digest).await.unwrap().unwrap().lease_until
}

async fn a_blob_is_visible_where_it_was_pushed_and_nowhere_else(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let new = new_blob(api, "layer").await;
    let blob = new.blob.blob().clone();
    assert_eq!(catalog.commit_blob(new).await.unwrap(), Committed::New);
    assert_eq!((blob.digest, blob.size), (digest("layer"), 5));
    let lease_until = FUTURE;
    let expected = BlobView { blob, lease_until };
    assert_eq!(catalog.blob(api, digest("layer")).await.unwrap(), Some(expected));
    assert_eq!(catalog.blob(web, digest("layer")).await.unwrap(), None);
    assert_eq!(catalog.blob(api, digest("other")).await.unwrap(), None);
    assert_eq!(database.count("event WHERE kind = 'blob.pushed'"), 1);
}

async fn the_second_push_of_the_same_bytes_keeps_the_first_copy(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let first = new_blob(api, "layer").await;
    let key = first.blob.key().clone();
    catalog.commit_blob(first).await.unwrap();
    for repository in [api, web] {
        let again = new_blob(repository, "layer").await;
        assert_eq!(catalog.commit_blob(again).await.unwrap(), Committed::Duplicate);
        assert_eq!(catalog.blob(repository, digest("layer")).await.unwrap().unwrap().key, key);
    }
    assert_eq!((database.count("blob"), database.count("repository_blob")), (1, 2));
}

async fn of_many_pushes_of_the_same_bytes_one_is_the_blob(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let pushes = join_all((0..MANY).map(|_| new_blob(api, "layer"))).await;
    let keys: Vec<StorageKey> = pushes.iter().map(|new| new.blob.key().clone()).collect();
    let ends = join_all(pushes.into_iter().map(|new| catalog.commit_blob(new))).await;
    let winners: Vec<StorageKey> = ends
        .into_iter()
        .zip(keys)
        .filter(|(end, _)| *end.as_ref().unwrap() == Committed::New)
        .map(|(_, key)| key)
        .collect();
    assert_eq!(winners, [catalog.blob(api, digest("layer")).await.unwrap().unwrap().key.clone()]);
}

async fn a_lease_grows_and_never_shrinks(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;
    catalog.touch_blob(api, layer, FUTURE - 1).await.unwrap();
    assert_eq!(lease(catalog, api, layer).await, FUTURE);
    catalog.touch_blob(api, layer, FUTURE + 1).await.unwrap();
    assert_eq!(lease(catalog, api, layer).await, FUTURE + 1);

    push_blob(catalog, api, "layer").await;
    assert_eq!(lease(catalog, api, layer).await, FUTURE + 1, "a push with a shorter lease");
    catalog.mount_blob(api, api, layer, FUTURE, somebody()).await.unwrap();
    assert_eq!(lease(catalog, api, layer).await, FUTURE + 1, "a mount with a shorter lease");
    let mut longer = new_blob(api, "layer").await;
    longer.lease_until = FUTURE + 2;
    catalog.commit_blob(longer).await.unwrap();
    assert_eq!(lease(catalog, api, layer).await, FUTURE + 2, "a push with a longer lease");

    // A touch makes nothing visible.
    catalog.touch_blob(web, layer, FUTURE).await.unwrap();
    assert_eq!(catalog.blob(web, layer).await.unwrap(), None);
}

async fn a_mount_links_what_the_source_links(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;
    let elsewhere = push_blob(catalog, web, "elsewhere").await;
    let third = repository(catalog, "acme/third").await;

    let mounted = catalog
        .mount_blob(third, api, layer, FUTURE - 5, somebody())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((mounted.digest, mounted.size), (layer, 5));
    let seen = catalog.blob(third, layer).await.unwrap().unwrap();
    assert_eq!((&seen.key, seen.lease_until), (&mounted.key, FUTURE - 5));
    assert_eq!(database.count("event WHERE kind = 'blob.mounted'"), 1);

    // It exists, but not in the source.
    assert_eq!(catalog.mount_blob(third, api, elsewhere, FUTURE, somebody()).await.unwrap(), None);
    assert_eq!(catalog.blob(third, elsewhere).await.unwrap(), None);
    assert_eq!(database.count("event WHERE kind = 'blob.mounted'"), 1);
}

async fn a_blob_is_found_where_the_asker_may_look(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (open, closed) = (repository(catalog, "open/one").await, repository(catalog, "closed/one").await);
    catalog.set_project_public(project_name("open"), true, somebody()).await.unwrap();
    let shown = push_blob(catalog, open, "shown").await;
    let hidden = push_blob(catalog, closed, "hidden").await;
    let closed_project = catalog.project(project_name("closed")).await.unwrap().unwrap().id;
    let find = async |digest, projects: Option<Vec<ProjectId>>, public, only: Option<&str>| {
        let only = only.map(|full_name| vec![name(full_name)]);
        catalog.find_blob(digest, Visible { projects, public, only }).await.unwrap()
    };
    assert_eq!(find(shown, Some(vec![]), true, None).await, Some(open));
    assert_eq!(find(shown, Some(vec![]), false, None).await, None);
    assert_eq!(find(hidden, Some(vec![]), true, None).await, None);
    assert_eq!(find(hidden, Some(vec![closed_project]), false, None).await, Some(closed));
    assert_eq!(find(hidden, None, false, None).await, Some(closed));
    assert_eq!(find(hidden, None, false, Some("open/one")).await, None);
    assert_eq!(find(hidden, None, false, Some("closed/one")).await, Some(closed));
    assert_eq!(find(digest("nowhere"), None, true, None).await, None);
}

async fn a_blob_that_a_live_manifest_names_cannot_be_unlinked(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let image = push(catalog, manifest(api, "image").naming(layer, EdgeRole::Layer)).await;
    let unlinked = catalog.unlink_blob(api, layer, somebody()).await.unwrap();
    assert_eq!(unlinked, Deleted::InUse(vec![image]));
    assert!(catalog.blob(api, layer).await.unwrap().is_some());

    catalog.delete_artifact(api, image, somebody()).await.unwrap();
    assert_eq!(catalog.unlink_blob(api, layer, somebody()).await.unwrap(), Deleted::Done);
    assert_eq!(catalog.blob(api, layer).await.unwrap(), None);
    assert_eq!(catalog.unlink_blob(api, layer, somebody()).await.unwrap(), Deleted::Absent);
    assert_eq!(database.count("event WHERE kind = 'blob.deleted'"), 1);
}

async fn unlinking_in_one_repository_leaves_the_others_alone(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;
    push_blob(catalog, web, "layer").await;
    // A manifest of another repository does not hold the link here.
    push(catalog, manifest(web, "image").naming(layer, EdgeRole::Layer)).await;
    assert_eq!(catalog.unlink_blob(api, layer, somebody()).await.unwrap(), Deleted::Done);
    assert_eq!(catalog.blob(api, layer).await.unwrap(), None);
    assert!(catalog.blob(web, layer).await.unwrap().is_some());
}

async fn a_blob_that_is_being_deleted_counts_as_absent_everywhere(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;
    start_deleting(database, layer);
    assert_eq!(catalog.blob(api, layer).await.unwrap(), None);
    assert_eq!(catalog.find_blob(layer, everything()).await.unwrap(), None);
    assert_eq!(catalog.mount_blob(web, api, layer, FUTURE, somebody()).await.unwrap(), None);
    let image = manifest(api, "image").naming(layer, EdgeRole::Layer);
    let refused = catalog.put_manifest(image).await;
    assert_eq!(refusal(refused), (crate::ErrorKind::Invalid, crate::What::Reference));
}

async fn pushing_a_blob_that_is_being_deleted_brings_it_back_under_a_new_key(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;
    start_deleting(database, layer);
    let again = new_blob(web, "layer").await;
    let key = again.blob.key().clone();
    assert_eq!(catalog.commit_blob(again).await.unwrap(), Committed::New);
    for repository in [api, web] {
        assert_eq!(catalog.blob(repository, layer).await.unwrap().unwrap().key, key);
    }
    let third = new_blob(web, "layer").await;
    assert_eq!(catalog.commit_blob(third).await.unwrap(), Committed::Duplicate);
}

async fn keys_that_no_blob_has_are_unknown(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let new = new_blob(api, "layer").await;
    let known = new.blob.key().clone();
    catalog.commit_blob(new).await.unwrap();
    let loser = verified("layer").await.key().clone();
    let stranger = verified("stranger").await.key().clone();
    let asked = vec![loser.clone(), known, stranger.clone()];
    assert_eq!(catalog.unknown_keys(asked).await.unwrap(), [loser, stranger]);

    // More than one statement holds.
    let many: Vec<StorageKey> = (0..1201)
        .map(|n| StorageKey::new(&digest(&n.to_string()), &UploadId::random()))
        .collect();
    assert_eq!(catalog.unknown_keys(many.clone()).await.unwrap(), many);
}
