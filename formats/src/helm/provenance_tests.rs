//! Provenance that a push brings, and provenance that comes after a chart that was not made here, or that is referred to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{config, form, get, listed, post, provenance, push, refusal};
use super::versions_tests::let_versions_be_replaced;
use super::{CONFIG, CONTENT, PROVENANCE};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use crate::gate::{Held, Needs};
use crate::oci::specimen_tests::{blob, described, manifest, small_image};
use bytes::Bytes;
use granary_storage::Digest;
use granary_storage::access::{Action, Actions};
use serde_json::{Value, json};

const MANIFEST: &str = "/v2/acme/web/manifests/1.0.0";

stories! {
    provenance_that_is_pushed_over_oci_is_held_against_its_chart
    late_provenance_leaves_the_manifest_of_a_push_where_it_is
    late_provenance_leaves_a_manifest_that_something_refers_to
    a_provenance_of_nobody_gives_its_place_to_the_publishers_by_force
    a_provenance_beside_a_manifest_gives_its_place_to_another_by_force
    a_provenance_goes_into_the_manifest_once_nothing_refers_to_that
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

/// The bodies of the events of a kind.
async fn told(world: &World, kind: &str) -> Vec<Value> {
    let events = world.events().await.into_iter().filter(|event| event.kind == kind);
    events.map(|event| serde_json::from_str(&event.body).unwrap()).collect()
}

fn text(signed: &str) -> String {
    Digest::sha256(signed.as_bytes()).to_string()
}

async fn a_provenance_of_nobody_gives_its_place_to_the_publishers_by_force(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let signed = provenance(&archive);
    let nonsense = signed.replace("\nsigned\n", "\nnonsense\n");
    let (door, modest) = (world.open(), world.behind(FakeGate::holding(Held::No)));
    door.ask(&post("acme", &archive)).await.expect(201);
    let bare = |text: &str| Request::post("/helm/acme/api/prov").body(text.to_owned());
    let by_force = |text: &str| bare(text).at("/helm/acme/api/prov?force");
    modest.ask(&bare(&nonsense)).await.expect(201);
    let before = world.snapshot().await;
    for (door, request, status, why) in [
        (&door, bare(&signed), 409, "only by force (?force)"),
        (&modest, bare(&signed), 409, "only who manages it"),
        (&modest, by_force(&signed), 403, "which you may not replace"),
    ] {
        let sentence = refusal(door.ask(&request).await, status);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    let file = "/helm/acme/charts/web-1.0.0.tgz.prov";
    let content = Digest::sha256(&archive).to_string();
    let in_form = |force: &[u8]| form("acme", &[("prov", signed.as_bytes()), ("force", force)]).at("/helm/acme/api/prov");
    for no in [&b""[..], b"false", b"0"] {
        refusal(door.ask(&in_form(no)).await, 409);
    }
    assert_eq!(world.snapshot().await, before);
    // Where versions never change, who may delete one may sign it anew; elsewhere who may replace one.
    for (request, new, old, mutable, action) in [
        (by_force(&signed), &signed, &nonsense, false, Action::Delete),
        (by_force(&nonsense), &nonsense, &signed, false, Action::Delete),
        (in_form(b"true"), &signed, &nonsense, true, Action::Overwrite),
    ] {
        if mutable {
            let_versions_be_replaced(&world, "acme").await;
        }
        let answer = door.ask(&request).await.expect(201);
        assert_eq!(answer.header("warning"), None);
        let asked = door.gate.asked.lock().unwrap().last().cloned();
        let Some(Needs::Access { optional, .. }) = asked else {
            panic!("{asked:?}")
        };
        assert_eq!(optional[0].actions, Actions::from(action));
        assert_eq!(get(&world, file).await.expect(200).body, new.as_bytes());
        // Over OCI, too.
        let layers = get(&world, "/v2/acme/web/manifests/1.0.0").await.expect(200).json()["layers"].clone();
        assert_eq!(layers[1]["digest"], json!(text(new)));
        assert_eq!(layers.as_array().unwrap().len(), 2);
        let event = json!({
            "tag": "1.0.0", "was": content, "is": content,
            "provenance": {"was": text(old), "is": text(new)},
        });
        assert_eq!(told(&world, "chart.replaced").await.last(), Some(&event));
    }
    assert_eq!(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200).body, archive);
    // What stands there already is no news, and what signs another chart takes no place.
    let before = world.snapshot().await;
    door.ask(&by_force(&signed)).await.expect(201);
    let other = provenance(&Packed::chart("web", "1.0.0", "description: other\n"));
    refusal(door.ask(&by_force(&other)).await, 400);
    assert_eq!(world.snapshot().await, before);
}

async fn a_provenance_beside_a_manifest_gives_its_place_to_another_by_force(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let signed = provenance(&archive);
    let nonsense = signed.replace("\nsigned\n", "\nnonsense\n");
    let door = world.open();
    let pushed = push(&world, "acme/web", "1.0.0", &archive, &config("web", "1.0.0"))
        .await
        .expect(201)
        .digest();
    door.ask(&Request::post("/helm/acme/api/prov").body(nonsense.clone()))
        .await
        .expect(201);
    let forced = Request::put("/helm/acme/charts/web-1.0.0.tgz.prov?force").body(signed.clone());
    let answer = door.ask(&forced).await.expect(201);
    assert!(answer.header("warning").unwrap().contains("it was not made here"));
    let file = get(&world, "/helm/acme/charts/web-1.0.0.tgz.prov").await.expect(200);
    assert_eq!(file.body, signed.as_bytes());
    assert_eq!(get(&world, "/v2/acme/web/manifests/1.0.0").await.expect(200).digest(), pushed);
    let event = json!({
        "tag": "1.0.0", "digest": pushed.to_string(), "provenance": text(&signed), "was": text(&nonsense),
    });
    assert_eq!(told(&world, "chart.vouched").await.last(), Some(&event));
}

async fn a_provenance_goes_into_the_manifest_once_nothing_refers_to_that(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let signed = provenance(&archive);
    let others = ["second", "third", "fourth"].map(|name| signed.replace("\nsigned\n", &format!("\n{name}\n")));
    let door = world.open();
    door.ask(&form("acme", &[("chart", &archive), ("prov", signed.as_bytes())]))
        .await
        .expect(201);
    let chart = get(&world, MANIFEST).await.expect(200);
    let mut signature = small_image("signature");
    signature["subject"] = described("application/vnd.oci.image.manifest.v1+json", &chart.body);
    door.ask(&blob("acme/web", "{}")).await.expect(201);
    let signature = door.ask(&manifest("acme/web", "signature", &signature)).await.expect(201).digest();
    let forced = |text: &str| Request::post("/helm/acme/api/prov?force").body(text.to_owned());
    for other in &others[..2] {
        let answer = door.ask(&forced(other)).await.expect(201);
        let warning = answer.header("warning").unwrap();
        assert!(warning.contains("something refers to it"), "{warning}");
        assert_eq!(get(&world, MANIFEST).await.expect(200).digest(), chart.digest());
    }
    // The one that the manifest names comes back in any case.
    let file = "/helm/acme/charts/web-1.0.0.tgz.prov";
    assert_eq!(door.ask(&forced(&signed)).await.expect(201).header("warning"), None);
    assert_eq!(get(&world, file).await.expect(200).body, signed.as_bytes());
    assert_eq!(
        told(&world, "chart.vouched").await.last().unwrap()["provenance"],
        json!(text(&signed))
    );
    door.ask(&forced(&others[0])).await.expect(201);
    door.ask(&Request::delete(format!("/v2/acme/web/manifests/{signature}")))
        .await
        .expect(202);
    assert_eq!(door.ask(&forced(&others[2])).await.expect(201).header("warning"), None);
    let layers = get(&world, MANIFEST).await.expect(200).json()["layers"].clone();
    assert_eq!(layers[1]["digest"], json!(text(&others[2])));
    // Back at the first manifest, its own provenance counts, and not what was kept beside it once.
    assert_eq!(door.ask(&forced(&signed)).await.expect(201).header("warning"), None);
    assert_eq!(get(&world, MANIFEST).await.expect(200).digest(), chart.digest());
    assert_eq!(get(&world, file).await.expect(200).body, signed.as_bytes());
    assert_eq!(
        told(&world, "chart.replaced").await.last().unwrap()["provenance"],
        json!({"was": text(&others[2]), "is": text(&signed)})
    );
    // So it does by a form that replaces all of the chart.
    let mut about = small_image("about");
    about["subject"] = described("application/vnd.oci.image.manifest.v1+json", &chart.body);
    door.ask(&manifest("acme/web", "about", &about)).await.expect(201);
    door.ask(&forced(&others[0])).await.expect(201);
    assert_eq!(get(&world, file).await.expect(200).body, others[0].as_bytes());
    let_versions_be_replaced(&world, "acme").await;
    let anew = form("acme", &[("chart", &archive), ("prov", signed.as_bytes()), ("force", b"true")]);
    door.ask(&anew).await.expect(201);
    assert_eq!(get(&world, file).await.expect(200).body, signed.as_bytes());
    assert_eq!(
        told(&world, "chart.replaced").await.last().unwrap()["provenance"],
        json!({"was": text(&others[0]), "is": text(&signed)})
    );
}
