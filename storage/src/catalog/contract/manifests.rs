//! Storing manifests: their references, their atomicity, the conditions on their names.
//! What their tags go through is `tags.rs`, how they go is `deletions.rs`.

use super::*;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;

on_each_database!(
    a_manifest_is_given_back_verbatim,
    a_manifest_may_name_only_what_its_repository_holds,
    when_one_reference_is_missing_nothing_is_stored,
    a_child_may_be_a_live_manifest_or_a_linked_blob,
    what_is_not_required_may_be_missing,
    references_are_kept_once_each,
    a_manifest_with_more_references_than_one_statement_holds_is_checked_whole,
    an_identical_push_writes_nothing,
    a_trashed_manifest_pushed_again_is_live_again,
    many_pushes_of_one_manifest_create_it_once,
    the_same_manifest_in_two_repositories_is_two_artifacts,
    a_damaged_manifest_is_refused_and_repaired_by_pushing_it_again,
);

/// The rows that a manifest can leave behind.
fn rows(database: &TestDatabase) -> Vec<i64> {
    let tables = ["manifest", "artifact", "edge", "version", "version_history", "event"];
    tables.iter().map(|table| database.count(table)).collect()
}

async fn a_manifest_is_given_back_verbatim(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let mut new = manifest(api, "{ \"spaces\":  \"\u{e9}\" }\n").tagged(&["1.0"]);
    new.media_type = "application/vnd.oci.image.index.v1+json".into();
    new.kind = Kind::Index;
    let stored = catalog.put_manifest(new.clone()).await.unwrap();
    assert!(stored.created);
    assert_eq!(stored.moved, [(tag("1.0"), None)]);
    let expected = ManifestView {
        digest: new.digest,
        media_type: new.media_type.as_str().into(),
        kind: Kind::Index,
        bytes: new.bytes.clone(),
        yanked: None,
    };
    for reference in [Reference::Digest(new.digest), Reference::Tag(tag("1.0"))] {
        assert_eq!(catalog.manifest(api, reference).await.unwrap().as_ref(), Some(&expected));
    }
    assert_eq!(catalog.manifest(api, Reference::Tag(tag("1.1"))).await.unwrap(), None);
    assert!(!is_live(catalog, api, digest("other")).await);
}

async fn a_manifest_may_name_only_what_its_repository_holds(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, web, "layer").await;
    let image = push(catalog, manifest(web, "image")).await;
    for (child, role) in [
        (layer, EdgeRole::Config),
        (layer, EdgeRole::Layer),
        (layer, EdgeRole::File),
        (layer, EdgeRole::Child),
        (image, EdgeRole::Child),
    ] {
        let refused = catalog.put_manifest(manifest(api, "new").naming(child, role)).await;
        assert!(refused.as_ref().unwrap_err().message().contains(&child.to_string()));
        assert_eq!(refusal(refused), (ErrorKind::Invalid, What::Reference), "{role:?}");
    }
    // A manifest is no blob: only an index may name one.
    let refused = catalog.put_manifest(manifest(web, "new").naming(image, EdgeRole::Layer)).await;
    assert_eq!(refusal(refused), (ErrorKind::Invalid, What::Reference));
}

async fn when_one_reference_is_missing_nothing_is_stored(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    push(catalog, manifest(api, "before").tagged(&["1.0"])).await;
    let before = rows(database);
    let new = manifest(api, "new")
        .naming(layer, EdgeRole::Layer)
        .naming(digest("missing"), EdgeRole::Layer)
        .tagged(&["1.0", "latest"]);
    let refused = catalog.put_manifest(new).await;
    assert_eq!(refusal(refused), (ErrorKind::Invalid, What::Reference));
    assert_eq!(rows(database), before);
    assert_eq!(target(catalog, api, "1.0").await, Some(digest("before")));
}

async fn a_child_may_be_a_live_manifest_or_a_linked_blob(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "cache").await;
    let image = push(catalog, manifest(api, "image")).await;
    let index = |content: &str| manifest(api, content).naming(image, EdgeRole::Child).naming(layer, EdgeRole::Child);
    push(catalog, index("index")).await;
    catalog.delete_artifact(api, digest("index"), somebody()).await.unwrap();
    catalog.delete_artifact(api, image, somebody()).await.unwrap();
    let refused = catalog.put_manifest(index("another")).await;
    assert_eq!(
        refusal(refused),
        (ErrorKind::Invalid, What::Reference),
        "a child in the trash is missing"
    );
}

async fn what_is_not_required_may_be_missing(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let signature = manifest(api, "signature").about(digest("not pushed yet"), "application/vnd.example");
    let mut sparse = manifest(api, "sparse").naming(digest("elsewhere"), EdgeRole::Layer);
    sparse.edges[0].required = false;
    for new in [signature, sparse] {
        assert!(catalog.put_manifest(new).await.unwrap().created);
    }
    assert_eq!(database.count("edge"), 2);
    // Naming it granted nothing.
    assert_eq!(catalog.blob(api, digest("elsewhere")).await.unwrap(), None);
}

async fn references_are_kept_once_each(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let empty = push_blob(catalog, api, "{}").await;
    let new = manifest(api, "image")
        .naming(empty, EdgeRole::Config)
        .naming(empty, EdgeRole::Layer)
        .naming(empty, EdgeRole::Layer);
    push(catalog, new).await;
    assert_eq!(database.count("edge"), 2);
}

async fn a_manifest_with_more_references_than_one_statement_holds_is_checked_whole(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let mut new = manifest(api, "image");
    for number in 0..1100 {
        let layer = push_blob(catalog, api, &format!("layer {number}")).await;
        new = new.naming(layer, EdgeRole::Layer);
    }
    let mut broken = new.clone();
    broken.edges.push(NewEdge {
        child: digest("missing"),
        role: EdgeRole::Layer,
        required: true,
    });
    assert_eq!(refusal(catalog.put_manifest(broken).await), (ErrorKind::Invalid, What::Reference));
    push(catalog, new).await;
    assert_eq!(database.count("edge"), 1100);
}

async fn an_identical_push_writes_nothing(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let new = manifest(api, "image").tagged(&["1.0", "latest"]);
    push(catalog, new.clone()).await;
    let before = rows(database);
    let again = catalog.put_manifest(new.clone()).await.unwrap();
    assert_eq!((again.created, again.moved.len()), (false, 0));
    let untagged = catalog.put_manifest(manifest(api, "image")).await.unwrap();
    assert!(!untagged.created);
    // Nor does it need a right to overwrite: nothing moves.
    let mut modest = new.clone();
    modest.may_overwrite = false;
    catalog.put_manifest(modest).await.unwrap();
    assert_eq!(rows(database), before);

    // But a condition that does not hold is told, though nothing would change.
    let refused = catalog.put_manifest(new.only_if(Condition::Absent)).await;
    assert_eq!(refusal(refused), (ErrorKind::PreconditionFailed, What::Tag));
    assert_eq!(rows(database), before);
}

async fn a_trashed_manifest_pushed_again_is_live_again(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let new = manifest(api, "image").naming(layer, EdgeRole::Layer).tagged(&["1.0"]);
    push(catalog, new.clone()).await;
    catalog.delete_artifact(api, new.digest, somebody()).await.unwrap();
    assert!(!is_live(catalog, api, new.digest).await);

    let stored = catalog.put_manifest(new.clone()).await.unwrap();
    assert!(stored.created);
    assert_eq!(stored.moved, [(tag("1.0"), None)]);
    assert!(is_live(catalog, api, new.digest).await);
    assert_eq!(history(catalog, api, "1.0").await, [Some(new.digest), None, Some(new.digest)]);
    assert_eq!(database.count("artifact WHERE trashed_at IS NOT NULL"), 0);
    assert_eq!(
        catalog.unlink_blob(api, layer, somebody()).await.unwrap(),
        Deleted::InUse(vec![new.digest])
    );

    // It has to pass the check of its references anew.
    catalog.delete_artifact(api, new.digest, somebody()).await.unwrap();
    catalog.unlink_blob(api, layer, somebody()).await.unwrap();
    assert_eq!(refusal(catalog.put_manifest(new).await), (ErrorKind::Invalid, What::Reference));
}

async fn many_pushes_of_one_manifest_create_it_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let new = manifest(api, "image").naming(layer, EdgeRole::Layer).tagged(&["1.0", "latest"]);
    let stored = join_all((0..MANY).map(|_| catalog.put_manifest(new.clone()))).await;
    let creators = stored.iter().filter(|stored| stored.as_ref().unwrap().created).count();
    let movers = stored.iter().filter(|stored| !stored.as_ref().unwrap().moved.is_empty()).count();
    assert_eq!((creators, movers), (1, 1));
    assert_eq!(history(catalog, api, "latest").await, [Some(new.digest)]);
    assert_eq!(database.count("event WHERE kind = 'manifest.pushed'"), 1);
    assert_eq!(database.count("event WHERE kind = 'tag.moved'"), 2);
}

async fn the_same_manifest_in_two_repositories_is_two_artifacts(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let image = push(catalog, manifest(api, "image").tagged(&["1.0"])).await;
    assert!(!is_live(catalog, web, image).await);
    assert!(catalog.put_manifest(manifest(web, "image")).await.unwrap().created);
    catalog.delete_artifact(api, image, somebody()).await.unwrap();
    assert!(!is_live(catalog, api, image).await);
    assert!(is_live(catalog, web, image).await);
    assert_eq!((database.count("manifest"), database.count("artifact")), (1, 2));
}

async fn a_damaged_manifest_is_refused_and_repaired_by_pushing_it_again(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let new = manifest(api, "whole").tagged(&["1.0"]);
    catalog.put_manifest(new.clone()).await.unwrap();
    let rot = || database.execute("UPDATE manifest SET bytes = (SELECT bytes FROM manifest WHERE digest = 'other')");
    push(catalog, manifest(web, "other")).await;
    database.execute("UPDATE manifest SET digest = 'other' WHERE digest <> (SELECT digest FROM version)");
    rot();
    let read = catalog.manifest(api, Reference::Tag(tag("1.0"))).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt);
    // The same push, which would change nothing otherwise.
    catalog.put_manifest(new.clone()).await.unwrap();
    let read = catalog.manifest(api, Reference::Tag(tag("1.0"))).await.unwrap().unwrap();
    assert_eq!(read.bytes, new.bytes);
    // A first push of it into another repository repairs it for both.
    rot();
    push(catalog, manifest(web, "whole")).await;
    assert!(is_live(catalog, api, new.digest).await);
}
