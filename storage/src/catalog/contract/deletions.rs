//! Taking tags and manifests away, and what stands in the way of it.

use super::*;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;

on_each_database!(
    deleting_a_tag_leaves_the_manifest,
    deleting_a_manifest_takes_its_tags_along,
    the_child_of_a_live_index_is_protected,
    only_children_are_protected,
    pushes_and_deletions_of_one_tag_leave_a_history_that_ends_in_the_truth,
    a_tag_never_points_at_a_manifest_in_the_trash,
    whatever_happens_at_once_what_is_live_is_whole,
);

async fn delete(catalog: &Catalog, repository: RepositoryId, digest: Digest) -> Deleted {
    catalog.delete_artifact(repository, digest, somebody()).await.unwrap()
}

async fn deleting_a_tag_leaves_the_manifest(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let image = push(catalog, manifest(api, "image").tagged(&["1.0", "latest"])).await;
    let mut by = somebody();
    assert!(catalog.delete_tag(api, tag("latest"), by.clone()).await.unwrap());
    by = "bob".into();
    assert!(!catalog.delete_tag(api, tag("latest"), by).await.unwrap(), "it is gone already");
    assert!(!catalog.delete_tag(api, tag("never"), somebody()).await.unwrap());
    assert_eq!(target(catalog, api, "latest").await, None);
    assert_eq!(target(catalog, api, "1.0").await, Some(image));
    assert!(is_live(catalog, api, image).await);
    assert_eq!(catalog.tags(api, None, 10).await.unwrap(), ["1.0"]);
    assert_eq!(history(catalog, api, "latest").await, [Some(image), None]);
    assert_eq!(database.count("event WHERE kind = 'tag.deleted'"), 1);
}

async fn deleting_a_manifest_takes_its_tags_along(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let image = push(catalog, manifest(api, "image").tagged(&["1.0", "latest"])).await;
    let other = push(catalog, manifest(api, "other").tagged(&["other"])).await;
    push(catalog, manifest(web, "image").tagged(&["1.0"])).await;
    assert_eq!(delete(catalog, api, image).await, Deleted::Done);
    assert!(!is_live(catalog, api, image).await);
    assert_eq!(catalog.tags(api, None, 10).await.unwrap(), ["other"]);
    for name in ["1.0", "latest"] {
        assert_eq!(target(catalog, api, name).await, None);
        assert_eq!(history(catalog, api, name).await, [Some(image), None]);
    }
    assert_eq!(target(catalog, api, "other").await, Some(other));
    assert_eq!(target(catalog, web, "1.0").await, Some(image));
    assert_eq!(delete(catalog, api, image).await, Deleted::Absent);
    assert_eq!(delete(catalog, api, digest("never")).await, Deleted::Absent);
    assert_eq!(database.count("event WHERE kind = 'manifest.deleted'"), 1);
    assert_eq!(database.count("event WHERE kind = 'tag.deleted'"), 2);
    assert_eq!(database.count("artifact WHERE trashed_at > 0"), 1, "the trash knows since when");
    assert_eq!(database.count("manifest"), 2, "an undo needs the bytes");
}

async fn the_child_of_a_live_index_is_protected(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let image = push(catalog, manifest(api, "image").tagged(&["amd64"])).await;
    push(catalog, manifest(web, "image")).await;
    let index = push(catalog, manifest(api, "index").naming(image, EdgeRole::Child)).await;
    assert_eq!(delete(catalog, api, image).await, Deleted::InUse(vec![index]));
    assert_eq!(target(catalog, api, "amd64").await, Some(image));
    assert!(
        catalog.delete_tag(api, tag("amd64"), somebody()).await.unwrap(),
        "a tag is not the manifest"
    );
    assert_eq!(
        delete(catalog, web, image).await,
        Deleted::Done,
        "the index is in another repository"
    );

    assert_eq!(delete(catalog, api, index).await, Deleted::Done);
    assert_eq!(
        delete(catalog, api, image).await,
        Deleted::Done,
        "an index in the trash protects nothing"
    );
}

async fn only_children_are_protected(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let image = push(catalog, manifest(api, "image")).await;
    let signature = push(catalog, manifest(api, "signature").about(image, "application/vnd.example")).await;
    assert_eq!(delete(catalog, api, image).await, Deleted::Done);
    assert!(is_live(catalog, api, signature).await);
}

async fn pushes_and_deletions_of_one_tag_leave_a_history_that_ends_in_the_truth(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let racer = async |number: usize| match number % 3 {
        0 => catalog.delete_tag(api, tag("latest"), somebody()).await.map(drop),
        _ => catalog
            .put_manifest(manifest(api, &number.to_string()).tagged(&["latest"]))
            .await
            .map(drop),
    };
    for end in join_all((0..MANY).map(racer)).await {
        end.unwrap();
    }
    let line = history(catalog, api, "latest").await;
    assert_eq!(line.last().copied().flatten(), target(catalog, api, "latest").await);
    assert!(line.iter().zip(&line[1..]).all(|(before, after)| before != after), "{line:?}");
    assert_ne!(line[0], None, "what is not there cannot be deleted");
}

async fn a_tag_never_points_at_a_manifest_in_the_trash(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    // Two manifests; each is pushed under both tags and deleted, all at once.
    let racer = async |number: usize| {
        let content = ["one", "two"][number % 2];
        match number % 3 {
            0 => catalog.delete_artifact(api, digest(content), somebody()).await.map(drop),
            _ => catalog.put_manifest(manifest(api, content).tagged(&["a", "b"])).await.map(drop),
        }
    };
    for end in join_all((0..MANY).map(racer)).await {
        end.unwrap();
    }
    for name in catalog.tags(api, None, 10).await.unwrap() {
        let target = target(catalog, api, &name).await;
        assert!(target.is_some(), "{name} is listed and cannot be pulled");
        assert_eq!(history(catalog, api, &name).await.last().copied().flatten(), target);
    }
    assert_eq!(database.count(DANGLING_TAGS), 0);
}

/// Live tags whose manifest is not live.
pub(super) const DANGLING_TAGS: &str = "version v WHERE state = 'live' AND NOT EXISTS \
    (SELECT 1 FROM artifact a WHERE a.repository = v.repository AND a.digest = v.digest AND a.state = 'live')";

/// Live indexes that list a manifest which is not live.
const BROKEN_INDEXES: &str = "edge e JOIN artifact p ON p.repository = e.repository AND p.digest = e.parent \
    WHERE p.state = 'live' AND e.role = 'child' AND NOT EXISTS \
    (SELECT 1 FROM artifact a WHERE a.repository = e.repository AND a.digest = e.child AND a.state = 'live')";

/// Live manifests that name a layer which is not linked.
const BROKEN_IMAGES: &str = "edge e JOIN artifact p ON p.repository = e.repository AND p.digest = e.parent \
    WHERE p.state = 'live' AND e.role = 'layer' AND NOT EXISTS \
    (SELECT 1 FROM repository_blob l WHERE l.repository = e.repository AND l.digest = e.child)";

async fn whatever_happens_at_once_what_is_live_is_whole(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    for layer in ["layer 0", "layer 1"] {
        push_blob(catalog, web, layer).await;
        push_blob(catalog, api, layer).await;
    }
    // Each manifest is known by its name, so every round pushes and deletes the same few.
    let act = async |number: usize| {
        let (layer, image) = (format!("layer {}", number % 2), format!("image {}", number % 2));
        match number % 7 {
            0 => {
                let index = manifest(api, "index").naming(digest("image 1"), EdgeRole::Child);
                let index = index.naming(digest("image 0"), EdgeRole::Child);
                catalog.put_manifest(index.tagged(&["a", "b"])).await.map(drop)
            }
            1 | 2 => {
                let new = manifest(api, &image).naming(digest(&layer), EdgeRole::Layer);
                catalog.put_manifest(new.tagged(&["b", "a"])).await.map(drop)
            }
            3 => catalog.delete_artifact(api, digest(&image), somebody()).await.map(drop),
            4 => catalog.delete_artifact(api, digest("index"), somebody()).await.map(drop),
            5 => catalog.unlink_blob(api, digest(&layer), somebody()).await.map(drop),
            _ => catalog.mount_blob(api, web, digest(&layer), FUTURE, somebody()).await.map(drop),
        }
    };
    for end in join_all((0..4 * MANY).map(act)).await.into_iter().filter(Result::is_err) {
        assert_eq!(
            refusal(end),
            (ErrorKind::Invalid, What::Reference),
            "only what is missing is refused"
        );
    }
    for broken in [DANGLING_TAGS, BROKEN_INDEXES, BROKEN_IMAGES] {
        assert_eq!(database.count(broken), 0, "{broken}");
    }
    if database.name == "PostgreSQL" {
        let circles = "pg_stat_database WHERE datname = current_database() AND deadlocks > 0";
        assert_eq!(database.count(circles), 0, "somebody waited in a circle");
    }
}
