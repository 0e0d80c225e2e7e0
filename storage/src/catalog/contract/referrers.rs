//! Artifacts that are about another artifact.

use super::*;

on_each_database!(
    referrers_are_listed_by_digest_in_pages,
    a_page_of_referrers_has_no_more_bytes_than_is_asked_but_always_one,
    referrers_are_filtered_by_their_type,
    a_referrer_is_listed_where_it_lives_and_while_it_lives,
);

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom";

async fn list(catalog: &Catalog, repository: RepositoryId, subject: Digest, artifact_type: Option<&str>) -> Vec<Referrer> {
    let all = catalog.referrers(repository, subject, artifact_type.map(str::to_owned), None, 100, u64::MAX);
    all.await.unwrap().list.clone()
}

async fn referrers_are_listed_by_digest_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    // The subject need not be there.
    let subject = digest("subject");
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(push(catalog, manifest(api, &format!("signature {number}")).about(subject, SIGNATURE)).await);
    }
    push(catalog, manifest(api, "about another").about(digest("another"), SIGNATURE)).await;
    expected.sort_by_key(ToString::to_string);

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.referrers(api, subject, None, after, 3, u64::MAX).await.unwrap();
        let Some(last) = page.list.last() else { break };
        assert!(page.list.len() <= 3);
        after = Some(last.digest);
        seen.extend(page.list.iter().cloned());
    }
    let digests: Vec<Digest> = seen.iter().map(|referrer| referrer.digest).collect();
    assert_eq!(digests, expected);
    for referrer in seen {
        assert_eq!(referrer.artifact_type.as_deref(), Some(SIGNATURE));
        assert_eq!(referrer.descriptor, format!(r#"{{"digest":"{}"}}"#, referrer.digest));
    }
}

async fn a_page_of_referrers_has_no_more_bytes_than_is_asked_but_always_one(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let subject = digest("subject");
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(push(catalog, manifest(api, &format!("signature {number}")).about(subject, SIGNATURE)).await);
    }
    expected.sort_by_key(ToString::to_string);
    let size = format!(r#"{{"digest":"{}"}}"#, expected[0]).len() as u64;
    for (max_bytes, of_a_page) in [(0, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (5 * size, 5)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.referrers(api, subject, None, after, 100, max_bytes).await.unwrap();
            let left = expected.len() - seen.len();
            assert_eq!((page.list.len(), page.more), (of_a_page.min(left), left > of_a_page), "{max_bytes}");
            after = page.list.last().map(|last| last.digest);
            seen.extend(page.list.iter().map(|referrer| referrer.digest));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, expected);
    }
}

async fn referrers_are_filtered_by_their_type(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let subject = push(catalog, manifest(api, "subject")).await;
    let signature = push(catalog, manifest(api, "signature").about(subject, SIGNATURE)).await;
    let sbom = push(catalog, manifest(api, "sbom").about(subject, SBOM)).await;
    let mut untyped = manifest(api, "untyped").about(subject, "");
    untyped.artifact_type = None;
    push(catalog, untyped).await;

    assert_eq!(list(catalog, api, subject, None).await.len(), 3);
    let signatures = list(catalog, api, subject, Some(SIGNATURE)).await;
    assert_eq!(signatures.iter().map(|found| found.digest).collect::<Vec<_>>(), [signature]);
    let sboms = list(catalog, api, subject, Some(SBOM)).await;
    assert_eq!(sboms.iter().map(|found| found.digest).collect::<Vec<_>>(), [sbom]);
    assert_eq!(list(catalog, api, subject, Some("application/vnd.example")).await, []);
    let behind = catalog
        .referrers(api, subject, Some(SBOM.into()), Some(sbom), 100, u64::MAX)
        .await
        .unwrap();
    assert_eq!(behind.list, [], "filter and page together");
}

async fn a_referrer_is_listed_where_it_lives_and_while_it_lives(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let subject = push(catalog, manifest(api, "subject")).await;
    let signature = push(catalog, manifest(api, "signature").about(subject, SIGNATURE)).await;
    assert_eq!(list(catalog, web, subject, None).await, []);

    catalog.delete_artifact(api, subject, somebody()).await.unwrap();
    assert_eq!(list(catalog, api, subject, None).await.len(), 1, "it outlives its subject");
    catalog.delete_artifact(api, signature, somebody()).await.unwrap();
    assert_eq!(list(catalog, api, subject, None).await, []);
    push(catalog, manifest(api, "signature").about(subject, SIGNATURE)).await;
    assert_eq!(list(catalog, api, subject, None).await.len(), 1, "pushed again, listed again");
}
