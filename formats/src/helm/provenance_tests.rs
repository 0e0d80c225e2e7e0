//! Provenance that a push brings, and provenance that comes after a chart that was not made here, or that is referred to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{config, form, get, listed, post, provenance, push, refusal};
use super::{CONFIG, CONTENT, PROVENANCE};
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use crate::oci::specimen_tests::{blob, described, manifest, small_image};
use bytes::Bytes;
use serde_json::json;

stories! {
    provenance_that_is_pushed_over_oci_is_held_against_its_chart
    late_provenance_leaves_the_manifest_of_a_push_where_it_is
    late_provenance_leaves_a_manifest_that_something_refers_to
}

/// A push of a signed chart as helm does it.
async fn push_signed(world: &World, tag: &str, archive: &Bytes, signed: &str) -> Answer {
    let door = world.open();
    let config = config("web", tag).to_string();
    for bytes in [archive.clone(), config.clone().into(), signed.to_owned().into()] {
        door.ask(&blob("acme/web", bytes)).await.expect(201);
    }
    let mut content = small_image("chart");
    content["config"] = described(CONFIG, config.as_bytes());
    content["layers"] = json!([described(CONTENT, archive), described(PROVENANCE, signed.as_bytes())]);
    door.ask(&manifest("acme/web", tag, &content)).await
}

async fn provenance_that_is_pushed_over_oci_is_held_against_its_chart(world: World) {
    let (archive, other) = (
        Packed::chart("web", "1.0.0", ""),
        Packed::chart("web", "1.0.0", "description: other\n"),
    );
    for (signed, why) in [
        (provenance(&other), "of another chart"),
        ("no message".to_owned(), "no clear-signed message"),
        ("x".repeat(1_048_577), "its provenance is larger than 1048576 bytes"),
    ] {
        let pushed = push_signed(&world, "1.0.0", &archive, &signed).await.expect(201);
        let warning = pushed.header("warning").unwrap();
        assert!(warning.contains(why), "{warning}");
        assert_eq!(listed(&world, "acme").await, [""; 0]);
        refusal(get(&world, "/helm/acme/charts/web-1.0.0.tgz.prov").await, 404);
    }
    let signed = provenance(&archive);
    let pushed = push_signed(&world, "1.0.0", &archive, &signed).await.expect(201);
    assert_eq!(pushed.header("warning"), None);
    assert_eq!(listed(&world, "acme").await, ["web 1.0.0"]);
    let file = get(&world, "/helm/acme/charts/web-1.0.0.tgz.prov").await.expect(200);
    assert_eq!(file.body, signed.as_bytes());
}

async fn late_provenance_leaves_the_manifest_of_a_push_where_it_is(world: World) {
    let door = world.open();
    for (version, with_chart) in [("1.0.0", false), ("2.0.0", true)] {
        let archive = Packed::chart("web", version, "");
        let signed = provenance(&archive);
        let pushed = push(&world, "acme/web", version, &archive, &config("web", version))
            .await
            .expect(201)
            .digest();
        let request = match with_chart {
            true => form("acme", &[("chart", &archive), ("prov", signed.as_bytes())]),
            false => Request::post("/helm/acme/api/prov").body(signed.clone()),
        };
        let answer = door.ask(&request).await.expect(201);
        let warning = answer.header("warning").unwrap();
        assert!(
            warning.contains("not over oci") && warning.contains("it was not made here"),
            "{warning}"
        );
        let tag = get(&world, &format!("/v2/acme/web/manifests/{version}")).await.expect(200);
        assert_eq!(tag.digest(), pushed);
        let file = get(&world, &format!("/helm/acme/charts/web-{version}.tgz.prov")).await.expect(200);
        assert_eq!(file.body, signed.as_bytes());
        // Again by any road, and nothing is new.
        let before = world.snapshot().await;
        door.ask(&request).await.expect(201);
        assert_eq!(world.snapshot().await, before);
        let resigned = signed.replace("\nsigned\n", "\nsigned again\n");
        refusal(door.ask(&Request::post("/helm/acme/api/prov").body(resigned)).await, 409);
    }
}

async fn late_provenance_leaves_a_manifest_that_something_refers_to(world: World) {
    let (archive, door) = (Packed::chart("web", "1.0.0", ""), world.open());
    door.ask(&post("acme", &archive)).await.expect(201);
    let chart = get(&world, "/v2/acme/web/manifests/1.0.0").await.expect(200);
    let mut signature = small_image("signature");
    signature["subject"] = described("application/vnd.oci.image.manifest.v1+json", &chart.body);
    door.ask(&blob("acme/web", "{}")).await.expect(201);
    door.ask(&manifest("acme/web", "signature", &signature)).await.expect(201);
    let signed = provenance(&archive);
    let answer = door
        .ask(&Request::post("/helm/acme/api/prov").body(signed.clone()))
        .await
        .expect(201);
    let warning = answer.header("warning").unwrap();
    assert!(warning.contains("something refers to it"), "{warning}");
    // Who checks the signature of what the tag is finds it.
    assert_eq!(
        get(&world, "/v2/acme/web/manifests/1.0.0").await.expect(200).digest(),
        chart.digest()
    );
    let file = get(&world, "/helm/acme/charts/web-1.0.0.tgz.prov").await.expect(200);
    assert_eq!(file.body, signed.as_bytes());
    let referrers = get(&world, &format!("/v2/acme/web/referrers/{}", chart.digest()))
        .await
        .expect(200)
        .json();
    assert_eq!(referrers["manifests"].as_array().unwrap().len(), 1);
}
