//! What becomes of a chart's version once it is published: replaced, yanked, deprecated, vouched for later.

use super::charts::{chart, files, generation, named, prefix, unlisted};
use super::*;
use crate::error::{ErrorKind, What};

on_each_database!(
    a_version_is_replaced_where_project_caller_and_request_agree,
    a_deleted_version_is_bound_to_its_content_unless_it_is_replaced,
    a_yanked_version_is_in_no_list_and_can_be_had,
    a_yank_stays_with_its_version,
    a_deprecation_is_said_of_the_version_alone,
    what_is_said_already_changes_nothing,
    provenance_that_came_later_is_kept_beside_the_manifest,
    provenance_beside_a_manifest_gives_its_place_to_another,
    provenance_is_kept_for_the_chart_that_it_was_meant_for_alone,
    a_manifest_that_something_refers_to_is_not_replaced_to_add_provenance,
    what_is_not_listed_is_told_with_its_reason,
    what_is_not_listed_comes_in_pages_of_what_may_be_seen,
);

fn mark(repository: RepositoryId, version: &str) -> MarkChart {
    MarkChart {
        repository,
        version: version.into(),
        tag: tag(&version.replace('+', "_")),
        yank: None,
        deprecated: None,
        by: somebody(),
    }
}

/// Takes a version from the lists.
pub(super) async fn yank(catalog: &Catalog, repository: RepositoryId, version: &str, reason: &str) -> Result<Option<Chart>> {
    let yank = Some(Yank::Because(reason.into()));
    let new = MarkChart {
        yank,
        ..mark(repository, version)
    };
    catalog.mark_chart(Arc::new(new)).await
}

async fn unyank(catalog: &Catalog, repository: RepositoryId, version: &str) -> Option<Chart> {
    let new = MarkChart {
        yank: Some(Yank::Undo),
        ..mark(repository, version)
    };
    catalog.mark_chart(Arc::new(new)).await.unwrap()
}

async fn deprecate(catalog: &Catalog, repository: RepositoryId, version: &str, deprecated: bool) -> Option<Chart> {
    let new = MarkChart {
        deprecated: Some(deprecated),
        ..mark(repository, version)
    };
    catalog.mark_chart(Arc::new(new)).await.unwrap()
}

fn forced(new: NewManifest) -> NewManifest {
    NewManifest {
        over: Over::Anything,
        ..new
    }
}

async fn a_version_is_replaced_where_project_caller_and_request_agree(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"]).vouched("signed")).await;
    let other = || chart(api, "two", "1.0.0", "other").tagged(&["1.0.0"]);
    let modest = NewManifest {
        may_overwrite: false,
        ..forced(other())
    };
    // Each of the three alone, and any two of them, are too little.
    for (mutable, new) in [(false, other()), (false, forced(other())), (true, other()), (true, modest)] {
        catalog
            .set_mutable_versions(project_name("acme"), mutable, somebody())
            .await
            .unwrap();
        assert_eq!(refusal(catalog.put_manifest(new).await), (ErrorKind::Conflict, What::Tag));
        assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("one")));
    }
    let (before, skip) = (generation(catalog, "acme").await, events_after(catalog, 0).await.len());
    push(catalog, forced(other())).await;
    assert!(generation(catalog, "acme").await > before);
    assert_eq!(
        events_after(catalog, skip).await,
        ["chart.replaced", "manifest.pushed", "tag.moved"]
    );
    assert_eq!(history(catalog, api, "1.0.0").await, [Some(digest("one")), Some(digest("two"))]);
    assert!(
        is_live(catalog, api, digest("one")).await,
        "who knows the digest of the old one keeps it"
    );
    let listed = catalog.charts_of(api).await.unwrap();
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((one.content, one.provenance), (digest("other"), None));
    let kind = NewManifest {
        over: Over::Anything,
        ..manifest(api, "image").tagged(&["1.0.0"])
    };
    assert_eq!(refusal(catalog.put_manifest(kind).await), (ErrorKind::Conflict, What::Tag));
}

async fn a_deleted_version_is_bound_to_its_content_unless_it_is_replaced(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    catalog.delete_artifact(api, digest("one"), somebody()).await.unwrap();
    catalog.set_mutable_versions(project_name("acme"), true, somebody()).await.unwrap();
    let other = || chart(api, "two", "1.0.0", "other").tagged(&["1.0.0"]);
    let modest = NewManifest {
        may_overwrite: false,
        ..forced(other())
    };
    for new in [other(), modest] {
        assert_eq!(refusal(catalog.put_manifest(new).await), (ErrorKind::Conflict, What::Tag));
    }
    push(catalog, forced(other())).await;
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("two")));
}

async fn a_yanked_version_is_in_no_list_and_can_be_had(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    for version in ["1.0.0+a", "2.0.0"] {
        let tag = version.replace('+', "_");
        push(catalog, chart(api, version, version, version).tagged(&[&tag])).await;
    }
    let tags = async || catalog.tags(api, None, 10).await.unwrap();
    let warned = async |reference| catalog.manifest(api, reference).await.unwrap().unwrap().yanked;
    let references = || [Reference::Tag(tag("1.0.0_a")), Reference::Digest(digest("1.0.0+a"))];
    for reference in references() {
        assert_eq!(warned(reference).await, None);
    }
    let before = generation(catalog, "acme").await;
    let marked = yank(catalog, api, "1.0.0+a", "it is broken").await.unwrap().unwrap();
    assert_eq!(marked.yanked.as_deref(), Some("it is broken"));
    assert!(generation(catalog, "acme").await > before);
    assert_eq!(files(catalog, "acme").await, ["api-2.0.0.tgz"]);
    assert_eq!(tags().await, ["2.0.0"]);
    assert_eq!(
        catalog.tags(api, Some("1".into()), 1).await.unwrap(),
        ["2.0.0"],
        "a page is as full as it can be"
    );
    assert_eq!(catalog.charts_of(api).await.unwrap().len(), 1);
    for reference in references() {
        assert_eq!(warned(reference).await.as_deref(), Some("it is broken"));
    }
    let file = catalog
        .chart_by_file(prefix("acme"), "api-1.0.0+a.tgz".into(), everything())
        .await
        .unwrap();
    assert_eq!(file.unwrap().1, marked);
    let found = catalog.chart_version(api, tag("1.0.0_a")).await.unwrap().unwrap();
    assert_eq!((found.chart, found.live), (marked, true));
    let back = unyank(catalog, api, "1.0.0+a").await.unwrap();
    assert_eq!(back.yanked, None);
    assert_eq!(files(catalog, "acme").await, ["api-1.0.0+a.tgz", "api-2.0.0.tgz"]);
    assert_eq!(tags().await, ["1.0.0_a", "2.0.0"]);
    for reference in references() {
        assert_eq!(warned(reference).await, None);
    }
    let kinds = events_after(catalog, 0).await;
    assert_eq!(kinds[kinds.len() - 2..], ["chart.yanked", "chart.unyanked"]);
    // What was never published cannot be taken back, nor a version by the name of its tag.
    for absent in ["3.0.0", "1.0.0_a"] {
        assert_eq!(yank(catalog, api, absent, "").await.unwrap(), None);
    }
    push(catalog, manifest(api, "image").tagged(&["4.0.0"])).await;
    assert_eq!(yank(catalog, api, "4.0.0", "").await.unwrap(), None);
}

async fn a_yank_stays_with_its_version(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    yank(catalog, api, "1.0.0", "it is broken").await.unwrap();
    let before = generation(catalog, "acme").await;
    // In another manifest, and when it comes back from where it was deleted.
    push(catalog, chart(api, "two", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    catalog.delete_artifact(api, digest("two"), somebody()).await.unwrap();
    assert_eq!(yank(catalog, api, "1.0.0", "again").await.unwrap(), None);
    push(catalog, chart(api, "two", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert_eq!(files(catalog, "acme").await, [""; 0]);
    assert_eq!(generation(catalog, "acme").await, before, "nothing of what is listed changed");
    let other = catalog.put_manifest(chart(api, "three", "1.0.0", "other").tagged(&["1.0.0"])).await;
    assert_eq!(refusal(other), (ErrorKind::Conflict, What::Tag));
    // Who replaces it does not thereby put it back.
    catalog.set_mutable_versions(project_name("acme"), true, somebody()).await.unwrap();
    push(catalog, forced(chart(api, "three", "1.0.0", "other").tagged(&["1.0.0"]))).await;
    assert_eq!(files(catalog, "acme").await, [""; 0]);
    unyank(catalog, api, "1.0.0").await.unwrap();
    assert_eq!(files(catalog, "acme").await, ["api-1.0.0.tgz"]);
}

async fn a_deprecation_is_said_of_the_version_alone(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    for version in ["1.0.0", "2.0.0"] {
        push(catalog, chart(api, version, version, version).tagged(&[version])).await;
    }
    let said = async || {
        let mut charts = catalog.charts_under(prefix("acme"), None).await.unwrap().charts;
        charts.sort_unstable_by(|one, other| one.version.cmp(&other.version));
        charts.into_iter().map(|chart| chart.deprecated).collect::<Vec<_>>()
    };
    let before = generation(catalog, "acme").await;
    assert!(deprecate(catalog, api, "1.0.0", true).await.unwrap().deprecated);
    assert_eq!(said().await, [true, false]);
    let after = generation(catalog, "acme").await;
    assert!(after > before);
    // The one does not touch the other.
    yank(catalog, api, "1.0.0", "").await.unwrap();
    assert_eq!(said().await, [false]);
    assert!(unyank(catalog, api, "1.0.0").await.unwrap().deprecated);
    assert!(!deprecate(catalog, api, "1.0.0", false).await.unwrap().deprecated);
    assert_eq!(said().await, [false, false]);
}

async fn what_is_said_already_changes_nothing(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    let state = async || (generation(catalog, "acme").await, events_after(catalog, 0).await.len());
    let fresh = state().await;
    unyank(catalog, api, "1.0.0").await.unwrap();
    deprecate(catalog, api, "1.0.0", false).await.unwrap();
    assert_eq!(state().await, fresh);
    yank(catalog, api, "1.0.0", "it is broken").await.unwrap();
    let yanked = state().await;
    assert_ne!(yanked, fresh);
    yank(catalog, api, "1.0.0", "it is broken").await.unwrap();
    assert_eq!(state().await, yanked);
    // Another reason is on record, and no news to a list that it is not in.
    let marked = yank(catalog, api, "1.0.0", "it loses data").await.unwrap().unwrap();
    assert_eq!(marked.yanked.as_deref(), Some("it loses data"));
    assert_eq!(state().await, (yanked.0, yanked.1 + 1));
}

fn late(repository: RepositoryId, chart: &str, provenance: &str) -> Arc<LateProvenance> {
    Arc::new(LateProvenance {
        repository,
        tag: tag("1.0.0"),
        chart: digest(chart),
        provenance: digest(provenance),
        over: None,
        by: somebody(),
    })
}

async fn provenance_that_came_later_is_kept_beside_the_manifest(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    let absent = catalog.keep_provenance(late(api, "one", "signed")).await;
    assert_eq!(refusal(absent), (ErrorKind::Conflict, What::Blob));
    let signed = push_blob(catalog, api, "signed").await;
    let before = generation(catalog, "acme").await;
    catalog.keep_provenance(late(api, "one", "signed")).await.unwrap();
    assert!(generation(catalog, "acme").await > before);
    assert_eq!(catalog.charts_of(api).await.unwrap()[0].provenance, Some(signed));
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("one")));
    assert_eq!(
        catalog.unlink_blob(api, signed, somebody()).await.unwrap(),
        Deleted::InUse(vec![digest("one")])
    );
    // The same again is no news.
    let events = events_after(catalog, 0).await.len();
    catalog.keep_provenance(late(api, "one", "signed")).await.unwrap();
    assert_eq!(events_after(catalog, 0).await.len(), events);
    // It goes with the chart, and a chart that comes anew is as it comes.
    catalog.delete_artifact(api, digest("one"), somebody()).await.unwrap();
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert_eq!(catalog.charts_of(api).await.unwrap()[0].provenance, None);
    assert_eq!(catalog.unlink_blob(api, signed, somebody()).await.unwrap(), Deleted::Done);
}

async fn provenance_beside_a_manifest_gives_its_place_to_another(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    for text in ["signed", "signed by another", "signed by a third"] {
        push_blob(catalog, api, text).await;
    }
    let over = |known: &str, new: &str| {
        let over = Some(digest(known));
        Arc::new(LateProvenance {
            over,
            ..late(api, "one", new).as_ref().clone()
        })
    };
    // There is none whose place it could take.
    let refused = (ErrorKind::Conflict, What::Tag);
    assert_eq!(refusal(catalog.keep_provenance(over("signed", "signed by another")).await), refused);
    catalog.keep_provenance(late(api, "one", "signed")).await.unwrap();
    let before = (generation(catalog, "acme").await, events_after(catalog, 0).await.len());
    catalog.keep_provenance(over("signed", "signed by another")).await.unwrap();
    assert!(generation(catalog, "acme").await > before.0);
    assert_eq!(
        catalog.charts_of(api).await.unwrap()[0].provenance,
        Some(digest("signed by another"))
    );
    let event = catalog.events(0, 10_000).await.unwrap().pop().unwrap();
    assert_eq!(event.kind, "chart.vouched");
    assert!(event.body.contains(&format!("\"was\":\"{}\"", digest("signed"))), "{}", event.body);
    // Who looked at the one of before comes too late.
    assert_eq!(refusal(catalog.keep_provenance(over("signed", "signed by a third")).await), refused);
    // Only what stands there now is held alive.
    assert_eq!(catalog.unlink_blob(api, digest("signed"), somebody()).await.unwrap(), Deleted::Done);
    assert_eq!(
        catalog.unlink_blob(api, digest("signed by another"), somebody()).await.unwrap(),
        Deleted::InUse(vec![digest("one")])
    );
}

async fn provenance_is_kept_for_the_chart_that_it_was_meant_for_alone(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    for text in ["signed", "signed by another"] {
        push_blob(catalog, api, text).await;
    }
    let over = |content: &str| NewManifest {
        over: Over::Unreferred {
            manifest: digest("one"),
            provenance: None,
        },
        ..chart(api, content, "1.0.0", "archive").tagged(&["1.0.0"]).vouched("signed")
    };
    // Another manifest took its place meanwhile, or it was deleted: by neither way does it come back.
    push(catalog, chart(api, "two", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    let refused = (ErrorKind::Conflict, What::Tag);
    assert_eq!(refusal(catalog.keep_provenance(late(api, "one", "signed")).await), refused);
    assert_eq!(refusal(catalog.put_manifest(over("three")).await), refused);
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("two")));
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    assert!(catalog.delete_tag(api, tag("1.0.0"), somebody()).await.unwrap());
    assert_eq!(refusal(catalog.keep_provenance(late(api, "one", "signed")).await), refused);
    assert_eq!(refusal(catalog.put_manifest(over("three")).await), refused);
    assert_eq!(files(catalog, "acme").await, [""; 0]);
    // And where one is, no other takes its place.
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    catalog.keep_provenance(late(api, "one", "signed")).await.unwrap();
    let second = catalog.keep_provenance(late(api, "one", "signed by another")).await;
    assert_eq!(refusal(second), refused);
    assert_eq!(refusal(catalog.put_manifest(over("three")).await), refused);
}

async fn a_manifest_that_something_refers_to_is_not_replaced_to_add_provenance(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let over = |content: &str| NewManifest {
        over: Over::Unreferred {
            manifest: digest("one"),
            provenance: None,
        },
        ..chart(api, content, "1.0.0", "archive").tagged(&["1.0.0"]).vouched("signed")
    };
    let one = push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    for holder in [
        manifest(api, "signature").about(one, "application/vnd.example.signature"),
        manifest(api, "index").naming(one, EdgeRole::Child),
    ] {
        let holder = push(catalog, holder).await;
        let refused = catalog.put_manifest(over("two")).await;
        assert_eq!(refusal(refused), (ErrorKind::Conflict, What::Reference));
        assert_eq!(target(catalog, api, "1.0.0").await, Some(one));
        catalog.delete_artifact(api, holder, somebody()).await.unwrap();
    }
    push(catalog, over("two")).await;
    assert_eq!(target(catalog, api, "1.0.0").await, Some(digest("two")));
    assert!(is_live(catalog, api, one).await);
}

/// What is not listed under `acme`, as repository, tags and why.
async fn told(catalog: &Catalog, visible: Visible) -> Vec<(String, Vec<String>, WhyUnlisted)> {
    let found = catalog.unlisted_under(prefix("acme"), visible, None, 100).await.unwrap();
    let row = |found: UnlistedChart| (found.repository.to_string(), found.tags, found.why);
    found.into_iter().map(row).collect()
}

async fn what_is_not_listed_is_told_with_its_reason(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "good", "1.0.0", "one").tagged(&["1.0.0", "stable"])).await;
    push(catalog, manifest(api, "image").tagged(&["image"])).await;
    assert_eq!(told(catalog, everything()).await, []);
    let cases = [
        (
            unlisted(api, "none", "the archive is broken").tagged(&["2.0.0", "broken"]),
            vec!["2.0.0", "broken"],
            WhyUnlisted::Disagrees("the archive is broken".into()),
        ),
        (
            unlisted(api, "nameless", "it has no name"),
            vec![],
            WhyUnlisted::Disagrees("it has no name".into()),
        ),
        (
            chart(api, "latest", "3.0.0+a", "three").tagged(&["latest"]),
            vec!["latest"],
            WhyUnlisted::Untagged {
                version: "3.0.0+a".into(),
                tag: "3.0.0_a".into(),
            },
        ),
        (
            chart(api, "bad", "4.0.0", "four").tagged(&["4.0.0"]),
            vec!["4.0.0"],
            WhyUnlisted::Yanked {
                version: "4.0.0".into(),
                reason: "it loses data".into(),
            },
        ),
    ];
    let mut expected = Vec::new();
    for (new, tags, why) in cases {
        let tags: Vec<String> = tags.into_iter().map(ToOwned::to_owned).collect();
        expected.push((new.digest.to_string(), ("acme/api".to_owned(), tags, why)));
        push(catalog, new).await;
    }
    yank(catalog, api, "4.0.0", "it loses data").await.unwrap();
    expected.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let expected: Vec<_> = expected.into_iter().map(|(_, row)| row).collect();
    assert_eq!(told(catalog, everything()).await, expected);
    // What becomes right is told of no more: pushed anew, tagged, unyanked or deleted.
    push(catalog, chart(api, "latest", "3.0.0+a", "three").tagged(&["3.0.0_a"])).await;
    unyank(catalog, api, "4.0.0").await.unwrap();
    for content in ["none", "nameless"] {
        catalog.delete_artifact(api, digest(content), somebody()).await.unwrap();
    }
    assert_eq!(told(catalog, everything()).await, []);
    // A manifest whose place another one took is not missing from anywhere.
    push(catalog, chart(api, "again", "1.0.0", "one").tagged(&["1.0.0", "stable"])).await;
    assert_eq!(told(catalog, everything()).await, []);
}

async fn what_is_not_listed_comes_in_pages_of_what_may_be_seen(database: &TestDatabase) {
    let catalog = &database.catalog;
    let names = ["acme/a", "acme/a_b", "acme/b", "acme/z"];
    let mut expected = Vec::new();
    for name in names {
        let here = repository(catalog, name).await;
        for number in 0..3 {
            let new = unlisted(here, &format!("{name} {number}"), "it is none");
            expected.push((name.to_owned(), push(catalog, new).await.to_string()));
        }
        let (_, segment) = name.split_once('/').unwrap();
        let latest = named(here, &format!("{name} latest"), segment, "1.0.0", "archive").tagged(&["latest"]);
        expected.push((name.to_owned(), push(catalog, latest).await.to_string()));
    }
    expected.sort_unstable();
    // Elsewhere, and deeper.
    for name in ["acme/a/deep", "acme-2/a", "other/a", "acm/a"] {
        let here = repository(catalog, name).await;
        push(catalog, unlisted(here, "none", "it is none")).await;
    }
    for limit in [1, 3, 100] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.unlisted_under(prefix("acme"), everything(), after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(AfterUnlisted {
                repository: last.repository.to_string(),
                digest: last.digest.to_string(),
            });
            seen.extend(page.into_iter().map(|row| (row.repository.to_string(), row.digest.to_string())));
        }
        assert_eq!(seen, expected, "{limit}");
    }
    let deep = catalog.unlisted_under(prefix("acme/a"), everything(), None, 10).await.unwrap();
    assert_eq!(deep.len(), 1);
    let only = Visible {
        only: Some(vec![name("acme/b")]),
        ..everything()
    };
    assert!(told(catalog, only).await.iter().all(|row| row.0 == "acme/b"));
    assert_eq!(told(catalog, Visible::NOTHING).await, []);
}
