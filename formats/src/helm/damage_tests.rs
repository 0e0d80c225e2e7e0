//! A chart whose stored bytes are damaged: nobody is told that it does not exist, and whoever has it mends it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{form, get, post, provenance};
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::Digest;

stories! {
    a_damaged_chart_is_a_fault_and_not_an_absence
    whoever_uploads_a_damaged_chart_again_mends_it
    a_damaged_provenance_and_config_are_mended_as_well
}

const FILE: &str = "/helm/acme/charts/web-1.0.0.tgz";
const MANIFEST: &str = "/v2/acme/web/manifests/1.0.0";

/// Loses the bytes of a part of the chart, and has the registry find out.
async fn lose(world: &World, part: &str) {
    let repository = world.stores.catalog.repository("acme/web".parse().unwrap()).await.unwrap().unwrap();
    let digest: Digest = part.parse().unwrap();
    let view = world.stores.catalog.blob(repository.id, digest).await.unwrap().unwrap();
    world.stores.blobs.delete(&view.blob.key).await.unwrap();
    let blob = format!("/v2/acme/web/blobs/{digest}");
    assert_ne!(world.open().ask(&Request::get(&blob)).await.status, 200);
    world.open().ask(&Request::get(blob)).await.expect(404);
}

async fn a_damaged_chart_is_a_fault_and_not_an_absence(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    world.open().ask(&post("acme", &archive)).await.expect(201);
    lose(&world, &Digest::sha256(&archive).to_string()).await;
    for address in [
        FILE,
        "/helm/acme/api/charts/web/1.0.0/values",
        "/helm/acme/api/charts/web/1.0.0/diff/1.0.0",
    ] {
        let answer = get(&world, address).await.expect(500);
        let sentence = "the stored bytes of this chart are damaged; whoever uploads the same chart again mends it";
        assert_eq!(answer.json()["error"], sentence, "{address}");
    }
    world.open().ask(&Request::get(FILE).as_head()).await.expect(500);
}

async fn whoever_uploads_a_damaged_chart_again_mends_it(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let signed = provenance(&archive);
    let file = Request::put(FILE).body(archive.clone());
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let stored = get(&world, MANIFEST).await.expect(200).digest();
    for again in [post("acme", &archive), form("acme", &[("chart", &archive)]), file] {
        lose(&world, &Digest::sha256(&archive).to_string()).await;
        world.open().ask(&again).await.expect(201);
        assert_eq!(get(&world, FILE).await.expect(200).body, archive);
        assert_eq!(get(&world, MANIFEST).await.expect(200).digest(), stored);
    }
    // With its provenance, too, which it did not have; and by the provenance alone nothing is mended.
    lose(&world, &Digest::sha256(&archive).to_string()).await;
    let alone = Request::post("/helm/acme/api/prov").body(signed.clone());
    world.open().ask(&alone).await.expect(500);
    let both = form("acme", &[("chart", &archive), ("prov", signed.as_bytes())]);
    world.open().ask(&both).await.expect(201);
    assert_eq!(get(&world, FILE).await.expect(200).body, archive);
    assert_eq!(get(&world, &format!("{FILE}.prov")).await.expect(200).body, signed.as_bytes());
}

async fn a_damaged_provenance_and_config_are_mended_as_well(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let signed = provenance(&archive);
    let both = form("acme", &[("chart", &archive), ("prov", signed.as_bytes())]);
    let alone = Request::post("/helm/acme/api/prov").body(signed.clone());
    world.open().ask(&both).await.expect(201);
    let manifest = get(&world, MANIFEST).await.expect(200).json();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let provenance = manifest["layers"][1]["digest"].as_str().unwrap();
    for (part, again) in [
        (provenance, &both),
        (provenance, &alone),
        (config, &both),
        (config, &post("acme", &archive)),
    ] {
        lose(&world, part).await;
        world.open().ask(again).await.expect(201);
        get(&world, &format!("/v2/acme/web/blobs/{part}")).await.expect(200);
        assert_eq!(get(&world, MANIFEST).await.expect(200).json(), manifest);
    }
    assert_eq!(get(&world, &format!("{FILE}.prov")).await.expect(200).body, signed.as_bytes());
}
