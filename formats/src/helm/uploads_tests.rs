//! One chart, two protocols: whatever the road in, both roads out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{config, form, form_to, get, listed, post, provenance, push, refusal};
use super::{CONFIG, CONTENT};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use crate::oci::specimen_tests::{blob, codes, described, manifest, small_image};
use bytes::Bytes;
use granary_storage::{Digest, ErrorKind, What};
use serde_json::json;

stories! {
    what_is_uploaded_over_http_can_be_pulled_over_oci
    what_is_pushed_over_oci_is_listed_over_http
    a_pushed_chart_that_does_not_hold_together_is_kept_and_not_listed
    the_same_chart_again_changes_nothing_and_another_one_is_refused
    provenance_comes_with_the_chart_or_later
    provenance_may_come_by_itself_for_a_chart_that_is_here
    who_may_not_add_to_the_chart_that_a_provenance_names_adds_nothing
    not_even_force_changes_a_version
    a_bad_chart_is_refused_with_its_fault_and_leaves_nothing
    who_may_not_add_to_the_repository_that_the_chart_names_adds_nothing
    a_chart_never_takes_the_place_of_an_image_nor_an_image_that_of_a_chart
}

async fn what_is_uploaded_over_http_can_be_pulled_over_oci(world: World) {
    let archive = Packed::chart("web", "1.2.3+build.5", "description: A chart\nannotations: {a: 1}\n");
    let answer = world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(answer.json(), json!({"saved": true}));
    let manifest = get(&world, "/v2/acme/web/manifests/1.2.3_build.5").await.expect(200).json();
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    assert_eq!(manifest["layers"], json!([described(CONTENT, &archive)]));
    assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "2023-11-14T22:13:20Z");
    let layer = Digest::sha256(&archive);
    assert_eq!(get(&world, &format!("/v2/acme/web/blobs/{layer}")).await.expect(200).body, archive);
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = get(&world, &format!("/v2/acme/web/blobs/{config}")).await.expect(200).json();
    assert_eq!((&config["name"], &config["version"]), (&json!("web"), &json!("1.2.3+build.5")));
    let index = get(&world, "/helm/acme/index.yaml").await.expect(200).json();
    let entry = &index["entries"]["web"][0];
    assert_eq!(entry["digest"].as_str(), Some(layer.hex().as_str()));
    assert_eq!(entry["urls"], json!(["charts/web-1.2.3+build.5.tgz"]));
    assert_eq!(entry["annotations"], json!({"a": "1"}));
    assert_eq!(index["serverInfo"]["contextPath"], "/helm/acme");
    for file in [
        "charts/web-1.2.3+build.5.tgz",
        "charts/web-1.2.3%2Bbuild.5.tgz",
        "web-1.2.3+build.5.tgz",
    ] {
        let answer = get(&world, &format!("/helm/acme/{file}")).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/gzip"));
        assert_eq!(answer.body, archive);
    }
}

async fn what_is_pushed_over_oci_is_listed_over_http(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let answer = push(&world, "acme/web", "1.2.3", &archive, &config("web", "1.2.3"))
        .await
        .expect(201);
    assert_eq!(answer.header("warning"), None);
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
    let file = get(&world, "/helm/acme/charts/web-1.2.3.tgz").await.expect(200);
    assert_eq!(file.body, archive);
    // The same by the other road is no news.
    let before = world.snapshot().await;
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(world.snapshot().await, before);
}

async fn a_pushed_chart_that_does_not_hold_together_is_kept_and_not_listed(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let broken = Bytes::from_static(b"no archive");
    let cases = [
        ("acme/other", "1.2.3", &archive, config("web", "1.2.3"), "called web"),
        ("acme/web", "1.2.3", &archive, config("web", "1.2.4"), "that of another chart"),
        ("acme/web", "latest", &archive, config("web", "1.2.3"), "whose tag is 1.2.3"),
        ("acme/web", "1.0.0", &broken, config("web", "1.0.0"), "no gzip archive"),
        ("acme/web", "2.0.0", &archive, json!([1]), "not the JSON of a chart"),
    ];
    for (repository, tag, archive, config, why) in cases {
        let answer = push(&world, repository, tag, archive, &config).await.expect(201);
        let warning = answer.header("warning").unwrap();
        assert!(warning.contains(why), "{warning}");
        let kept = get(&world, &format!("/v2/{repository}/manifests/{tag}")).await.expect(200);
        let id = world
            .stores
            .catalog
            .repository(repository.parse().unwrap())
            .await
            .unwrap()
            .unwrap()
            .id;
        let reason = world.stores.catalog.chart_unlisted(id, kept.digest()).await.unwrap();
        assert_eq!(reason.is_some(), tag != "latest", "{reason:?}");
    }
    assert_eq!(listed(&world, "acme").await, [""; 0]);
}

async fn the_same_chart_again_changes_nothing_and_another_one_is_refused(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let other = Packed::chart("web", "1.2.3", "description: changed\n");
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let before = world.snapshot().await;
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert!(refusal(world.open().ask(&post("acme", &other)).await, 409).contains("a version never changes"));
    let put = Request::put("/helm/acme/charts/web-1.2.3.tgz").body(other.clone());
    refusal(world.open().ask(&put).await, 409);
    assert_eq!(world.snapshot().await, before);
    // Nor over OCI.
    let pushed = push(&world, "acme/web", "1.2.3", &other, &config("web", "1.2.3")).await.expect(409);
    assert_eq!(codes(&pushed), ["DENIED"]);
    // Helm writes the time of its file into the manifest: the same archive in another one is the same chart.
    push(&world, "acme/web", "1.2.3", &archive, &config("web", "1.2.3"))
        .await
        .expect(201);
    assert_eq!(get(&world, "/helm/acme/charts/web-1.2.3.tgz").await.expect(200).body, archive);
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
}

async fn provenance_comes_with_the_chart_or_later(world: World) {
    let (archive, other) = (Packed::chart("web", "1.2.3", ""), Packed::chart("web", "2.0.0", ""));
    let signed = provenance(&archive);
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let file = "/helm/acme/charts/web-1.2.3.tgz.prov";
    refusal(get(&world, file).await, 404);
    let with = |text: &str| form("acme", &[("prov", text.as_bytes()), ("chart", &archive)]);
    assert!(refusal(world.open().ask(&with("no message")).await, 400).contains("no clear-signed message"));
    assert!(refusal(world.open().ask(&with(&provenance(&other))).await, 400).contains("of another chart"));
    refusal(get(&world, file).await, 404);
    world.open().ask(&with(&signed)).await.expect(201);
    assert_eq!(get(&world, file).await.expect(200).body, signed.as_bytes());
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
    // The chart alone is no other chart; another signature is.
    let before = world.snapshot().await;
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(world.snapshot().await, before);
    let resigned = signed.replace("\nsigned\n", "\nsigned again\n");
    assert!(refusal(world.open().ask(&with(&resigned)).await, 409).contains("another provenance"));
}

async fn provenance_may_come_by_itself_for_a_chart_that_is_here(world: World) {
    let archive = Packed::chart("web", "1.2.3+build.5", "");
    let signed = provenance(&archive);
    let door = world.open();
    let raw = |text: &str| Request::post("/helm/acme/api/prov").body(text.to_owned());
    let put = |file: &str, text: &str| Request::put(format!("/helm/acme/{file}.tgz.prov")).body(text.to_owned());
    assert!(refusal(door.ask(&raw(&signed)).await, 404).contains("upload the chart first"));
    door.ask(&post("acme", &archive)).await.expect(201);
    let plain = get(&world, "/v2/acme/web/manifests/1.2.3_build.5").await.expect(200);
    let before = world.snapshot().await;
    let other = provenance(&Packed::chart("web", "1.2.3+build.5", "description: other\n"));
    for (request, status, why) in [
        (raw(""), 400, "no clear-signed message"),
        (raw("no message"), 400, "no clear-signed message"),
        (raw(&other), 400, "that of another chart"),
        (raw(&signed.replace("version: 1.2.3+build.5", "version: 9.9.9")), 404, "is not here"),
        (
            raw(&signed.replace("version: 1.2.3+build.5", "version: 1.2.3_build.5")),
            400,
            "semantic version",
        ),
        (raw(&signed.replace("name: web", "name: ../web")), 400, "the chart's name"),
        (put("charts/web-9.9.9", &signed), 400, "its file is called web-1.2.3+build.5.tgz"),
        (raw(&signed).header("x-checksum-sha256", "00".repeat(32)), 422, "has the digest"),
        (
            form_to("/helm/acme/api/prov".into(), &[("chart", &archive)]),
            400,
            "no part called prov",
        ),
        (
            form_to(
                "/helm/acme/api/prov".into(),
                &[("prov", signed.as_bytes()), ("prov", signed.as_bytes())],
            ),
            400,
            "two provenances",
        ),
        (raw(&"x".repeat(1_048_577)), 413, "larger than the limit of 1048576 bytes"),
    ] {
        let sentence = refusal(door.ask(&request).await, status);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    door.ask(&raw(&signed)).await.expect(201);
    let kept = get(&world, "/helm/acme/charts/web-1.2.3+build.5.tgz.prov").await.expect(200);
    assert_eq!(kept.body, signed.as_bytes());
    assert_eq!(get(&world, "/helm/acme/web-1.2.3+build.5.tgz").await.expect(200).body, archive);
    // Over OCI the tag has it, and the manifest of before stays.
    let layers = get(&world, "/v2/acme/web/manifests/1.2.3_build.5").await.expect(200).json()["layers"].clone();
    assert_eq!(layers.as_array().unwrap().len(), 2);
    get(&world, &format!("/v2/acme/web/manifests/{}", plain.digest())).await.expect(200);
    // The same again by any road is no news; another one is refused.
    let before = world.snapshot().await;
    for again in [
        raw(&signed),
        put("charts/web-1.2.3%2Bbuild.5", &signed),
        put("web-1.2.3+build.5", &signed),
        form_to("/api/helm/acme/prov".into(), &[("prov", signed.as_bytes())]),
    ] {
        door.ask(&again).await.expect(201);
    }
    let resigned = signed.replace("\nsigned\n", "\nsigned again\n");
    assert!(refusal(door.ask(&raw(&resigned)).await, 409).contains("another provenance"));
    assert_eq!(world.snapshot().await, before);
    door.ask(&Request::delete("/helm/acme/api/charts/web/1.2.3+build.5"))
        .await
        .expect(200);
    refusal(get(&world, "/helm/acme/charts/web-1.2.3+build.5.tgz.prov").await, 404);
    refusal(door.ask(&raw(&signed)).await, 404);
}

async fn who_may_not_add_to_the_chart_that_a_provenance_names_adds_nothing(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let before = world.snapshot().await;
    let door = world.behind(FakeGate::open().refusing_once_known(ErrorKind::Denied, What::Repository));
    door.ask(&Request::post("/helm/acme/api/prov").body(provenance(&archive)))
        .await
        .expect(403);
    assert_eq!(world.snapshot().await, before);
}

async fn not_even_force_changes_a_version(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let other = Packed::chart("web", "1.2.3", "description: changed\n");
    let door = world.open();
    let forced = |archive: &Bytes| post("acme", archive).at("/helm/acme/api/charts?force");
    door.ask(&forced(&archive)).await.expect(201);
    let before = world.snapshot().await;
    door.ask(&forced(&archive)).await.expect(201);
    for request in [
        forced(&other),
        forced(&other).at("/api/helm/acme/charts?force=true"),
        form("acme", &[("chart", &other), ("force", b"true")]),
    ] {
        let sentence = refusal(door.ask(&request).await, 409);
        assert!(sentence.contains("a version never changes, not even by force"), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
}

async fn a_bad_chart_is_refused_with_its_fault_and_leaves_nothing(world: World) {
    let good = Packed::chart("web", "1.2.3", "");
    let file = |path: &str| Packed::default().file(path, "").pack();
    let before = world.snapshot().await;
    for (archive, why) in [
        (Bytes::new(), "its body is empty"),
        (Bytes::from_static(b"no archive"), "no gzip archive"),
        (good.slice(..good.len() / 2), "cut off"),
        (file("web/x"), "no Chart.yaml"),
        (file("../x"), "leads out"),
        (Packed::chart("web", "1.10", ""), "must be in quotes"),
        (Packed::chart("Web", "1.2.3", ""), "name"),
        (Packed::chart("web", "1.2.3", "maintainers: [~]\n"), "maintainer"),
    ] {
        for request in [post("acme", &archive), form("acme", &[("chart", &archive)])] {
            let sentence = refusal(world.open().ask(&request).await, 400);
            assert!(sentence.contains(why), "{sentence}");
        }
    }
    for (request, status, why) in [
        (form("acme", &[("other", &good)]), 400, "no part called chart"),
        (form("acme", &[("chart", &good), ("chart", &good)]), 400, "two charts"),
        (
            post("acme", &good).header("content-type", "multipart/form-data"),
            400,
            "names no boundary",
        ),
        (
            post("acme", &good).header("content-type", "multipart/form-data; boundary=x"),
            400,
            "malformed",
        ),
        (
            Request::put("/helm/acme/charts/web-1.2.4.tgz").body(good.clone()),
            400,
            "its file is called web-1.2.3.tgz",
        ),
        (
            post("acme", &good).header("x-checksum-sha256", "00".repeat(32)),
            422,
            "has the digest",
        ),
        (post("acme", &good).header("x-checksum-sha256", "none"), 400, "not a sha256"),
        (post("acme", &good).header("content-range", "bytes 0-9/10"), 400, "as a whole"),
    ] {
        let sentence = refusal(world.open().ask(&request).await, status);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    assert!(
        world
            .stores
            .catalog
            .repository("acme/web".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

async fn who_may_not_add_to_the_repository_that_the_chart_names_adds_nothing(world: World) {
    let before = world.snapshot().await;
    let door = world.behind(FakeGate::open().refusing_once_known(ErrorKind::Denied, What::Repository));
    door.ask(&post("acme", &Packed::chart("web", "1.0.0", ""))).await.expect(403);
    assert_eq!(world.snapshot().await, before);
}

async fn a_chart_never_takes_the_place_of_an_image_nor_an_image_that_of_a_chart(world: World) {
    let door = world.open();
    door.ask(&blob("acme/web", "{}")).await.expect(201);
    let image = manifest("acme/web", "1.0.0", &small_image("image"));
    door.ask(&image).await.expect(201);
    assert!(refusal(door.ask(&post("acme", &Packed::chart("web", "1.0.0", ""))).await, 409).contains("another prefix"));
    door.ask(&post("acme", &Packed::chart("web", "2.0.0", ""))).await.expect(201);
    let over = manifest("acme/web", "2.0.0", &small_image("image"));
    assert_eq!(codes(&door.ask(&over).await.expect(409)), ["DENIED"]);
    assert_eq!(listed(&world, "acme").await, ["web 2.0.0"]);
}
