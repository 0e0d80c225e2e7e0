//! What ChartMuseum's API tells of charts, at both of its places.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{get, listed, post, refusal};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::access::Visible;
use granary_storage::limits::Limits;
use serde_json::{Value, json};

stories! {
    a_list_comes_in_pages_by_the_names_of_charts
    the_latest_version_is_the_highest_release
    values_templates_readme_and_schema_are_read_from_the_archive
    files_that_are_too_many_bytes_together_are_not_read
    the_api_stands_before_the_prefix_too
    a_chart_repository_tells_that_it_is_well
}

async fn a_list_comes_in_pages_by_the_names_of_charts(world: World) {
    for name in ["db", "api", "web", "cache"] {
        for version in ["1.0.0", "2.0.0"] {
            world.open().ask(&post("acme", &Packed::chart(name, version, ""))).await.expect(201);
        }
    }
    let names = |answer: Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (query, expected) in [
        ("", &["api", "cache", "db", "web"][..]),
        ("?limit=2", &["api", "cache"]),
        ("?offset=1&limit=2", &["cache", "db"]),
        ("?offset=3", &["web"]),
        ("?offset=4", &[]),
        ("?limit=0", &[]),
        ("?offset=18446744073709551615&limit=18446744073709551615", &[]),
    ] {
        let page = get(&world, &format!("/helm/acme/api/charts{query}")).await.expect(200);
        assert_eq!(names(page.json()), expected, "{query}");
        let head = world
            .open()
            .ask(&Request::get(format!("/helm/acme/api/charts{query}")).as_head())
            .await;
        assert_eq!(head.expect(200).len, page.len);
    }
    let page = get(&world, "/helm/acme/api/charts?offset=3").await.json();
    assert_eq!(page["web"], get(&world, "/helm/acme/api/charts/web").await.json());
    for query in ["?offset=-1", "?limit=x", "?offset=", "?limit=1.5"] {
        let sentence = refusal(get(&world, &format!("/helm/acme/api/charts{query}")).await, 400);
        assert!(sentence.contains("is not a number"), "{sentence}");
    }
    // Pages of what the caller may see.
    let door = world.behind(FakeGate::showing(Visible {
        projects: None,
        public: true,
        only: Some(["acme/web", "acme/api"].iter().map(|name| name.parse().unwrap()).collect()),
    }));
    let second = door.ask(&Request::get("/helm/acme/api/charts?offset=1&limit=5")).await.expect(200);
    assert_eq!(names(second.json()), ["web"]);
}

async fn the_latest_version_is_the_highest_release(world: World) {
    let upload = async |name: &str, version: &str| {
        world.open().ask(&post("acme", &Packed::chart(name, version, ""))).await.expect(201);
    };
    refusal(get(&world, "/helm/acme/api/charts/web/latest").await, 404);
    for version in ["1.2.0", "1.10.0", "2.0.0-rc.1"] {
        upload("web", version).await;
    }
    let latest = get(&world, "/helm/acme/api/charts/web/latest").await.expect(200).json();
    assert_eq!(latest, get(&world, "/helm/acme/api/charts/web/1.10.0").await.json());
    for version in ["0.1.0-alpha.2", "0.1.0-alpha.10"] {
        upload("early", version).await;
    }
    let early = get(&world, "/helm/acme/api/charts/early/latest").await.expect(200).json();
    assert_eq!(early["version"], "0.1.0-alpha.10");
    // Whoever deletes says what.
    let delete = Request::delete("/helm/acme/api/charts/web/latest");
    refusal(world.open().ask(&delete).await, 404);
    assert_eq!(listed(&world, "acme").await.len(), 5);
}

async fn values_templates_readme_and_schema_are_read_from_the_archive(world: World) {
    let archive = Packed::default()
        .file("web/templates/a.yaml", "kind: ConfigMap\n")
        .file("web/values.yaml", "\u{feff}# äöü\ngreeting: hello\n")
        .file("web/charts/db/values.yaml", "other: chart\n")
        .file("web/charts/db/templates/b.yaml", "kind: Secret\n")
        .file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3+build.5\n")
        .file("web/readme.md", "# Web\n")
        .file("web/values.schema.json", "{\"type\":\"object\"}")
        .file("web/templates/tests/t.yaml", [0, 159, 146, 150])
        .pack();
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let of = "/helm/acme/api/charts/web/1.2.3+build.5";
    let values = get(&world, &format!("{of}/values")).await.expect(200);
    assert_eq!(values.header("content-type"), Some("application/yaml"));
    assert_eq!(values.body, "# äöü\ngreeting: hello\n".as_bytes());
    let templates = get(&world, &format!("{of}/templates")).await.expect(200).json();
    let expected = json!([
        {"name": "templates/a.yaml", "data": STANDARD.encode("kind: ConfigMap\n")},
        {"name": "templates/tests/t.yaml", "data": STANDARD.encode([0, 159, 146, 150])},
    ]);
    assert_eq!(templates, expected);
    let readme = get(&world, &format!("{of}/readme")).await.expect(200);
    assert_eq!(readme.header("content-type"), Some("text/markdown; charset=utf-8"));
    assert_eq!(
        (readme.header("x-content-type-options"), &readme.body[..]),
        (Some("nosniff"), &b"# Web\n"[..])
    );
    let schema = get(&world, &format!("{of}/schema")).await.expect(200);
    assert_eq!(schema.json(), json!({"type": "object"}));
    // The tag of a version is not the version.
    for target in [
        of.replace('+', "_") + "/values",
        of.replace('5', "6") + "/values",
        format!("{of}/secrets"),
    ] {
        refusal(get(&world, &target).await, 404);
    }
    // The latest is asked for by its name once it is known.
    let latest = get(&world, "/helm/acme/api/charts/web/latest/values").await.expect(302);
    assert_eq!(latest.header("location"), Some("../1.2.3+build.5/values"));
    world
        .open()
        .ask(&post(
            "acme",
            &Packed::default()
                .file("bare/Chart.yaml", "apiVersion: v2\nname: bare\nversion: 1.0.0\n")
                .pack(),
        ))
        .await
        .expect(201);
    let of = "/helm/acme/api/charts/bare/1.0.0";
    for (part, why) in [
        ("values", "no values.yaml"),
        ("readme", "no README"),
        ("schema", "no values.schema.json"),
    ] {
        assert!(refusal(get(&world, &format!("{of}/{part}")).await, 404).contains(why));
    }
    assert_eq!(get(&world, &format!("{of}/templates")).await.expect(200).json(), json!([]));
}

async fn files_that_are_too_many_bytes_together_are_not_read(world: World) {
    let templates = |size: usize| {
        Packed::default()
            .file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
            .file("web/templates/a.yaml", "x".repeat(size))
            .file("web/templates/b.yaml", "x".repeat(100))
            .pack()
    };
    let limits = Limits {
        // Each has a name of 16 bytes, and stands for 256 itself.
        chart_file_bytes: 1000 + 2 * (16 + 256),
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), limits);
    for (prefix, size, status) in [("one", 900, 200), ("two", 901, 413)] {
        door.ask(&post(prefix, &templates(size))).await.expect(201);
        let answer = door
            .ask(&Request::get(format!("/helm/{prefix}/api/charts/web/1.0.0/templates")))
            .await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

async fn the_api_stands_before_the_prefix_too(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let door = world.open();
    for prefix in ["acme", "acme/charts", "acme/charts/stable", "library"] {
        let upload = Request::post(format!("/api/helm/{prefix}/charts")).body(archive.clone());
        assert_eq!(door.ask(&upload).await.expect(201).json(), json!({"saved": true}));
        assert_eq!(listed(&world, prefix).await, ["web 1.0.0"]);
        for rest in [
            "charts",
            "charts/web",
            "charts/web/1.0.0",
            "charts/web/latest",
            "charts/web/1.0.0/values",
        ] {
            let (here, there) = (
                get(&world, &format!("/api/helm/{prefix}/{rest}")).await,
                get(&world, &format!("/helm/{prefix}/api/{rest}")).await,
            );
            assert_eq!(here.expect(200), there, "{prefix} {rest}");
        }
    }
    get(&world, "/api/helm/charts").await.expect(200);
    door.ask(&Request::delete("/api/helm/acme/charts/web/1.0.0")).await.expect(200);
    assert_eq!(listed(&world, "acme").await, [""; 0]);
    assert_eq!(listed(&world, "acme/charts").await, ["web 1.0.0"]);
    for nowhere in [
        "/api/helm",
        "/api/helm/acme",
        "/api/helm/acme/index.yaml",
        "/api/helm/acme/charts/web/1.0.0/values/x",
        "/api/helm/acme/api/charts",
    ] {
        refusal(get(&world, nowhere).await, 404);
    }
    let astray = Request::post("/api/helm/acme/api/charts").body(archive);
    refusal(door.ask(&astray).await, 404);
    refusal(get(&world, "/api/helm/acme/prov").await, 405);
}

async fn a_chart_repository_tells_that_it_is_well(world: World) {
    for base in ["/helm", "/helm/acme", "/helm/acme/charts"] {
        let health = get(&world, &format!("{base}/health")).await.expect(200);
        assert_eq!(health.json(), json!({"healthy": true}));
        let info = get(&world, &format!("{base}/info")).await.expect(200);
        assert_eq!(info.json(), json!({"version": env!("CARGO_PKG_VERSION")}));
    }
}
