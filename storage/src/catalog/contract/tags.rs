//! Tags: how they move, under which conditions, and what their history tells.

use super::*;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;
use std::collections::HashSet;

on_each_database!(
    a_tag_moves_and_its_history_remembers,
    tags_are_listed_bytewise_in_pages,
    one_push_moves_all_its_tags_or_none,
    a_tag_named_twice_moves_once,
    conditions_compare_and_swap,
    conditions_without_a_tag_are_about_the_manifest,
    of_many_pushes_that_want_the_tag_free_one_wins,
    of_many_pushes_that_expect_the_same_target_one_wins,
    many_pushes_to_one_tag_make_one_line_of_history,
    who_may_not_overwrite_may_only_add,
    a_deleted_tag_is_free_for_those_who_may_only_add,
);

async fn a_tag_moves_and_its_history_remembers(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let before = clock::now();
    push(catalog, manifest(api, "first").tagged(&["1.0"])).await;
    let mut second = manifest(api, "second").tagged(&["1.0"]);
    second.by = "bob".into();
    let moved = catalog.put_manifest(second).await.unwrap().moved;
    assert_eq!(moved, [(tag("1.0"), Some(digest("first")))]);
    assert_eq!(target(catalog, api, "1.0").await, Some(digest("second")));

    // Back to a manifest that is here already.
    let back = catalog.put_manifest(manifest(api, "first").tagged(&["1.0"])).await.unwrap();
    assert!(!back.created);
    assert_eq!(back.moved, [(tag("1.0"), Some(digest("second")))]);

    let newest_first = catalog.tag_history(api, tag("1.0"), 2).await.unwrap();
    assert_eq!(newest_first.len(), 2, "as many as asked for");
    assert_eq!(
        (newest_first[0].digest, newest_first[0].by.as_str()),
        (Some(digest("first")), "alice")
    );
    assert_eq!(
        (newest_first[1].digest, newest_first[1].by.as_str()),
        (Some(digest("second")), "bob")
    );
    assert!(newest_first.iter().all(|step| (before..=clock::now()).contains(&step.at)));
    assert_eq!(catalog.tag_history(api, tag("2.0"), 10).await.unwrap(), []);
}

async fn tags_are_listed_bytewise_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let sorted = ["1.0", "1.0-rc", "1.0.1", "10", "A", "Z", "_", "a", "aB", "a_", "aa"];
    let scrambled = [5, 2, 9, 0, 7, 10, 1, 8, 3, 6, 4].map(|place| sorted[place]);
    push(catalog, manifest(api, "image").tagged(&scrambled)).await;
    push(catalog, manifest(api, "gone").tagged(&["B"])).await;
    catalog.delete_tag(api, tag("B"), somebody()).await.unwrap();
    push(catalog, manifest(web, "image").tagged(&["elsewhere"])).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.tags(api, after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 4);
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, sorted);
    assert_eq!(
        catalog.tags(api, Some("AA".into()), 1).await.unwrap(),
        ["Z"],
        "a place where no tag is"
    );
}

async fn one_push_moves_all_its_tags_or_none(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, manifest(api, "old").tagged(&["b"])).await;
    let refused = catalog
        .put_manifest(manifest(api, "new").tagged(&["a", "b", "c"]).only_if(Condition::Absent))
        .await;
    assert_eq!(refusal(refused), (ErrorKind::PreconditionFailed, What::Tag));
    assert_eq!(catalog.tags(api, None, 10).await.unwrap(), ["b"]);
    assert!(!is_live(catalog, api, digest("new")).await);

    let moved = catalog
        .put_manifest(manifest(api, "new").tagged(&["a", "b", "c"]))
        .await
        .unwrap()
        .moved;
    assert_eq!(moved, [(tag("a"), None), (tag("b"), Some(digest("old"))), (tag("c"), None)]);
    for name in ["a", "b", "c"] {
        assert_eq!(target(catalog, api, name).await, Some(digest("new")));
    }
}

async fn a_tag_named_twice_moves_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let stored = catalog.put_manifest(manifest(api, "image").tagged(&["1.0", "1.0"])).await.unwrap();
    assert_eq!(stored.moved, [(tag("1.0"), None)]);
    assert_eq!(history(catalog, api, "1.0").await, [Some(digest("image"))]);
}

async fn conditions_compare_and_swap(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let (one, two) = (digest("one"), digest("two"));
    let put = async |content: &str, condition| {
        let stored = catalog
            .put_manifest(manifest(api, content).tagged(&["1.0"]).only_if(condition))
            .await;
        if let Err(error) = &stored {
            assert_eq!((error.kind(), error.what()), (ErrorKind::PreconditionFailed, What::Tag));
        }
        stored.is_ok()
    };
    assert!(!put("one", Condition::Present).await);
    assert!(!put("one", Condition::OneOf(vec![one])).await);
    assert!(put("one", Condition::NoneOf(vec![one])).await, "a free name points at none of them");
    assert!(!put("two", Condition::Absent).await);
    assert!(!put("two", Condition::NoneOf(vec![two, one])).await);
    assert!(!put("two", Condition::OneOf(vec![two])).await);
    assert!(put("two", Condition::OneOf(vec![two, one])).await);
    assert!(put("one", Condition::NoneOf(vec![one])).await);
    assert!(put("two", Condition::Present).await);
    catalog.delete_tag(api, tag("1.0"), somebody()).await.unwrap();
    assert!(!put("one", Condition::Present).await, "a deleted name is free");
    assert!(put("one", Condition::Absent).await);
    assert_eq!(
        history(catalog, api, "1.0").await,
        [Some(one), Some(two), Some(one), Some(two), None, Some(one)]
    );
}

async fn conditions_without_a_tag_are_about_the_manifest(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let put = async |condition| catalog.put_manifest(manifest(api, "image").only_if(condition)).await;
    assert_eq!(refusal(put(Condition::Present).await), (ErrorKind::PreconditionFailed, What::Tag));
    assert!(put(Condition::Absent).await.unwrap().created);
    assert_eq!(refusal(put(Condition::Absent).await), (ErrorKind::PreconditionFailed, What::Tag));
    assert!(!put(Condition::Present).await.unwrap().created);
    assert!(!put(Condition::OneOf(vec![digest("image")])).await.unwrap().created);
}

async fn of_many_pushes_that_want_the_tag_free_one_wins(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let racer = |number: usize| {
        let new = manifest(api, &number.to_string()).tagged(&["1.0"]).only_if(Condition::Absent);
        catalog.put_manifest(new)
    };
    let ends = join_all((0..MANY).map(racer)).await;
    let winners: Vec<usize> = (0..MANY).filter(|number| ends[*number].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(target(catalog, api, "1.0").await, Some(digest(&winners[0].to_string())));
    for lost in ends.into_iter().filter(Result::is_err) {
        assert_eq!(refusal(lost), (ErrorKind::PreconditionFailed, What::Tag));
    }
    assert_eq!(database.count("artifact"), 1, "the losers left nothing");
}

async fn of_many_pushes_that_expect_the_same_target_one_wins(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let first = push(catalog, manifest(api, "first").tagged(&["1.0"])).await;
    let racer = |number: usize| {
        let new = manifest(api, &number.to_string()).tagged(&["1.0"]);
        catalog.put_manifest(new.only_if(Condition::OneOf(vec![first])))
    };
    let ends = join_all((0..MANY).map(racer)).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    assert_eq!(history(catalog, api, "1.0").await.len(), 2);
}

async fn many_pushes_to_one_tag_make_one_line_of_history(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let racer = |number: usize| catalog.put_manifest(manifest(api, &number.to_string()).tagged(&["latest"]));
    let ends = join_all((0..MANY).map(racer)).await;

    let line = history(catalog, api, "latest").await;
    assert_eq!(line.len(), MANY);
    assert_eq!(line.last().copied().flatten(), target(catalog, api, "latest").await);
    assert!(line.iter().zip(&line[1..]).all(|(before, after)| before != after));
    // What each pusher was told it replaced is what stands before it.
    let told: HashSet<_> = ends
        .into_iter()
        .enumerate()
        .map(|(number, end)| (end.unwrap().moved[0].1, Some(digest(&number.to_string()))))
        .collect();
    let written: HashSet<_> = std::iter::once(None)
        .chain(line.iter().copied())
        .zip(line.iter().copied())
        .collect();
    assert_eq!(told, written);
    assert_eq!(database.count("event WHERE kind = 'tag.moved'"), 64);
}

async fn who_may_not_overwrite_may_only_add(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, manifest(api, "old").tagged(&["1.0"])).await;
    let modest = |content: &str, tags: &[&str]| {
        let mut new = manifest(api, content).tagged(tags);
        new.may_overwrite = false;
        catalog.put_manifest(new)
    };
    assert_eq!(refusal(modest("new", &["2.0", "1.0"]).await), (ErrorKind::Denied, What::Tag));
    assert!(!is_live(catalog, api, digest("new")).await);
    assert_eq!(catalog.tags(api, None, 10).await.unwrap(), ["1.0"]);
    assert!(modest("new", &["2.0"]).await.unwrap().created);
    assert_eq!(modest("old", &["1.0", "1.0.0"]).await.unwrap().moved, [(tag("1.0.0"), None)]);
    assert!(modest("untagged", &[]).await.unwrap().created);
    assert_eq!(target(catalog, api, "1.0").await, Some(digest("old")));
}

async fn a_deleted_tag_is_free_for_those_who_may_only_add(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, manifest(api, "old").tagged(&["1.0"])).await;
    catalog.delete_tag(api, tag("1.0"), somebody()).await.unwrap();
    let mut new = manifest(api, "new").tagged(&["1.0"]);
    new.may_overwrite = false;
    assert_eq!(catalog.put_manifest(new).await.unwrap().moved, [(tag("1.0"), None)]);
    assert_eq!(target(catalog, api, "1.0").await, Some(digest("new")));
}
