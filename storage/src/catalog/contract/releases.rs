//! Releases: the first folders that read as versions, in their order.

use super::super::lite::{self, queries};
use super::super::pg;
use super::files::{files, path, put};
use super::plans::{copy, plan, statistics};
use super::*;
use crate::release::{Release, Releases};
use diesel::Connection as _;
use diesel_migrations::MigrationHarness as _;
use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

on_each_database!(
    the_newest_release_is_the_newest_version_that_holds_a_file,
    releases_are_listed_from_the_newest_in_pages,
    releases_come_in_the_order_of_their_versions_whatever_they_are,
    a_release_is_found_in_the_index,
    files_that_were_stored_before_there_were_releases_are_part_of_theirs,
);

fn read(name: &str) -> Release {
    Release::read(name).unwrap()
}

async fn newest(catalog: &Catalog, repository: RepositoryId, among: &Releases, pre: bool) -> Option<String> {
    catalog.newest_release(repository, among.clone(), pre).await.unwrap()
}

async fn delete(catalog: &Catalog, repository: RepositoryId, at: &str) {
    let deleted = catalog.delete_file(repository, path(at), Condition::Always, somebody());
    assert!(deleted.await.unwrap());
}

/// The names of the releases, page by page; pre-releases with a `?`.
async fn listed(catalog: &Catalog, repository: RepositoryId, limit: usize) -> Vec<String> {
    let (mut all, mut among) = (Vec::new(), Releases::default());
    loop {
        let page = catalog.releases(repository, among.clone(), limit).await.unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        among = among.before_this(&read(&last.name), &last.name);
        all.extend(page.into_iter().map(|entry| match entry.prerelease {
            true => format!("{}?", entry.name),
            false => entry.name,
        }));
    }
}

async fn the_newest_release_is_the_newest_version_that_holds_a_file(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let all = Releases::default();
    assert_eq!(newest(catalog, firmware, &all, true).await, None);
    for at in [
        "1.2/a",
        "1.2/b",
        "v1.2.0/a",
        "1.10/deep/a",
        "1.9",
        "10/a",
        "2.0",
        "a/9.0/a",
        "2.0.0-rc.1/a",
        "2.0.0-rc.1/b",
        "notes/a",
    ] {
        put(catalog, firmware, at, at).await;
    }
    assert_eq!(newest(catalog, firmware, &all, false).await.as_deref(), Some("1.10"));
    assert_eq!(newest(catalog, firmware, &all, true).await.as_deref(), Some("2.0.0-rc.1"));
    let older = all.clone().older_than(&read("1.10"));
    assert_eq!(newest(catalog, firmware, &older, true).await.as_deref(), Some("v1.2.0"));
    assert_eq!(newest(catalog, firmware, &all.clone().newer_than(&read("2.0")), true).await, None);
    // A release is there as long as it holds something, and again once it does.
    delete(catalog, firmware, "2.0.0-rc.1/a").await;
    assert_eq!(newest(catalog, firmware, &all, true).await.as_deref(), Some("2.0.0-rc.1"));
    delete(catalog, firmware, "2.0.0-rc.1/b").await;
    delete(catalog, firmware, "1.10/deep/a").await;
    assert_eq!(newest(catalog, firmware, &all, true).await.as_deref(), Some("v1.2.0"));
    put(catalog, firmware, "1.10/deep/a", "again").await;
    assert_eq!(newest(catalog, firmware, &all, true).await.as_deref(), Some("1.10"));
    // Nobody else's, and no tags.
    let api = repository(catalog, "acme/api").await;
    push(catalog, manifest(api, "image").tagged(&["3.0"])).await;
    assert_eq!(newest(catalog, api, &all, true).await, None);
    assert_eq!(newest(catalog, firmware, &all, true).await.as_deref(), Some("1.10"));
}

async fn releases_are_listed_from_the_newest_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    assert_eq!(listed(catalog, firmware, 3).await, [""; 0]);
    for release in ["1.2", "v1.2.0", "1.10", "2.0-rc.1", "1.10.1-beta", "0.9", "2.0-rc.2"] {
        for file in ["a", "b", "c/d"] {
            put(catalog, firmware, &format!("{release}/{file}"), "content").await;
        }
    }
    put(catalog, firmware, "2.0/gone", "content").await;
    delete(catalog, firmware, "2.0/gone").await;
    put(catalog, firmware, "2.1", "content").await;
    let all = ["2.0-rc.2?", "2.0-rc.1?", "1.10.1-beta?", "1.10", "v1.2.0", "1.2", "0.9"];
    for limit in 1..9 {
        assert_eq!(listed(catalog, firmware, limit).await, all, "{limit}");
    }
    assert_eq!(catalog.releases(firmware, Releases::default(), 0).await.unwrap(), []);
}

async fn releases_come_in_the_order_of_their_versions_whatever_they_are(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let name = "v?[012]{1,2}(\\.[012]{1,2}){1,3}(-[0-2ab-]{1,3}(\\.[0-2ab-]{1,3}){0,2})?";
    // One repository for all cases, which fills.
    let mut runner = TestRunner::default();
    let mut stored: BTreeSet<(Release, String)> = BTreeSet::new();
    for _ in 0..20 {
        let some: Vec<String> = vec(name, 1..6).new_tree(&mut runner).unwrap().current();
        for name in some {
            put(catalog, firmware, &format!("{name}/a"), "content").await;
            stored.insert((read(&name), name));
        }
        let bound = name.new_tree(&mut runner).unwrap().current();
        let most = Releases::default().at_most(&read(&bound));
        for pre in [false, true] {
            let within = |(release, _): &&(Release, String)| *release <= read(&bound) && (pre || !release.is_prerelease());
            let expected = stored.iter().rfind(within).map(|(_, name)| name.as_str());
            assert_eq!(
                newest(catalog, firmware, &most, pre).await.as_deref(),
                expected,
                "{bound} of {stored:?}"
            );
        }
    }
    let shown = |(release, name): &(Release, String)| format!("{name}{}", if release.is_prerelease() { "?" } else { "" });
    let expected: Vec<String> = stored.iter().rev().map(shown).collect();
    assert_eq!(listed(catalog, firmware, 7).await, expected);
}

async fn a_release_is_found_in_the_index(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "1.2/a", "content").await;
    put(catalog, firmware, "3.0", "3.0").await;
    copy(database, "other/", 20_000, "live");
    copy(database, "9.0/", 20_000, "trashed");
    statistics(database);
    let values = [&firmware.0.to_string(), "'live'", "false", "''", "'~'", "10"];
    let plan = plan(database, queries::STEPS, &values);
    assert_eq!(plan.matches("version_by_release").count(), 2, "{plan}");
    assert_eq!(newest(catalog, firmware, &Releases::default(), true).await.as_deref(), Some("1.2"));
}

async fn files_that_were_stored_before_there_were_releases_are_part_of_theirs(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for at in ["1.2/a", "v1.10/a", "2.0-rc.1/a", "2.0/gone", "1/a", "a/1.0/a", "3.0"] {
        put(catalog, firmware, at, at).await;
    }
    // More than are filled in at once.
    copy(database, "0.1/", 1100, "live");
    delete(catalog, firmware, "2.0/gone").await;
    let api = repository(catalog, "acme/api").await;
    push(catalog, manifest(api, "image").tagged(&["3.0"])).await;
    take_back(database);
    assert_eq!(database.count("job"), 0);
    let again = database.open_again();
    assert_eq!(listed(&again, firmware, 2).await, ["2.0-rc.1?", "v1.10", "1.2", "0.1"]);
    assert_eq!(database.count("version WHERE release = '0.1' AND prerelease = false"), 1100);
    assert_eq!(
        database.count("version WHERE release_key IS NOT NULL"),
        1104,
        "the deleted file is one of them"
    );
    assert_eq!(database.count("job"), 0);
    // It is a thing of one start.
    put(&again, firmware, "1.3/a", "new").await;
    database.execute("UPDATE version SET release = NULL, release_key = NULL, prerelease = NULL WHERE name = '1.3/a'");
    assert_eq!(listed(&database.open_again(), firmware, 9).await.len(), 4);
    // What a former version of the program stored meanwhile is found when it is stored again.
    put(&again, firmware, "1.3/a", "newer").await;
    assert_eq!(
        newest(&again, firmware, &Releases::default(), false).await.as_deref(),
        Some("v1.10")
    );
    assert_eq!(listed(&again, firmware, 9).await.len(), 5);
}

/// Makes of the database what it was before there were releases.
fn take_back(database: &TestDatabase) {
    let folder = "20261130000003";
    match database.database() {
        Database::Sqlite(path) => {
            let mut connection = lite::Conn::establish(path.to_str().unwrap()).unwrap();
            while connection.revert_last_migration(lite::MIGRATIONS).unwrap().to_string() != folder {}
        }
        Database::Postgres(url) => {
            let mut connection = pg::Conn::establish(url).unwrap();
            while connection.revert_last_migration(pg::MIGRATIONS).unwrap().to_string() != folder {}
        }
    }
}
