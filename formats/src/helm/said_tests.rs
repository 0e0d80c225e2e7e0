//! What charts say about themselves, by both roads in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{config, get, post, push, refusal};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::{Door, World};
use crate::oci::specimen_tests::{blob, manifest, small_image};
use bytes::Bytes;
use granary_storage::Digest;
use granary_storage::access::Visible;
use serde_json::{Value, json};

stories! {
    a_chart_says_the_same_by_both_roads
    an_annotation_that_cannot_be_read_stops_no_chart
    what_a_chart_runs_is_told_where_it_is_here
    what_a_chart_runs_is_here_under_the_name_that_the_registry_has_now
    what_a_chart_runs_is_told_to_who_may_read_it
    an_entry_of_the_index_has_no_field_that_helm_does_not_know
}

const SAYING: &str = "annotations:
  artifacthub.io/license: Apache-2.0
  artifacthub.io/containsSecurityUpdates: 'true'
  artifacthub.io/images: |
    - name: web
      image: registry.example:5000/acme/web:1.4
    - name: sidecar
      image: bitnami/redis:7
  artifacthub.io/links: |
    - name: support
      url: https://example.com/support
";

/// Puts an image in place, and gives its digest.
async fn image(world: &World, repository: &str, tag: &str) -> String {
    let content = small_image(tag);
    let door = world.open();
    for bytes in ["{}", tag] {
        door.ask(&blob(repository, Bytes::from(bytes.to_owned()))).await.expect(201);
    }
    let stored = door.ask(&manifest(repository, tag, &content)).await.expect(201);
    stored.header("docker-content-digest").unwrap().to_owned()
}

async fn said(world: &World, prefix: &str, what: &str) -> Value {
    said_at(&world.known_as("registry.example:5000"), prefix, what).await
}

async fn said_at(door: &Door, prefix: &str, what: &str) -> Value {
    let target = format!("/helm/{prefix}/api/charts/web/1.2.3+b.1/{what}");
    let answer = door.ask(&Request::get(target)).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    answer.json()[what].clone()
}

async fn a_chart_says_the_same_by_both_roads(world: World) {
    let archive = Packed::chart("web", "1.2.3+b.1", SAYING);
    let door = world.known_as("registry.example:5000");
    door.ask(&post("http", &archive)).await.expect(201);
    push(&world, "oci/web", "1.2.3_b.1", &archive, &config("web", "1.2.3+b.1"))
        .await
        .expect(201);
    for prefix in ["http", "oci"] {
        let labels = said(&world, prefix, "labels").await;
        let expected = json!({
            "artifacthub.io/containssecurityupdates": "true",
            "artifacthub.io/images": "2",
            "artifacthub.io/license": "Apache-2.0",
            "artifacthub.io/links/support": "https://example.com/support",
        });
        assert_eq!(labels, expected, "{prefix}");
        let images = said(&world, prefix, "images").await;
        let expected = json!([
            {
                "name": "web", "image": "registry.example:5000/acme/web:1.4", "registry": "registry.example:5000",
                "repository": "acme/web", "tag": "1.4", "digest": null, "target": null,
            },
            {
                "name": "sidecar", "image": "bitnami/redis:7", "registry": "docker.io",
                "repository": "bitnami/redis", "tag": "7", "digest": null, "target": null,
            },
        ]);
        assert_eq!(images, expected, "{prefix}");
        for what in ["images", "labels"] {
            let latest = get(&world, &format!("/helm/{prefix}/api/charts/web/latest/{what}"))
                .await
                .expect(200);
            assert_eq!(latest.json()["version"], "1.2.3+b.1");
            let before = get(&world, &format!("/api/helm/{prefix}/charts/web/latest/{what}")).await;
            assert_eq!(before.expect(200).json(), latest.json());
        }
    }
    for nowhere in ["web/1.2.4/images", "web/1.2.3_b.1/labels", "api/1.0.0/images", "api/latest/labels"] {
        refusal(get(&world, &format!("/helm/http/api/charts/{nowhere}")).await, 404);
    }
}

async fn an_annotation_that_cannot_be_read_stops_no_chart(world: World) {
    let archive = Packed::chart(
        "web",
        "1.2.3+b.1",
        "annotations:\n  artifacthub.io/images: '- image: ['\n  artifacthub.io/license: MIT\n",
    );
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let labels = said(&world, "acme", "labels").await;
    assert_eq!(labels["artifacthub.io/license"], "MIT");
    let why = labels["artifacthub.io/unread/images"].as_str().unwrap();
    assert!(why.starts_with("the annotation artifacthub.io/images is not valid YAML"), "{why}");
    assert_eq!(said(&world, "acme", "images").await, json!([]));
    // In the index it stands as it came.
    let entry = get(&world, "/helm/acme/api/charts/web/latest").await.expect(200).json();
    assert_eq!(entry["annotations"]["artifacthub.io/images"], "- image: [");
}

async fn what_a_chart_runs_is_told_where_it_is_here(world: World) {
    let archive = Packed::chart("web", "1.2.3+b.1", SAYING);
    world.open().ask(&post("charts", &archive)).await.expect(201);
    // The image comes later.
    let digest = image(&world, "acme/web", "1.4").await;
    let images = said(&world, "charts", "images").await;
    assert_eq!(images[0]["target"], json!({"repository": "acme/web", "digest": digest}));
    assert_eq!(images[1]["target"], Value::Null);
    // It holds nothing alive.
    world
        .open()
        .ask(&Request::delete(format!("/v2/acme/web/manifests/{digest}")))
        .await
        .expect(202);
    assert_eq!(said(&world, "charts", "images").await[0]["target"], Value::Null);
    // By a digest, too, where it is named to be.
    let digest = image(&world, "mirror/web", "other").await;
    let by_digest = format!(
        "annotations:\n  artifacthub.io/images: |\n    - image: registry.example:5000/mirror/web@{digest}\n    - image: ghcr.io/mirror/web@{digest}\n"
    );
    let archive = Packed::chart("web", "1.2.3+b.1", &by_digest);
    world.open().ask(&post("digest", &archive)).await.expect(201);
    let images = said(&world, "digest", "images").await;
    assert_eq!(images[0]["target"], json!({"repository": "mirror/web", "digest": digest}));
    assert_eq!(images[1]["target"], Value::Null);
}

async fn what_a_chart_runs_is_here_under_the_name_that_the_registry_has_now(world: World) {
    let archive = Packed::chart("web", "1.2.3+b.1", SAYING);
    // It was uploaded while nobody had given the registry a name, and while it had another one.
    world.open().ask(&post("one", &archive)).await.expect(201);
    world.known_as("old.example").ask(&post("two", &archive)).await.expect(201);
    let digest = image(&world, "acme/web", "1.4").await;
    let found = json!({"repository": "acme/web", "digest": digest});
    for prefix in ["one", "two"] {
        for (door, expected) in [
            (world.open(), &Value::Null),
            (world.known_as("registry.example:5000"), &found),
            (world.known_as("old.example"), &Value::Null),
        ] {
            assert_eq!(said_at(&door, prefix, "images").await[0]["target"], *expected, "{prefix}");
        }
    }
}

async fn what_a_chart_runs_is_told_to_who_may_read_it(world: World) {
    let digest = image(&world, "secret/web", "1.4").await;
    let absent = Digest::sha256(b"absent");
    let saying = format!(
        "annotations:\n  artifacthub.io/images: |\n    - image: registry.example:5000/secret/web:1.4\n    - image: registry.example:5000/secret/web@{digest}\n    - image: registry.example:5000/secret/web@{absent}\n"
    );
    let archive = Packed::chart("web", "1.0.0", &saying);
    world
        .known_as("registry.example:5000")
        .ask(&post("acme", &archive))
        .await
        .expect(201);
    let targets = async |only: &str| {
        let door = world.behind(FakeGate::showing(Visible {
            projects: None,
            public: true,
            only: Some(vec![only.parse().unwrap()]),
        }));
        let door = door.known_as("registry.example:5000");
        let answer = door.ask(&Request::get("/helm/acme/api/charts/web/1.0.0/images")).await.expect(200);
        let images = answer.json()["images"].as_array().unwrap().clone();
        images.into_iter().map(|image| image["target"].clone()).collect::<Vec<_>>()
    };
    // To who may not read it, what is here is as absent as what is nowhere.
    assert_eq!(targets("acme/web").await, [Value::Null, Value::Null, Value::Null]);
    let found = json!({"repository": "secret/web", "digest": digest});
    assert_eq!(targets("secret/web").await, [found.clone(), found, Value::Null]);
}

async fn an_entry_of_the_index_has_no_field_that_helm_does_not_know(world: World) {
    let door = world.known_as("registry.example:5000");
    door.ask(&post("acme", &Packed::chart("web", "1.2.3", SAYING))).await.expect(201);
    let index = door.ask(&Request::get("/helm/acme/index.yaml")).await.expect(200).json();
    let entry = index["entries"]["web"][0].as_object().unwrap();
    let fields: Vec<_> = entry.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        ["annotations", "apiVersion", "created", "digest", "name", "urls", "version"]
    );
}
