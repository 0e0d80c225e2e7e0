//! Charts: what is listed under a prefix, what makes it change, and what a published version may become.

use super::*;
use crate::error::{ErrorKind, What};
use crate::label::Labels;
use crate::prefix::Prefix;

on_each_database!(
    a_chart_is_listed_under_its_prefix_and_nowhere_else,
    a_chart_is_listed_under_the_tag_of_its_version_alone,
    deleting_the_tag_or_the_manifest_takes_a_chart_from_the_list,
    every_change_of_the_list_has_a_number_and_nothing_else_has,
    what_changed_since_is_told_alone,
    a_published_version_keeps_its_content,
    the_same_chart_in_another_manifest_may_take_its_place,
    provenance_is_not_dropped,
    a_version_never_changes_its_kind,
    two_charts_never_share_a_file,
    a_chart_that_is_not_listed_tells_why,
    a_manifest_of_before_is_listed_when_it_is_pushed_again,
    a_file_is_found_where_it_is_visible,
);

/// A manifest that holds a chart: the name is the repository's, here always `web` or `api`.
pub(super) fn chart(repository: RepositoryId, content: &str, version: &str, archive: &str) -> NewManifest {
    named(repository, content, "api", version, archive)
}

pub(super) fn named(repository: RepositoryId, content: &str, name: &str, version: &str, archive: &str) -> NewManifest {
    NewManifest {
        kind: Kind::Chart,
        chart: Some(NewChart::Listed(Box::new(ChartFacts {
            name: name.into(),
            version: version.into(),
            tag: tag(&version.replace('+', "_")),
            content: digest(archive),
            content_size: archive.len() as u64,
            provenance: None,
            metadata: format!(r#"{{"name":"{name}","version":"{version}"}}"#),
            labels: Labels::default(),
            images: Vec::new(),
        }))),
        ..manifest(repository, content)
    }
}

/// A manifest that says it holds a chart, and does not.
pub(super) fn unlisted(repository: RepositoryId, content: &str, reason: &str) -> NewManifest {
    NewManifest {
        kind: Kind::Chart,
        chart: Some(NewChart::Unlisted(reason.into())),
        ..manifest(repository, content)
    }
}

impl NewManifest {
    pub(super) fn vouched(mut self, provenance: &str) -> Self {
        if let Some(NewChart::Listed(facts)) = &mut self.chart {
            facts.provenance = Some(digest(provenance));
        }
        self
    }
}

pub(super) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// The files listed under a prefix, in order.
pub(super) async fn files(catalog: &Catalog, under: &str) -> Vec<String> {
    let charts = catalog.charts_under(prefix(under), None).await.unwrap().charts;
    let mut files: Vec<String> = charts.into_iter().map(|chart| chart.file).collect();
    files.sort_unstable();
    files
}

pub(super) async fn generation(catalog: &Catalog, under: &str) -> i64 {
    catalog.charts_under(prefix(under), None).await.unwrap().generation
}

async fn a_chart_is_listed_under_its_prefix_and_nowhere_else(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, deep) = (repository(catalog, "acme/api").await, repository(catalog, "acme/charts/api").await);
    push(catalog, chart(api, "one", "1.2.3+build", "archive").tagged(&["1.2.3_build"])).await;
    push(catalog, chart(deep, "two", "2.0.0", "archive").tagged(&["2.0.0"])).await;
    assert_eq!(files(catalog, "acme").await, ["api-1.2.3+build.tgz"]);
    assert_eq!(files(catalog, "acme/charts").await, ["api-2.0.0.tgz"]);
    for nowhere in ["acme/api", "acm", "acme/charts/api", "other"] {
        assert_eq!(files(catalog, nowhere).await, [""; 0], "{nowhere}");
    }
    let listed = catalog.charts_of(api).await.unwrap();
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((one.digest, one.content, one.content_size), (digest("one"), digest("archive"), 7));
    assert_eq!(one.metadata, r#"{"name":"api","version":"1.2.3+build"}"#);
}

async fn a_chart_is_listed_under_the_tag_of_its_version_alone(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.2.3", "archive")).await;
    push(catalog, chart(api, "one", "1.2.3", "archive").tagged(&["latest"])).await;
    assert_eq!(files(catalog, "acme").await, [""; 0]);
    push(catalog, chart(api, "one", "1.2.3", "archive").tagged(&["1.2.3"])).await;
    assert_eq!(files(catalog, "acme").await, ["api-1.2.3.tgz"]);
}

async fn deleting_the_tag_or_the_manifest_takes_a_chart_from_the_list(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    for (content, version) in [("one", "1.0.0"), ("two", "2.0.0"), ("three", "3.0.0")] {
        push(catalog, chart(api, content, version, content).tagged(&[version])).await;
    }
    assert!(catalog.delete_tag(api, tag("1.0.0"), somebody()).await.unwrap());
    assert_eq!(files(catalog, "acme").await, ["api-2.0.0.tgz", "api-3.0.0.tgz"]);
    catalog.delete_artifact(api, digest("two"), somebody()).await.unwrap();
    assert_eq!(files(catalog, "acme").await, ["api-3.0.0.tgz"]);
    // The same chart comes back under its name.
    push(catalog, chart(api, "two", "2.0.0", "two").tagged(&["2.0.0"])).await;
    assert_eq!(files(catalog, "acme").await, ["api-2.0.0.tgz", "api-3.0.0.tgz"]);
}

async fn every_change_of_the_list_has_a_number_and_nothing_else_has(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, other) = (repository(catalog, "acme/api").await, repository(catalog, "other/api").await);
    assert_eq!(generation(catalog, "acme").await, 0);
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    let first = generation(catalog, "acme").await;
    assert!(first > 0);
    // Nothing of this is listed there.
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    push(catalog, manifest(api, "image").tagged(&["an-image"])).await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["latest"])).await;
    push(catalog, unlisted(api, "none", "it is none").tagged(&["2.0.0"])).await;
    push(catalog, chart(other, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert!(catalog.delete_tag(api, tag("latest"), somebody()).await.unwrap());
    assert_eq!(generation(catalog, "acme").await, first);
    assert!(catalog.delete_tag(api, tag("1.0.0"), somebody()).await.unwrap());
    let second = generation(catalog, "acme").await;
    assert!(second > first);
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert!(generation(catalog, "acme").await > second);
}

async fn what_changed_since_is_told_alone(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    push(catalog, chart(api, "one", "1.0.0", "one").tagged(&["1.0.0"])).await;
    push(catalog, named(web, "two", "web", "1.0.0", "two").tagged(&["1.0.0"])).await;
    let before = catalog.charts_under(prefix("acme"), None).await.unwrap();
    assert_eq!((before.changed, before.charts.len()), (None, 2));
    let since = async |since| catalog.charts_under(prefix("acme"), Some(since)).await.unwrap();
    let same = since(before.generation).await;
    assert_eq!(
        (same.generation, same.changed, same.charts),
        (before.generation, Some(vec![]), vec![])
    );
    push(catalog, chart(api, "three", "2.0.0", "three").tagged(&["2.0.0"])).await;
    let after = since(before.generation).await;
    assert_eq!((after.changed, after.charts.len()), (Some(vec!["api".to_owned()]), 2));
    // A chart without versions is told of too, so that it can be forgotten.
    catalog.delete_artifact(web, digest("two"), somebody()).await.unwrap();
    let gone = since(after.generation).await;
    assert_eq!((gone.changed, gone.charts), (Some(vec!["web".to_owned()]), vec![]));
    // A generation of the future, or of another database, is none.
    let unknown = since(gone.generation + 1).await;
    assert_eq!((unknown.changed, unknown.charts.len()), (None, 2));
}

async fn a_published_version_keeps_its_content(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    let other = async || catalog.put_manifest(chart(api, "two", "1.0.0", "other").tagged(&["1.0.0"])).await;
    assert_eq!(refusal(other().await), (ErrorKind::Conflict, What::Tag));
    assert!(!is_live(catalog, api, digest("two")).await);
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("one")));
    // Nor when it was deleted: somebody may still have it.
    catalog.delete_artifact(api, digest("one"), somebody()).await.unwrap();
    assert_eq!(refusal(other().await), (ErrorKind::Conflict, What::Tag));
    push(catalog, chart(api, "three", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("three")));
}

async fn the_same_chart_in_another_manifest_may_take_its_place(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    // Also by somebody who may not overwrite: nothing that anybody pulls is another.
    let again = NewManifest {
        may_overwrite: false,
        ..chart(api, "two", "1.0.0", "archive").tagged(&["1.0.0"]).vouched("signed")
    };
    push(catalog, again).await;
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("two")));
    let listed = catalog.charts_of(api).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].provenance, Some(digest("signed")));
}

async fn provenance_is_not_dropped(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"]).vouched("signed")).await;
    let bare = catalog.put_manifest(chart(api, "two", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert_eq!(refusal(bare), (ErrorKind::Conflict, What::Tag));
    // Nor replaced by another one; who signed it first is who is asked.
    let other = chart(api, "three", "1.0.0", "archive").tagged(&["1.0.0"]).vouched("other");
    assert_eq!(refusal(catalog.put_manifest(other).await), (ErrorKind::Conflict, What::Tag));
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("one")));
}

async fn a_version_never_changes_its_kind(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, manifest(api, "image").tagged(&["1.0.0"])).await;
    let over = catalog
        .put_manifest(chart(api, "chart", "1.0.0", "archive").tagged(&["1.0.0"]))
        .await;
    assert_eq!(refusal(over), (ErrorKind::Conflict, What::Tag));
    push(catalog, chart(api, "chart", "2.0.0", "archive").tagged(&["2.0.0"])).await;
    for new in [manifest(api, "image"), unlisted(api, "none", "it is none")] {
        let over = catalog.put_manifest(new.tagged(&["2.0.0"])).await;
        assert_eq!(refusal(over), (ErrorKind::Conflict, What::Tag));
    }
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("image")));
    assert_eq!(target(catalog, api, "2.0.0").await, Some(digest("chart")));
    // Nor once it is deleted, so that no other chart gets there behind an image.
    assert!(catalog.delete_tag(api, tag("2.0.0"), somebody()).await.unwrap());
    let over = catalog.put_manifest(manifest(api, "image").tagged(&["2.0.0"])).await;
    assert_eq!(refusal(over), (ErrorKind::Conflict, What::Tag));
    push(catalog, chart(api, "chart", "2.0.0", "archive").tagged(&["2.0.0"])).await;
    // A chart that was not listed may be put right.
    push(catalog, unlisted(api, "none", "it is none").tagged(&["3.0.0"])).await;
    push(catalog, chart(api, "right", "3.0.0", "right").tagged(&["3.0.0"])).await;
    assert_eq!(files(catalog, "acme").await, ["api-2.0.0.tgz", "api-3.0.0.tgz"]);
}

async fn two_charts_never_share_a_file(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (short, long) = (repository(catalog, "acme/a").await, repository(catalog, "acme/a-1").await);
    push(catalog, named(short, "one", "a", "1-2", "one").tagged(&["1-2"])).await;
    let same = catalog.put_manifest(named(long, "two", "a-1", "2", "two").tagged(&["2"])).await;
    assert_eq!(refusal(same), (ErrorKind::Conflict, What::Tag));
    let elsewhere = repository(catalog, "other/a-1").await;
    push(catalog, named(elsewhere, "two", "a-1", "2", "two").tagged(&["2"])).await;
    // Whose name was taken while it was deleted does not come back beside it.
    assert!(catalog.delete_tag(short, tag("1-2"), somebody()).await.unwrap());
    push(catalog, named(long, "two", "a-1", "2", "two").tagged(&["2"])).await;
    let back = catalog.put_manifest(named(short, "one", "a", "1-2", "one").tagged(&["1-2"])).await;
    assert_eq!(refusal(back), (ErrorKind::Conflict, What::Tag));
    assert_eq!(files(catalog, "acme").await, ["a-1-2.tgz"]);
}

async fn a_chart_that_is_not_listed_tells_why(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, unlisted(api, "none", "the archive is broken").tagged(&["1.0.0"])).await;
    assert_eq!(files(catalog, "acme").await, [""; 0]);
    assert_eq!(
        catalog.chart_unlisted(api, digest("none")).await.unwrap().as_deref(),
        Some("the archive is broken")
    );
    push(catalog, chart(api, "one", "2.0.0", "archive").tagged(&["2.0.0"])).await;
    assert_eq!(catalog.chart_unlisted(api, digest("one")).await.unwrap(), None);
}

async fn a_manifest_of_before_is_listed_when_it_is_pushed_again(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    database.execute("DELETE FROM chart; DELETE FROM chart_event");
    assert_eq!(files(catalog, "acme").await, [""; 0]);
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert_eq!(files(catalog, "acme").await, ["api-1.0.0.tgz"]);
}

async fn a_file_is_found_where_it_is_visible(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    let find = async |file: &str, visible| catalog.chart_by_file(prefix("acme"), file.into(), visible).await.unwrap();
    let (repository, found) = find("api-1.0.0.tgz", everything()).await.unwrap();
    assert_eq!((repository.name.as_str(), found.digest), ("acme/api", digest("one")));
    assert_eq!(find("api-1.0.1.tgz", everything()).await, None);
    let only = |name: &str| Visible {
        only: Some(vec![super::name(name)]),
        ..everything()
    };
    assert!(find("api-1.0.0.tgz", only("acme/api")).await.is_some());
    assert_eq!(find("api-1.0.0.tgz", only("acme/web")).await, None);
    assert_eq!(find("api-1.0.0.tgz", Visible::NOTHING).await, None);
}
