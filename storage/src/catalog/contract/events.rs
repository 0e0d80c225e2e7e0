//! The log of everything that changed, and how far each follower has read it.
//! What two writers of PostgreSQL can do to a follower is in `races.rs`.

use super::*;
use futures_util::future::{join, join_all};

on_each_database!(
    every_change_is_an_event_in_order,
    events_come_in_pages,
    a_refusal_is_no_event,
    a_follower_among_many_writers_misses_nothing,
    a_follower_finds_its_place_again,
);

async fn every_change_is_an_event_in_order(database: &TestDatabase) {
    let catalog = &database.catalog;
    let before = clock::now();
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let image = push(catalog, manifest(api, "image").naming(layer, EdgeRole::Layer).tagged(&["1.0"])).await;
    catalog.delete_tag(api, tag("1.0"), "bob".into()).await.unwrap();
    let all = catalog.events(0, 100).await.unwrap();
    let kinds: Vec<&str> = all.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "project.created",
            "repository.created",
            "blob.pushed",
            "manifest.pushed",
            "tag.moved",
            "tag.deleted"
        ]
    );
    assert!(all.iter().zip(&all[1..]).all(|(earlier, later)| earlier.seq < later.seq));
    assert!(all.iter().all(|event| (before..=clock::now()).contains(&event.at)));
    assert_eq!((all[0].repository, all[1].repository), (None, Some(api)));
    assert_eq!((all[4].principal.as_str(), all[5].principal.as_str()), ("alice", "bob"));
    let moved: serde_json::Value = serde_json::from_str(&all[4].body).unwrap();
    assert_eq!(moved, serde_json::json!({"tag": "1.0", "digest": image.to_string()}));
}

async fn events_come_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    for number in 0..5 {
        repository(catalog, &format!("acme{number}/api")).await;
    }
    let all = catalog.events(0, 100).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = catalog.events(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = last.seq;
        seen.extend(page);
    }
    assert_eq!((seen.len(), seen), (10, all));
}

async fn a_refusal_is_no_event(database: &TestDatabase) {
    let catalog = &database.catalog;
    repository(catalog, "acme/api").await;
    let files = catalog
        .ensure_repository(name("acme/api"), StorageFormat::Generic, None, somebody())
        .await;
    files.unwrap_err();
    let again = catalog.create_project(project_name("acme"), true, None, somebody()).await;
    again.unwrap_err();
    assert_eq!(events_after(catalog, 0).await, ["project.created", "repository.created"]);
}

async fn a_follower_among_many_writers_misses_nothing(database: &TestDatabase) {
    let catalog = &database.catalog;
    let writers = join_all((0..MANY).map(async |number| repository(catalog, &format!("acme{number}/api")).await));
    let follower = async {
        let (mut seen, mut after) = (Vec::new(), 0);
        while seen.len() < 2 * MANY {
            // Asked first: when all are written and a page after that is empty, what is missing never comes.
            let all_written = database.count("event") == 128;
            let page = catalog.events(after, 7).await.unwrap();
            assert!(!(all_written && page.is_empty()), "{} events missed", 128 - seen.len());
            after = page.last().map_or(after, |last| last.seq);
            seen.extend(page);
        }
        seen
    };
    let (_, seen) = join(writers, follower).await;
    assert_eq!(seen, catalog.events(0, 1000).await.unwrap());
}

async fn a_follower_finds_its_place_again(database: &TestDatabase) {
    let catalog = &database.catalog;
    assert_eq!(catalog.cursor("search".into()).await.unwrap(), 0);
    catalog.set_cursor("search".into(), 7).await.unwrap();
    catalog.set_cursor("scan".into(), 3).await.unwrap();
    catalog.set_cursor("search".into(), 9).await.unwrap();
    let other_node = database.open_again();
    assert_eq!(other_node.cursor("search".into()).await.unwrap(), 9);
    assert_eq!(other_node.cursor("scan".into()).await.unwrap(), 3);
    assert_eq!(other_node.cursor("Search".into()).await.unwrap(), 0);
}
