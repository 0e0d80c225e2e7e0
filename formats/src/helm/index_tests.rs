//! The index, and the files that it names.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{get, listed, post, refusal};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::access::Visible;
use granary_storage::limits::Limits;
use serde_json::{Value, json};
use std::io::Read as _;

stories! {
    an_entry_names_the_registry_where_it_has_a_name
    plugins_are_told_where_the_api_is_of_every_prefix
    the_index_is_in_order_and_tells_when_it_changed
    an_index_is_compressed_for_who_asks_and_for_nobody_else
    a_token_for_some_charts_sees_those_alone
    a_prefix_lists_what_lies_directly_under_it
    an_archive_is_read_in_parts
    many_uploads_at_once_are_all_listed
    an_index_that_is_not_kept_is_the_same
}

async fn the_index_is_in_order_and_tells_when_it_changed(world: World) {
    let empty = get(&world, "/helm/acme/index.yaml").await.expect(200);
    assert_eq!(empty.json()["entries"], json!({}));
    for version in ["1.10.0", "1.2.0", "v1.9", "1.10.0-rc.1", "2026.08.1"] {
        world
            .open()
            .ask(&post("acme", &Packed::chart("web", version, "")))
            .await
            .expect(201);
    }
    world
        .open()
        .ask(&post("acme", &Packed::chart("api", "1.0.0", "")))
        .await
        .expect(201);
    let order = [
        "api 1.0.0",
        "web 2026.08.1",
        "web 1.10.0",
        "web 1.10.0-rc.1",
        "web v1.9",
        "web 1.2.0",
    ];
    assert_eq!(listed(&world, "acme").await, order);
    let index = get(&world, "/helm/acme/index.yaml").await.expect(200);
    let etag = index.header("etag").unwrap().to_owned();
    assert_ne!(empty.header("etag"), Some(etag.as_str()));
    let door = world.open();
    let again = Request::get("/helm/acme/index.yaml").header("if-none-match", &etag);
    assert_eq!(door.ask(&again).await.expect(304).header("etag"), Some(etag.as_str()));
    world
        .open()
        .ask(&Request::delete("/helm/acme/api/charts/api/1.0.0"))
        .await
        .expect(200);
    let changed = door.ask(&again).await.expect(200);
    assert_eq!(changed.json()["entries"]["api"], Value::Null);
    // The API tells the same.
    let charts = get(&world, "/helm/acme/api/charts").await.expect(200).json();
    assert_eq!(charts, changed.json()["entries"]);
    let versions = get(&world, "/helm/acme/api/charts/web").await.expect(200).json();
    assert_eq!(versions, charts["web"]);
    let one = get(&world, "/helm/acme/api/charts/web/v1.9").await.expect(200).json();
    assert_eq!(one, charts["web"][3]);
    refusal(get(&world, "/helm/acme/api/charts/web/1.9").await, 404);
}

async fn an_index_is_compressed_for_who_asks_and_for_nobody_else(world: World) {
    let door = world.open();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        door.ask(&post("library", &Packed::chart("web", version, ""))).await.expect(201);
    }
    let index = |base: &str, asked: &str| Request::get(format!("{base}/index.yaml")).header("accept-encoding", asked);
    // The same charts under two names, of which the index tells its own.
    for base in ["/helm", "/helm/library"] {
        let plain = door.ask(&Request::get(format!("{base}/index.yaml"))).await.expect(200);
        assert_eq!(plain.header("vary"), Some("Authorization, Accept-Encoding"));
        assert_eq!(plain.json()["serverInfo"]["contextPath"], base);
        for nothing in ["", "identity", "*", "br, deflate", "gzip;q=0, zstd; q=0.0", "x-gzip", "gzip;q=much"] {
            assert_eq!(door.ask(&index(base, nothing)).await, plain, "{nothing}");
        }
        let mut etags = vec![plain.header("etag").unwrap().to_owned()];
        for (asked, coding) in [
            ("gzip", "gzip"),
            ("deflate, GZIP;q=0.5", "gzip"),
            ("zstd", "zstd"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("zstd;q=0.5, gzip", "gzip"),
        ] {
            let coded = door.ask(&index(base, asked)).await.expect(200);
            assert_eq!(coded.header("content-encoding"), Some(coding), "{asked}");
            assert_eq!(coded.header("content-type"), plain.header("content-type"));
            assert_eq!(coded.header("vary"), plain.header("vary"));
            assert_eq!(decoded(coding, &coded.body), plain.body, "{asked}");
            let head = door.ask(&index(base, asked).as_head()).await.expect(200);
            assert_eq!((head.len, &head.headers), (coded.len, &coded.headers));
            let etag = coded.header("etag").unwrap().to_owned();
            door.ask(&index(base, asked).header("if-none-match", &etag)).await.expect(304);
            door.ask(&index(base, "").header("if-none-match", &etag)).await.expect(200);
            etags.push(etag);
        }
        etags.sort();
        etags.dedup();
        assert_eq!(etags.len(), 3, "{etags:?}");
    }
    door.ask(&post("library", &Packed::chart("api", "1.0.0", ""))).await.expect(201);
    let plain = door.ask(&Request::get("/helm/index.yaml")).await.expect(200);
    let coded = door.ask(&index("/helm", "gzip")).await.expect(200);
    assert_eq!(decoded("gzip", &coded.body), plain.body);
    // Whoever sees a part of it gets that as it is.
    let door = world.behind(FakeGate::showing(Visible {
        projects: None,
        public: true,
        only: Some(["library/web".parse().unwrap()].into()),
    }));
    let part = door.ask(&index("/helm", "gzip")).await.expect(200);
    assert_eq!(part.header("content-encoding"), None);
    assert_eq!(part.json()["entries"]["api"], Value::Null);
}

fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    match coding {
        "gzip" => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut all).unwrap()),
        _ => all = zstd::decode_all(bytes).unwrap(),
    }
    all
}

async fn a_token_for_some_charts_sees_those_alone(world: World) {
    for name in ["api", "web"] {
        world.open().ask(&post("acme", &Packed::chart(name, "1.0.0", ""))).await.expect(201);
    }
    let seeing = |names: &[&str]| {
        world.behind(FakeGate::showing(Visible {
            projects: None,
            public: true,
            only: Some(names.iter().map(|name| name.parse().unwrap()).collect()),
        }))
    };
    let request = Request::get("/helm/acme/index.yaml");
    let all = world.open().ask(&request).await.expect(200);
    let some = seeing(&["acme/web", "other/api"]).ask(&request).await.expect(200);
    let entries = some.json()["entries"].clone();
    assert_eq!(entries.as_object().unwrap().keys().collect::<Vec<_>>(), ["web"]);
    assert_ne!(all.header("etag"), some.header("etag"));
    assert_eq!(some.header("cache-control"), Some("private, no-cache"));
    let door = seeing(&["acme/web"]);
    door.ask(&Request::get("/helm/acme/charts/web-1.0.0.tgz")).await.expect(200);
    let hidden = door.ask(&Request::get("/helm/acme/charts/api-1.0.0.tgz")).await.expect(404);
    let absent = door.ask(&Request::get("/helm/acme/charts/no-1.0.0.tgz")).await.expect(404);
    assert_eq!(hidden, absent);
}

async fn a_prefix_lists_what_lies_directly_under_it(world: World) {
    for prefix in ["acme", "acme/charts", "acme/charts/stable", "library"] {
        world
            .open()
            .ask(&post(prefix, &Packed::chart("web", "1.0.0", "")))
            .await
            .expect(201);
    }
    world
        .open()
        .ask(&post("acme/charts", &Packed::chart("api", "1.0.0", "")))
        .await
        .expect(201);
    assert_eq!(listed(&world, "acme").await, ["web 1.0.0"]);
    assert_eq!(listed(&world, "acme/charts").await, ["api 1.0.0", "web 1.0.0"]);
    assert_eq!(listed(&world, "acme/charts/stable").await, ["web 1.0.0"]);
    // The file belongs to what stands before the folder.
    get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200);
    get(&world, "/helm/acme/charts/api-1.0.0.tgz").await.expect(404);
    get(&world, "/helm/acme/charts/charts/api-1.0.0.tgz").await.expect(200);
    let library = get(&world, "/helm/index.yaml").await.expect(200).json();
    assert_eq!(library["serverInfo"]["contextPath"], "/helm");
    assert_eq!(library["entries"]["web"][0]["version"], "1.0.0");
    get(&world, "/helm/charts/web-1.0.0.tgz").await.expect(200);
}

async fn an_entry_names_the_registry_where_it_has_a_name(world: World) {
    for (prefix, name, version) in [("acme/charts", "web", "1.2.3+b.1"), ("library", "api", "v2")] {
        world.open().ask(&post(prefix, &Packed::chart(name, version, ""))).await.expect(201);
    }
    let urls = |file: &str, more: &[&str]| {
        let all: Vec<String> = std::iter::once(format!("charts/{file}"))
            .chain(more.iter().map(ToString::to_string))
            .collect();
        json!(all)
    };
    let unnamed = get(&world, "/helm/acme/charts/index.yaml").await.expect(200);
    assert_eq!(unnamed.json()["entries"]["web"][0]["urls"], urls("web-1.2.3+b.1.tgz", &[]));
    let mut etags = vec![unnamed.header("etag").unwrap().to_owned()];
    for host in ["registry.example:5000", "other.example"] {
        let door = world.known_as(host);
        let ask = async |target: &str| door.ask(&Request::get(target)).await.expect(200);
        let index = ask("/helm/acme/charts/index.yaml").await;
        let expected = urls("web-1.2.3+b.1.tgz", &[&format!("oci://{host}/acme/charts/web:1.2.3_b.1")]);
        let entry = index.json()["entries"]["web"][0].clone();
        assert_eq!(entry["urls"], expected);
        for same in [
            "/helm/acme/charts/api/charts/web/1.2.3+b.1",
            "/helm/acme/charts/api/charts/web/latest",
        ] {
            assert_eq!(ask(same).await.json(), entry);
        }
        assert_eq!(ask("/helm/acme/charts/api/charts/web").await.json()[0], entry);
        let library = ask("/helm/index.yaml").await.json();
        assert_eq!(
            library["entries"]["api"][0]["urls"],
            urls("api-v2.tgz", &[&format!("oci://{host}/library/api:v2")])
        );
        etags.push(index.header("etag").unwrap().to_owned());
        // Whoever holds what the registry said under another name, or under none, is told anew.
        for held in &etags[..etags.len() - 1] {
            door.ask(&Request::get("/helm/acme/charts/index.yaml").header("if-none-match", held))
                .await
                .expect(200);
        }
    }
}

async fn plugins_are_told_where_the_api_is_of_every_prefix(world: World) {
    for (base, prefix) in [
        ("/helm", "library"),
        ("/helm/library", "library"),
        ("/helm/acme", "acme"),
        ("/helm/acme/charts", "acme/charts"),
        ("/helm/acme/charts/stable", "acme/charts/stable"),
    ] {
        let index = get(&world, &format!("{base}/index.yaml")).await.expect(200).json();
        let context = index["serverInfo"]["contextPath"].as_str().unwrap();
        // As cm-push does it: the context, the API, and what of the repository's path is behind the context.
        let behind = base.strip_prefix(context).unwrap();
        let archive = Packed::chart("web", "1.0.0", "");
        let upload = Request::post(format!("{context}/api{behind}/charts")).body(archive);
        world.open().ask(&upload).await.expect(201);
        assert_eq!(listed(&world, prefix).await, ["web 1.0.0"], "{base}");
    }
}

async fn an_archive_is_read_in_parts(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let door = world.open();
    door.ask(&post("acme", &archive)).await.expect(201);
    let size = archive.len();
    let file = Request::get("/helm/acme/charts/web-1.0.0.tgz");
    let part = door.ask(&file.clone().header("range", "bytes=10-")).await.expect(206);
    assert_eq!((part.body, part.len), (archive.slice(10..), (size - 10) as u64));
    let beyond = door.ask(&file.clone().header("range", format!("bytes={size}-"))).await.expect(416);
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{size}").as_str()));
    let several = door.ask(&file.clone().header("range", "bytes=0-1,4-5")).await.expect(200);
    assert_eq!(several.body, archive);
    let whole = door.ask(&file).await.expect(200);
    assert!(whole.header("cache-control").unwrap().contains("immutable"));
    let etag = whole.header("etag").unwrap().to_owned();
    door.ask(&file.header("if-none-match", etag)).await.expect(304);
}

async fn many_uploads_at_once_are_all_listed(world: World) {
    let door = world.open();
    let work = (0..32).map(|number| {
        let (world, door) = (&world, &door);
        async move {
            let archive = Packed::chart("web", &format!("1.0.{number}"), "");
            door.ask(&post("acme", &archive)).await.expect(201);
            // Whoever was told that it is there finds it there.
            let listed = listed(world, "acme").await;
            assert!(listed.contains(&format!("web 1.0.{number}")), "{number} in {listed:?}");
        }
    });
    futures_util::future::join_all(work).await;
    assert_eq!(listed(&world, "acme").await.len(), 32);
}

async fn an_index_that_is_not_kept_is_the_same(world: World) {
    let door = world.limited(
        FakeGate::open(),
        Limits {
            chart_index_cache: 0,
            ..Limits::default()
        },
    );
    for name in ["api", "web"] {
        door.ask(&post("acme", &Packed::chart(name, "1.0.0", ""))).await.expect(201);
        let request = Request::get("/helm/acme/index.yaml");
        assert_eq!(door.ask(&request).await.expect(200), world.open().ask(&request).await.expect(200));
    }
}
