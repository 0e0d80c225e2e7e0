//! What is refused: each fault of a chart by every road of HTTP, with a sentence that names it, and nothing left behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{form, get, listed, post, provenance, refusal};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use crate::oci::specimen_tests::{blob, manifest, small_image};
use bytes::Bytes;
use futures_util::stream;
use granary_storage::Result;
use granary_storage::limits::Limits;
use std::task::Poll;
use tar::EntryType;

stories! {
    a_path_that_leads_out_of_the_chart_is_refused
    an_absolute_path_is_refused
    links_are_refused
    devices_are_refused
    two_top_folders_are_refused
    an_archive_without_a_chart_yaml_is_refused
    a_bad_name_is_refused
    a_bad_version_is_refused
    a_maintainer_that_is_null_is_refused
    a_mark_of_utf_8_is_passed_over_and_one_of_another_encoding_refused
    a_bomb_of_zeros_is_refused
    aliases_that_multiply_are_refused
    yaml_that_is_nested_without_end_is_refused
    more_entries_than_anybody_needs_are_refused
    a_file_that_stands_twice_is_refused
    a_provenance_of_another_chart_is_refused
    a_chart_whose_file_bears_the_name_of_another_leaves_nothing
    a_chart_whose_version_is_an_image_leaves_nothing
    a_form_is_understood_whatever_stands_in_its_quotes
    a_form_of_very_many_parts_is_refused
    a_form_with_two_provenances_is_refused
    a_body_announced_larger_than_any_chart_is_refused_before_it_comes
}

/// The archive is refused by each road, for this reason, and nothing is stored.
async fn is_refused(world: &World, archive: Bytes, why: &str) {
    let before = world.snapshot().await;
    for request in [
        post("acme", &archive),
        post("acme", &archive).at("/api/helm/acme/charts"),
        form("acme", &[("chart", &archive)]),
        Request::put("/helm/acme/charts/web-1.2.3.tgz").body(archive.clone()),
    ] {
        let sentence = refusal(world.open().ask(&request).await, 400);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    let repository = world.stores.catalog.repository("acme/web".parse().unwrap()).await.unwrap();
    assert_eq!(repository, None);
}

fn with_file(path: &str) -> Bytes {
    plain().file(path, "").pack()
}

fn plain() -> Packed {
    Packed::default().file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3\n")
}

async fn a_path_that_leads_out_of_the_chart_is_refused(world: World) {
    for path in [
        "web/../../etc/passwd",
        "../web/x",
        "web/..",
        "..\\web\\x",
        "web\\..\\..\\x",
        "web/..data",
    ] {
        is_refused(&world, with_file(path), "leads out of the chart").await;
    }
}

async fn an_absolute_path_is_refused(world: World) {
    for path in ["/etc/passwd", "\\web\\x", "C:\\web\\x", "c:/web/x", "web/c:/x"] {
        is_refused(&world, with_file(path), "is absolute").await;
    }
}

async fn links_are_refused(world: World) {
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::GNULongLink] {
        is_refused(
            &world,
            plain().entry(kind, b"web/x", b"").pack(),
            "links and devices have no place in a chart",
        )
        .await;
    }
}

async fn devices_are_refused(world: World) {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        is_refused(
            &world,
            plain().entry(kind, b"web/x", b"").pack(),
            "links and devices have no place in a chart",
        )
        .await;
    }
}

async fn two_top_folders_are_refused(world: World) {
    is_refused(&world, with_file("api/values.yaml"), "two top folders, web and api").await;
}

async fn an_archive_without_a_chart_yaml_is_refused(world: World) {
    for path in ["web/values.yaml", "web/charts/web/Chart.yaml", "web/chart.yaml"] {
        is_refused(
            &world,
            Packed::default().file(path, "").pack(),
            "no Chart.yaml directly under its top folder",
        )
        .await;
    }
}

async fn a_bad_name_is_refused(world: World) {
    for name in ["Web", "..", "a/b", "\"\"", "-web", "\"we b\""] {
        let yaml = format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\n");
        is_refused(&world, Packed::default().file("web/Chart.yaml", yaml).pack(), "name").await;
    }
}

async fn a_bad_version_is_refused(world: World) {
    for version in ["latest", "1.2.3.4", "1.2.3-", "\"1.2.3 \"", "v"] {
        is_refused(&world, Packed::chart("web", version, ""), "the chart's version").await;
    }
}

async fn a_maintainer_that_is_null_is_refused(world: World) {
    for maintainers in ["[~]", "[{name: Anna}, null]", "\n-"] {
        let archive = Packed::chart("web", "1.2.3", &format!("maintainers: {maintainers}\n"));
        is_refused(&world, archive, "a maintainer in Chart.yaml is empty").await;
    }
}

async fn a_mark_of_utf_8_is_passed_over_and_one_of_another_encoding_refused(world: World) {
    let yaml = "apiVersion: v2\nname: web\nversion: 1.2.3\n";
    let marked = |bytes: &[u8]| Packed::default().file("web/Chart.yaml", bytes).pack();
    let wide: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(yaml.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    is_refused(&world, marked(&wide), "UTF-8").await;
    // As Helm drops it.
    let archive = marked(format!("\u{feff}{yaml}").as_bytes());
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
}

async fn a_bomb_of_zeros_is_refused(world: World) {
    let zeros = vec![0; 1 << 20];
    let mut bomb = plain();
    for number in 0..101 {
        bomb = bomb.file(&format!("web/{number}"), &zeros);
    }
    is_refused(&world, bomb.pack(), "larger than 104857600 bytes when it is unpacked").await;
    let large = vec![0; (5 << 20) + 1];
    is_refused(&world, plain().file("web/x", large).pack(), "is larger than 5242880 bytes").await;
}

async fn aliases_that_multiply_are_refused(world: World) {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{},", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{alias}]\n");
    }
    is_refused(&world, Packed::chart("web", "1.2.3", &bomb), "with its aliases resolved").await;
}

async fn yaml_that_is_nested_without_end_is_refused(world: World) {
    let depth = 100_000;
    let closed = format!("x: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    is_refused(&world, Packed::chart("web", "1.2.3", &closed), "recursion limit").await;
    let lines = Packed::default().file("web/Chart.yaml", "- ".repeat(depth)).pack();
    is_refused(&world, lines, "levels deep").await;
}

async fn more_entries_than_anybody_needs_are_refused(world: World) {
    let mut many = plain();
    for number in 0..100_000 {
        many = many.file(&format!("web/{number}"), "");
    }
    is_refused(&world, many.pack(), "more than 10000 entries").await;
}

/// Helm uses the last one, and others the first.
async fn a_file_that_stands_twice_is_refused(world: World) {
    let twice = plain()
        .file("web/values.yaml", "replicas: 1\n")
        .file("web/values.yaml", "replicas: 9\n");
    is_refused(&world, twice.pack(), "the file \"web/values.yaml\" stands twice in the archive").await;
}

async fn a_provenance_of_another_chart_is_refused(world: World) {
    let (web, api) = (Packed::chart("web", "1.2.3", ""), Packed::chart("api", "1.2.3", ""));
    let newer = Packed::chart("web", "1.2.3", "description: newer\n");
    let before = world.snapshot().await;
    for other in [&api, &newer, &Packed::chart("web", "2.0.0", "")] {
        let signed = provenance(other);
        let together = form("acme", &[("chart", &web), ("prov", signed.as_bytes())]);
        assert!(refusal(world.open().ask(&together).await, 400).contains("of another chart"));
    }
    assert_eq!(world.snapshot().await, before);
    world.open().ask(&post("acme", &web)).await.expect(201);
    let before = world.snapshot().await;
    let late = Request::post("/helm/acme/api/prov").body(provenance(&newer));
    assert!(refusal(world.open().ask(&late).await, 400).contains("of another chart"));
    assert_eq!(world.snapshot().await, before);
}

/// Nothing of what was refused is stored: no bytes, no repository, no event.
async fn leaves_nothing(world: &World, name: &str, archive: &Bytes, why: &str) {
    let repository = async || {
        world
            .stores
            .catalog
            .repository(format!("acme/{name}").parse().unwrap())
            .await
            .unwrap()
    };
    let (before, was) = (world.snapshot().await, repository().await);
    for request in [post("acme", archive), form("acme", &[("chart", archive)])] {
        let sentence = refusal(world.open().ask(&request).await, 409);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    assert_eq!(repository().await, was);
}

async fn a_chart_whose_file_bears_the_name_of_another_leaves_nothing(world: World) {
    world.open().ask(&post("acme", &Packed::chart("a", "1-2", ""))).await.expect(201);
    // `a-1` at `2` would be the file `a-1-2.tgz`, too.
    let archive = Packed::chart("a-1", "2", "");
    leaves_nothing(&world, "a-1", &archive, "the file a-1-2.tgz is that of the chart a 1-2").await;
    // Once that one is gone the name is free, and taken from then on.
    world.open().ask(&Request::delete("/helm/acme/api/charts/a/1-2")).await.expect(200);
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let again = Packed::chart("a", "1-2", "");
    leaves_nothing(&world, "a", &again, "the file a-1-2.tgz is that of the chart a-1 2").await;
    // The same file name under another prefix is another file.
    world.open().ask(&post("acme/charts", &again)).await.expect(201);
}

async fn a_chart_whose_version_is_an_image_leaves_nothing(world: World) {
    let door = world.open();
    door.ask(&blob("acme/web", "{}")).await.expect(201);
    door.ask(&manifest("acme/web", "1.0.0", &small_image("image"))).await.expect(201);
    leaves_nothing(&world, "web", &Packed::chart("web", "1.0.0", ""), "another prefix").await;
}

async fn a_form_is_understood_whatever_stands_in_its_quotes(world: World) {
    for (version, mark, boundary, disposition) in [
        (
            "1.0.0",
            "bo;und",
            "\"bo;und\"",
            "form-data; name=\"chart\"; filename=\"web-1.0.0.tgz\"",
        ),
        (
            "1.1.0",
            "bo;und",
            "\"bo\\;und\"",
            "form-data; filename=\"; name=prov\"; name=\"chart\"",
        ),
        (
            "1.2.0",
            "bound",
            "bound; charset=\"a;b\"",
            "form-data; filename=\"a\\\"; name=\\\"prov\"; name=chart",
        ),
    ] {
        let archive = Packed::chart("web", version, "");
        let body = [
            format!("--{mark}\r\nContent-Disposition: {disposition}\r\n\r\n").as_bytes(),
            &archive,
            format!("\r\n--{mark}--\r\n").as_bytes(),
        ]
        .concat();
        let request = Request::post("/helm/acme/api/charts").body(body);
        let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}"));
        world.open().ask(&request).await.expect(201);
        let file = get(&world, &format!("/helm/acme/charts/web-{version}.tgz")).await.expect(200);
        assert_eq!(file.body, archive);
    }
}

async fn a_form_of_very_many_parts_is_refused(world: World) {
    let before = world.snapshot().await;
    let archive = Packed::chart("web", "1.2.3", "");
    let mut parts: Vec<(&str, &[u8])> = vec![("", b""); 100];
    parts.push(("chart", &archive));
    let sentence = refusal(world.open().ask(&form("acme", &parts)).await, 400);
    assert_eq!(sentence, "the form has more than 100 parts");
    let rubbish = vec![b'x'; 64 * 1024 + 1];
    let beside = form("acme", &[("chart", &archive), ("other", &rubbish)]);
    assert!(refusal(world.open().ask(&beside).await, 413).contains("more than 65536 bytes besides"));
    let signed = provenance(&archive);
    let beside = form("acme", &[("prov", signed.as_bytes()), ("other", &rubbish)]).at("/helm/acme/api/prov");
    assert!(refusal(world.open().ask(&beside).await, 413).contains("65536 bytes besides"));
    assert_eq!(world.snapshot().await, before);
}

async fn a_form_with_two_provenances_is_refused(world: World) {
    let before = world.snapshot().await;
    let archive = Packed::chart("web", "1.2.3", "");
    let signed = provenance(&archive);
    let parts = [("chart", &*archive), ("prov", signed.as_bytes()), ("prov", signed.as_bytes())];
    let sentence = refusal(world.open().ask(&form("acme", &parts)).await, 400);
    assert_eq!(sentence, "the form holds two provenances");
    assert_eq!(world.snapshot().await, before);
}

async fn a_body_announced_larger_than_any_chart_is_refused_before_it_comes(world: World) {
    let before = world.snapshot().await;
    let limits = || Limits {
        chart_bytes: 10_000,
        chart_provenance_bytes: 1000,
        form_other_bytes: 100,
        ..Limits::default()
    };
    let archive = Packed::chart("web", "1.2.3", "");
    for (request, most) in [
        (post("acme", &archive), 10_000),
        (Request::put("/helm/acme/charts/web-1.2.3.tgz"), 10_000),
        (form("acme", &[("chart", &archive)]), 11_100),
    ] {
        let request = request.header("content-length", format!("{}", most + 1));
        let never = stream::poll_fn(|_| -> Poll<Option<Result<Bytes>>> { panic!("nobody may ask for a byte of it") });
        let answer = world.limited(FakeGate::open(), limits()).ask_with(&request, Box::pin(never)).await;
        assert_eq!(refusal(answer, 413), format!("the body is larger than the limit of {most} bytes"));
    }
    assert_eq!(world.snapshot().await, before);
}
