//! What charts say about themselves: the labels of their versions, and the images that they run.

use super::charts::chart;
use super::*;
use crate::label::Labels;
use crate::limits::Limits;

on_each_database!(
    a_version_has_the_labels_of_its_chart,
    labels_that_come_from_elsewhere_stay,
    images_are_told_in_their_order_as_the_chart_has_them,
    an_image_is_here_once_it_is_and_as_long_as_it_is,
    an_image_is_here_while_the_registry_has_the_name_that_the_chart_says,
    an_image_is_shown_to_who_may_read_it,
    an_image_that_a_chart_runs_can_be_deleted,
);

fn labels(of: &[(&str, &str)]) -> Labels {
    let mut made = Labels::default();
    for (key, value) in of {
        made.add(key, value, &Limits::default()).unwrap();
    }
    made
}

impl NewManifest {
    fn saying(mut self, labels: Labels, images: &[ChartImage]) -> Self {
        if let Some(NewChart::Listed(facts)) = &mut self.chart {
            facts.labels = labels;
            facts.images = images.to_vec();
        }
        self
    }
}

/// As what its users know the registry.
const HOST: &str = "registry.example";

#[expect(clippy::unnecessary_wraps, reason = "as the catalog takes it")]
fn host(name: &str) -> Option<Arc<str>> {
    Some(name.into())
}

/// An image of this registry, or of another one.
fn image(target: Option<&str>, tag: Option<&str>, digest: Option<Digest>) -> ChartImage {
    let registry = if target.is_some() { HOST } else { "docker.io" };
    ChartImage {
        name: "server".into(),
        image: "as written".into(),
        registry: Some(registry.into()),
        path: Some(target.unwrap_or("acme/server").into()),
        tag: tag.map(str::to_owned),
        digest,
    }
}

/// Leaves a chart that names an image.
pub(super) async fn fill(catalog: &Catalog, repository: RepositoryId) {
    let images = [image(Some("acme/api"), Some("1.0"), None)];
    let chart = chart(repository, "a chart with an image", "9.9.9", "its archive").tagged(&["9.9.9"]);
    push(catalog, chart.saying(labels(&[("artifacthub.io/license", "MIT")]), &images)).await;
}

async fn said(catalog: &Catalog, repository: RepositoryId, version: &str) -> Labels {
    catalog.tag_labels(repository, tag(version)).await.unwrap().unwrap()
}

/// What is here of the only image of the chart `one`.
async fn here(catalog: &Catalog, repository: RepositoryId, visible: Visible) -> Option<(String, Digest)> {
    let images = catalog.chart_images(repository, digest("one"), host(HOST), visible).await.unwrap();
    let [only] = images.as_slice() else { panic!("{images:?}") };
    only.here.as_ref().map(|(name, digest)| (name.to_string(), *digest))
}

async fn a_version_has_the_labels_of_its_chart(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let own = labels(&[("artifacthub.io/license", "MIT"), ("artifacthub.io/prerelease", "true")]);
    let one = || chart(api, "one", "1.0.0", "archive").saying(own.clone(), &[]);
    // Without its tag there is no version that could have them.
    push(catalog, one()).await;
    assert_eq!(
        (catalog.tag_labels(api, tag("1.0.0")).await.unwrap(), database.count("label")),
        (None, 0)
    );
    push(catalog, one().tagged(&["1.0.0", "stable"])).await;
    assert_eq!(said(catalog, api, "1.0.0").await, own);
    assert_eq!(said(catalog, api, "stable").await, Labels::default());
    let rows = "label WHERE version = '1.0.0' AND key = 'artifacthub.io/license' AND value = 'MIT'";
    assert_eq!((database.count(rows), database.count("label")), (1, 2));
    catalog.delete_artifact(api, digest("one"), somebody()).await.unwrap();
    assert_eq!(catalog.tag_labels(api, tag("1.0.0")).await.unwrap(), None);
    push(catalog, one().tagged(&["1.0.0"])).await;
    assert_eq!((said(catalog, api, "1.0.0").await, database.count("label")), (own, 2));
}

async fn labels_that_come_from_elsewhere_stay(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push(catalog, chart(api, "one", "1.0.0", "archive").tagged(&["1.0.0"])).await;
    database.execute(r#"UPDATE version SET labels = '{"artifacthub.io/license":"GPL","team":"blue"}'"#);
    let own = labels(&[("artifacthub.io/category", "security")]);
    // The same archive in another manifest.
    push(catalog, chart(api, "two", "1.0.0", "archive").saying(own, &[]).tagged(&["1.0.0"])).await;
    let expected = labels(&[("artifacthub.io/category", "security"), ("team", "blue")]);
    assert_eq!((said(catalog, api, "1.0.0").await, database.count("label")), (expected, 2));
}

async fn images_are_told_in_their_order_as_the_chart_has_them(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let unreadable = ChartImage {
        name: String::new(),
        image: "{{ .Values.image }}".into(),
        registry: None,
        path: None,
        tag: None,
        digest: None,
    };
    let images = [
        image(None, Some("1.0"), Some(digest("elsewhere"))),
        unreadable,
        image(Some("acme/server"), None, None),
    ];
    push(catalog, chart(api, "one", "1.0.0", "archive").saying(Labels::default(), &images)).await;
    push(
        catalog,
        chart(api, "two", "2.0.0", "archive").saying(Labels::default(), &images[..1]),
    )
    .await;
    let told = catalog.chart_images(api, digest("one"), host(HOST), everything()).await.unwrap();
    assert_eq!(told.iter().map(|view| view.image.clone()).collect::<Vec<_>>(), images);
    assert!(told.iter().all(|view| view.here.is_none()));
    assert_eq!(
        catalog.chart_images(api, digest("none"), host(HOST), everything()).await.unwrap(),
        []
    );
    // A chart that is in the trash and comes back says it once.
    catalog.delete_artifact(api, digest("one"), somebody()).await.unwrap();
    push(catalog, chart(api, "one", "1.0.0", "archive").saying(Labels::default(), &images)).await;
    assert_eq!(database.count("chart_image"), 4);
}

async fn an_image_is_here_once_it_is_and_as_long_as_it_is(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, server) = (repository(catalog, "acme/api").await, repository(catalog, "acme/server").await);
    let says = async |image: ChartImage| {
        database.execute("DELETE FROM chart; DELETE FROM chart_image");
        push(catalog, chart(api, "one", "1.0.0", "archive").saying(Labels::default(), &[image])).await;
        here(catalog, api, everything()).await
    };
    let found = |at: &str, content: &str| Some((at.to_owned(), digest(content)));
    // The image comes after the chart, and its tag moves.
    assert_eq!(says(image(Some("acme/server"), Some("1.0"), None)).await, None);
    push(catalog, manifest(server, "first").tagged(&["1.0", "latest"])).await;
    assert_eq!(here(catalog, api, everything()).await, found("acme/server", "first"));
    push(catalog, manifest(server, "second").tagged(&["1.0"])).await;
    assert_eq!(here(catalog, api, everything()).await, found("acme/server", "second"));
    assert!(catalog.delete_tag(server, tag("1.0"), somebody()).await.unwrap());
    assert_eq!(here(catalog, api, everything()).await, None);
    // Without a tag the latest is meant, and a digest counts more than a tag.
    assert_eq!(says(image(Some("acme/server"), None, None)).await, found("acme/server", "first"));
    let both = image(Some("acme/server"), Some("latest"), Some(digest("second")));
    assert_eq!(says(both).await, found("acme/server", "second"));
    // What is of another registry is not looked for, even where it is the same.
    assert_eq!(says(image(None, Some("latest"), None)).await, None);
    assert_eq!(says(image(None, Some("9"), Some(digest("second")))).await, None);
    assert_eq!(
        says(image(Some("acme/server"), Some("9"), Some(digest("second")))).await,
        found("acme/server", "second")
    );
    catalog.delete_artifact(server, digest("second"), somebody()).await.unwrap();
    assert_eq!(here(catalog, api, everything()).await, None);
}

async fn an_image_is_here_while_the_registry_has_the_name_that_the_chart_says(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, server) = (repository(catalog, "acme/api").await, repository(catalog, "acme/server").await);
    push(catalog, manifest(server, "image").tagged(&["1.0"])).await;
    let named = image(Some("acme/server"), Some("1.0"), None);
    push(catalog, chart(api, "one", "1.0.0", "archive").saying(Labels::default(), &[named])).await;
    let found = Some(("acme/server".parse().unwrap(), digest("image")));
    for (known_as, expected) in [
        (host(HOST), found.clone()),
        (host("Registry.Example"), found.clone()),
        (host("other.example"), None),
        (host("registry.example:5000"), None),
        (None, None),
        (host(HOST), found),
    ] {
        let images = catalog
            .chart_images(api, digest("one"), known_as.clone(), everything())
            .await
            .unwrap();
        assert_eq!(images[0].here, expected, "{known_as:?}");
    }
}

async fn an_image_is_shown_to_who_may_read_it(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, server) = (repository(catalog, "acme/api").await, repository(catalog, "secret/server").await);
    push(catalog, manifest(server, "image").tagged(&["1.0"])).await;
    let only = |at: &str| Visible {
        only: Some(vec![name(at)]),
        ..everything()
    };
    for image in [
        image(Some("secret/server"), Some("1.0"), None),
        image(Some("secret/server"), None, Some(digest("image"))),
    ] {
        database.execute("DELETE FROM chart; DELETE FROM chart_image");
        push(catalog, chart(api, "one", "1.0.0", "archive").saying(Labels::default(), &[image])).await;
        let found = Some(("secret/server".to_owned(), digest("image")));
        assert_eq!(here(catalog, api, everything()).await, found);
        assert_eq!(here(catalog, api, only("secret/server")).await, found);
        assert_eq!(here(catalog, api, only("acme/api")).await, None);
        assert_eq!(here(catalog, api, Visible::NOTHING).await, None);
    }
}

async fn an_image_that_a_chart_runs_can_be_deleted(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, server) = (repository(catalog, "acme/api").await, repository(catalog, "acme/server").await);
    push(catalog, manifest(server, "image").tagged(&["1.0"])).await;
    let named = image(Some("acme/server"), Some("1.0"), Some(digest("image")));
    push(catalog, chart(api, "one", "1.0.0", "archive").saying(Labels::default(), &[named])).await;
    let deleted = catalog.delete_artifact(server, digest("image"), somebody()).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    assert_eq!(here(catalog, api, everything()).await, None);
}
