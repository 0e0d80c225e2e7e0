//! What becomes of a version once it is published: it is replaced by force, yanked or deprecated; and what is
//! not listed tells why.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{config, form, get, listed, post, provenance, push, refusal};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use crate::gate::Held;
use crate::oci::specimen_tests::{blob, codes, manifest, small_image};
use bytes::Bytes;
use granary_storage::access::Visible;
use serde_json::{Value, json};

stories! {
    a_version_is_replaced_by_force_where_the_project_lets_it
    who_may_not_overwrite_does_not_replace_a_version
    nothing_but_force_replaces_a_version
    an_upload_that_says_no_to_force_replaces_nothing
    who_forces_a_version_loses_no_race
    a_forced_upload_may_sign_a_version_anew
    a_yanked_version_is_chosen_by_nobody_and_had_by_who_names_it
    a_yanked_version_stays_so_when_it_is_uploaded_again
    a_deprecated_version_says_so_in_the_index_and_nowhere_else
    what_is_said_of_a_version_is_checked
    what_is_not_listed_tells_why
    what_is_not_listed_comes_in_pages_of_what_the_caller_may_see
    a_chart_takes_the_place_of_one_that_was_not_listed_where_the_caller_may_overwrite
}

pub(super) async fn let_versions_be_replaced(world: &World, project: &str) {
    let set = world
        .stores
        .catalog
        .set_mutable_versions(project.parse().unwrap(), true, "olga".into());
    set.await.unwrap();
}

fn forced(prefix: &str, archive: &Bytes) -> Request {
    post(prefix, archive).at(format!("/helm/{prefix}/api/charts?force"))
}

fn patch(version: &str, said: &Value) -> Request {
    Request::patch(format!("/helm/acme/api/charts/web/{version}")).body(said.to_string())
}

async fn tags(world: &World) -> Value {
    get(world, "/v2/acme/web/tags/list").await.expect(200).json()["tags"].clone()
}

async fn a_version_is_replaced_by_force_where_the_project_lets_it(world: World) {
    let changed = |number: u8| Packed::chart("web", "1.2.3+a", &format!("description: changed {number}\n"));
    let door = world.open();
    door.ask(&post("acme", &changed(0))).await.expect(201);
    let_versions_be_replaced(&world, "acme").await;
    let tag = "/v2/acme/web/manifests/1.2.3_a";
    let first = get(&world, tag).await.expect(200);
    let form = form("acme", &[("chart", &changed(3)), ("force", b"true")]);
    for (number, request) in [
        (1, forced("acme", &changed(1))),
        (2, post("acme", &changed(2)).at("/api/helm/acme/charts?force=true")),
        (3, form),
        (4, Request::put("/helm/acme/web-1.2.3+a.tgz?force").body(changed(4))),
    ] {
        let index = get(&world, "/helm/acme/index.yaml").await.expect(200);
        door.ask(&request).await.expect(201);
        let after = get(&world, "/helm/acme/index.yaml").await.expect(200);
        assert_ne!(after.header("etag"), index.header("etag"));
        let content = granary_storage::Digest::sha256(&changed(number));
        let entry = &after.json()["entries"]["web"];
        assert_eq!(entry.as_array().unwrap().len(), 1);
        assert_eq!(
            (&entry[0]["digest"], &entry[0]["description"]),
            (&json!(content.hex()), &json!(format!("changed {number}")))
        );
        assert_eq!(
            get(&world, tag).await.expect(200).json()["layers"][0]["digest"],
            json!(content.to_string())
        );
        let file = get(&world, "/helm/acme/charts/web-1.2.3+a.tgz").await.expect(200);
        assert_eq!(file.body, changed(number));
        // Nobody may keep for ever what may be another thing tomorrow.
        assert_eq!(file.header("cache-control"), Some("private, no-cache"));
        assert_eq!(get(&world, "/helm/acme/api/charts/web/1.2.3+a").await.expect(200).json(), entry[0]);
    }
    assert_eq!(tags(&world).await, json!(["1.2.3_a"]));
    // The manifest of before is there for who knows it, and the log tells what took its place.
    assert_eq!(
        get(&world, &format!("/v2/acme/web/manifests/{}", first.digest()))
            .await
            .expect(200)
            .body,
        first.body
    );
    let replaced: Vec<_> = world
        .events()
        .await
        .into_iter()
        .filter(|event| event.kind == "chart.replaced")
        .collect();
    assert_eq!(replaced.len(), 4);
    assert_eq!(replaced[0].principal, "robin");
    assert_eq!(
        serde_json::from_str::<Value>(&replaced[0].body).unwrap(),
        json!({
            "tag": "1.2.3_a",
            "was": granary_storage::Digest::sha256(&changed(0)).to_string(),
            "is": granary_storage::Digest::sha256(&changed(1)).to_string(),
        })
    );
    // What is there already is no news, forced or not.
    let before = world.snapshot().await;
    door.ask(&forced("acme", &changed(4))).await.expect(201);
    assert_eq!(world.snapshot().await, before);
}

async fn who_may_not_overwrite_does_not_replace_a_version(world: World) {
    let (archive, other) = (
        Packed::chart("web", "1.0.0", ""),
        Packed::chart("web", "1.0.0", "description: changed\n"),
    );
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let_versions_be_replaced(&world, "acme").await;
    let before = world.snapshot().await;
    let modest = world.behind(FakeGate::holding(Held::No));
    let sentence = refusal(modest.ask(&forced("acme", &other)).await, 403);
    assert!(sentence.contains("which you may not replace"), "{sentence}");
    refusal(modest.ask(&post("acme", &other)).await, 409);
    modest.ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(world.snapshot().await, before);
    modest.ask(&post("acme", &Packed::chart("web", "2.0.0", ""))).await.expect(201);
    // Deleting it does not set its name free.
    world
        .open()
        .ask(&Request::delete("/helm/acme/api/charts/web/1.0.0"))
        .await
        .expect(200);
    refusal(modest.ask(&forced("acme", &other)).await, 403);
    world.open().ask(&forced("acme", &other)).await.expect(201);
    assert_eq!(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200).body, other);
}

async fn an_upload_that_says_no_to_force_replaces_nothing(world: World) {
    let (archive, other) = (
        Packed::chart("web", "1.0.0", ""),
        Packed::chart("web", "1.0.0", "description: changed\n"),
    );
    let door = world.open();
    door.ask(&post("acme", &archive)).await.expect(201);
    let_versions_be_replaced(&world, "acme").await;
    let before = world.snapshot().await;
    for no in ["false", "False", "0"] {
        let asked = post("acme", &other).at(format!("/helm/acme/api/charts?force={no}"));
        assert!(refusal(door.ask(&asked).await, 409).contains("only by force (?force)"), "{no}");
    }
    for no in ["false", "False", "0", ""] {
        let asked = form("acme", &[("force", no.as_bytes()), ("chart", &other)]);
        assert!(refusal(door.ask(&asked).await, 409).contains("only by force (?force)"), "{no}");
    }
    let endless = form("acme", &[("chart", &other), ("force", &[b'1'; 17])]);
    let sentence = refusal(door.ask(&endless).await, 400);
    assert_eq!(sentence, "the form's field force is longer than a yes or a no");
    assert_eq!(world.snapshot().await, before);
    for (yes, archive) in [("true", &other), ("1", &archive)] {
        door.ask(&form("acme", &[("chart", archive), ("force", yes.as_bytes())]))
            .await
            .expect(201);
        assert_eq!(&get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200).body, archive);
    }
}

async fn nothing_but_force_replaces_a_version(world: World) {
    let (archive, other) = (
        Packed::chart("web", "1.0.0", ""),
        Packed::chart("web", "1.0.0", "description: changed\n"),
    );
    let door = world.open();
    door.ask(&post("acme", &archive)).await.expect(201);
    let_versions_be_replaced(&world, "acme").await;
    let sentence = refusal(door.ask(&post("acme", &other)).await, 409);
    assert!(sentence.contains("only by force (?force)"), "{sentence}");
    // A push over OCI cannot say it, so it never does.
    let pushed = push(&world, "acme/web", "1.0.0", &other, &config("web", "1.0.0")).await.expect(409);
    assert_eq!(codes(&pushed), ["DENIED"]);
    let message = pushed.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("only by a forced upload"), "{message}");
    assert_eq!(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200).body, archive);
    // Not even force makes a chart of an image.
    door.ask(&blob("acme/web", "{}")).await.expect(201);
    door.ask(&manifest("acme/web", "3.0.0", &small_image("image"))).await.expect(201);
    refusal(door.ask(&forced("acme", &Packed::chart("web", "3.0.0", ""))).await, 409);
    // In another project nothing has changed.
    door.ask(&post("other", &archive)).await.expect(201);
    refusal(door.ask(&forced("other", &other)).await, 409);
}

async fn who_forces_a_version_loses_no_race(world: World) {
    world
        .open()
        .ask(&post("acme", &Packed::chart("web", "0.1.0", "")))
        .await
        .expect(201);
    let_versions_be_replaced(&world, "acme").await;
    let archives: Vec<_> = (0..8)
        .map(|number| Packed::chart("web", "1.0.0", &format!("description: changed {number}\n")))
        .collect();
    // All of them find nothing there when they look.
    let door = world.open();
    let requests: Vec<_> = archives.iter().map(|archive| forced("acme", archive)).collect();
    for answer in futures_util::future::join_all(requests.iter().map(|request| door.ask(request))).await {
        answer.expect(201);
    }
    let file = get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200);
    assert!(archives.contains(&file.body));
    let events = world.events().await;
    assert_eq!(events.iter().filter(|event| event.kind == "chart.replaced").count(), 7);
}

async fn a_forced_upload_may_sign_a_version_anew(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let signed = provenance(&archive);
    let resigned = signed.replace("\nsigned\n", "\nsigned again\n");
    let with = |text: &str, more: &[(&str, &[u8])]| form("acme", &[&[("chart", &archive[..]), ("prov", text.as_bytes())], more].concat());
    let door = world.open();
    door.ask(&with(&signed, &[])).await.expect(201);
    refusal(door.ask(&with(&resigned, &[("force", b"true")])).await, 409);
    let_versions_be_replaced(&world, "acme").await;
    refusal(door.ask(&with(&resigned, &[])).await, 409);
    door.ask(&with(&resigned, &[("force", b"true")])).await.expect(201);
    let file = get(&world, "/helm/acme/charts/web-1.0.0.tgz.prov").await.expect(200);
    assert_eq!(file.body, resigned.as_bytes());
    // The log tells that the chart stayed and who signed it did not.
    let content = granary_storage::Digest::sha256(&archive).to_string();
    let replaced = world.events().await.into_iter().filter(|event| event.kind == "chart.replaced");
    let bodies: Vec<Value> = replaced.map(|event| serde_json::from_str(&event.body).unwrap()).collect();
    assert_eq!(
        bodies,
        [json!({
            "tag": "1.0.0", "was": content, "is": content,
            "provenance": {
                "was": granary_storage::Digest::sha256(signed.as_bytes()).to_string(),
                "is": granary_storage::Digest::sha256(resigned.as_bytes()).to_string(),
            },
        })]
    );
}

async fn a_yanked_version_is_chosen_by_nobody_and_had_by_who_names_it(world: World) {
    let archive = Packed::default()
        .file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 2.0.0\n")
        .file("web/values.yaml", "a: 1\n")
        .pack();
    let door = world.open();
    door.ask(&post("acme", &Packed::chart("web", "1.0.0", ""))).await.expect(201);
    door.ask(&post("acme", &archive)).await.expect(201);
    let chart = get(&world, "/v2/acme/web/manifests/2.0.0").await.expect(200);
    let digest = chart.digest();
    // Another tag of the same chart, which a range of versions could lead to.
    let other = Request::put("/v2/acme/web/manifests/2.0.1")
        .header("content-type", "application/vnd.oci.image.manifest.v1+json")
        .body(chart.body);
    door.ask(&other).await.expect(201);
    assert_eq!(tags(&world).await, json!(["1.0.0", "2.0.0", "2.0.1"]));
    let said = door
        .ask(&patch("2.0.0", &json!({"yanked": true, "reason": "it loses data"})))
        .await
        .expect(200);
    assert_eq!(
        said.json(),
        json!({"name": "web", "version": "2.0.0", "yanked": true, "reason": "it loses data", "deprecated": false})
    );
    assert_eq!(listed(&world, "acme").await, ["web 1.0.0"]);
    assert_eq!(tags(&world).await, json!(["1.0.0"]));
    let versions = get(&world, "/helm/acme/api/charts/web").await.expect(200).json();
    assert_eq!(versions.as_array().unwrap().len(), 1);
    assert_eq!(get(&world, "/helm/acme/api/charts").await.json()["web"], versions);
    assert_eq!(
        get(&world, "/helm/acme/api/charts/web/latest").await.expect(200).json(),
        versions[0]
    );
    let expected = Some("299 - \"this version was yanked: it loses data\"");
    for target in [
        "/helm/acme/charts/web-2.0.0.tgz".to_owned(),
        "/helm/acme/web-2.0.0.tgz".to_owned(),
        "/helm/acme/api/charts/web/2.0.0".to_owned(),
        "/helm/acme/api/charts/web/2.0.0/values".to_owned(),
        "/helm/acme/api/charts/web/2.0.0/images".to_owned(),
        "/helm/acme/api/charts/web/2.0.0/labels".to_owned(),
        "/helm/acme/api/charts/web/2.0.0/diff/1.0.0".to_owned(),
        "/helm/acme/api/charts/web/1.0.0/diff/2.0.0".to_owned(),
        "/v2/acme/web/manifests/2.0.0".to_owned(),
        format!("/v2/acme/web/manifests/{digest}"),
    ] {
        let answer = get(&world, &target).await.expect(200);
        assert_eq!(answer.header("warning"), expected, "{target}");
        let head = door.ask(&Request::get(&target).as_head()).await.expect(200);
        assert_eq!(head.header("warning"), expected, "HEAD {target}");
    }
    assert_eq!(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.header("warning"), None);
    let file = get(&world, "/helm/acme/charts/web-2.0.0.tgz").await;
    assert_eq!((&file.body, file.header("cache-control")), (&archive, Some("private, no-cache")));
    // And back.
    let said = door.ask(&patch("2.0.0", &json!({"yanked": false}))).await.expect(200).json();
    assert_eq!(
        said,
        json!({"name": "web", "version": "2.0.0", "yanked": false, "deprecated": false})
    );
    assert_eq!(listed(&world, "acme").await, ["web 2.0.0", "web 1.0.0"]);
    assert_eq!(tags(&world).await, json!(["1.0.0", "2.0.0", "2.0.1"]));
    let file = get(&world, "/helm/acme/charts/web-2.0.0.tgz").await;
    assert_ne!(file.header("cache-control"), Some("private, no-cache"));
    assert_eq!(get(&world, "/v2/acme/web/manifests/2.0.0").await.header("warning"), None);
    // The only version, too; and one that is yanked can be deleted.
    for version in ["1.0.0", "2.0.0"] {
        door.ask(&patch(version, &json!({"yanked": true}))).await.expect(200);
    }
    assert_eq!(listed(&world, "acme").await, [""; 0]);
    let bare = get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200);
    assert_eq!(bare.header("warning"), Some("299 - \"this version was yanked\""));
    door.ask(&Request::delete("/helm/acme/api/charts/web/1.0.0")).await.expect(200);
    refusal(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await, 404);
}

async fn a_yanked_version_stays_so_when_it_is_uploaded_again(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let door = world.open();
    door.ask(&post("acme", &archive)).await.expect(201);
    door.ask(&patch("1.0.0", &json!({"yanked": true, "reason": "broken"})))
        .await
        .expect(200);
    let warned = |answer: Answer| answer.expect(201).header("warning").map(ToOwned::to_owned);
    let expected = Some("299 - \"it is in no list: this version was yanked: broken\"".to_owned());
    assert_eq!(warned(door.ask(&post("acme", &archive)).await), expected);
    door.ask(&Request::delete("/helm/acme/api/charts/web/1.0.0")).await.expect(200);
    assert_eq!(warned(door.ask(&post("acme", &archive)).await), expected);
    door.ask(&Request::delete("/v2/acme/web/manifests/1.0.0")).await.expect(202);
    push(&world, "acme/web", "1.0.0", &archive, &config("web", "1.0.0"))
        .await
        .expect(201);
    assert_eq!(listed(&world, "acme").await, [""; 0]);
    let other = Packed::chart("web", "1.0.0", "description: changed\n");
    refusal(door.ask(&post("acme", &other)).await, 409);
}

async fn a_deprecated_version_says_so_in_the_index_and_nowhere_else(world: World) {
    let door = world.open();
    let (one, two) = (
        Packed::chart("web", "1.0.0", "annotations: {a: b}\n"),
        Packed::chart("web", "2.0.0", "deprecated: true\n"),
    );
    for archive in [&one, &two] {
        door.ask(&post("acme", archive)).await.expect(201);
    }
    let before = get(&world, "/helm/acme/api/charts/web/1.0.0").await.expect(200).json();
    let digest = get(&world, "/v2/acme/web/manifests/1.0.0").await.expect(200).digest();
    let said = door.ask(&patch("1.0.0", &json!({"deprecated": true}))).await.expect(200).json();
    assert_eq!((&said["deprecated"], &said["yanked"]), (&json!(true), &json!(false)));
    assert!(said["note"].as_str().unwrap().contains("the archive is unchanged"), "{said}");
    let index = get(&world, "/helm/acme/index.yaml").await.expect(200).json();
    let entry = &index["entries"]["web"][1];
    let mut expected = before.clone();
    expected["deprecated"] = json!(true);
    assert_eq!(*entry, expected);
    assert_eq!(get(&world, "/helm/acme/api/charts/web/1.0.0").await.json(), expected);
    assert_eq!(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.body, one);
    assert_eq!(get(&world, "/v2/acme/web/manifests/1.0.0").await.digest(), digest);
    door.ask(&patch("1.0.0", &json!({"deprecated": false}))).await.expect(200);
    assert_eq!(get(&world, "/helm/acme/index.yaml").await.json()["entries"]["web"][1], before);
    // What the archive says itself is said all the same.
    door.ask(&patch("2.0.0", &json!({"deprecated": true}))).await.expect(200);
    let said = door.ask(&patch("2.0.0", &json!({"deprecated": false}))).await.expect(200).json();
    assert_eq!(said["deprecated"], true);
    assert!(said["note"].as_str().unwrap().contains("its archive says so"), "{said}");
    assert_eq!(
        get(&world, "/helm/acme/index.yaml").await.json()["entries"]["web"][0]["deprecated"],
        true
    );
}

async fn what_is_said_of_a_version_is_checked(world: World) {
    let door = world.open();
    door.ask(&post("acme", &Packed::chart("web", "1.0.0+a", ""))).await.expect(201);
    let before = world.snapshot().await;
    let yank = json!({"yanked": true});
    for (request, status, why) in [
        (patch("1.0.0+a", &json!({})), 400, "is a JSON object such as"),
        (patch("1.0.0+a", &json!({"yanked": "yes"})), 400, "is a JSON object such as"),
        (patch("1.0.0+a", &json!({"yanked": true, "reason": "a\nb"})), 400, "one line"),
        (
            patch("1.0.0+a", &json!({"yanked": true, "reason": "x".repeat(513)})),
            400,
            "longer than 512",
        ),
        (
            patch("1.0.0+a", &json!({"yanked": true, "reason": "x".repeat(8000)})),
            413,
            "larger than the limit",
        ),
        (patch("2.0.0", &yank), 404, "no such version"),
        (patch("latest", &yank), 404, "no such version"),
        (patch("1.0.0_a", &yank), 404, "no such version"),
        (
            patch("1.0.0", &yank).at("/helm/acme/api/charts/absent/1.0.0"),
            404,
            "no such version",
        ),
    ] {
        let sentence = refusal(door.ask(&request).await, status);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    door.ask(&patch("1.0.0+a", &yank).at("/api/helm/acme/charts/web/1.0.0+a"))
        .await
        .expect(200);
    assert_eq!(listed(&world, "acme").await, [""; 0]);
}

/// What is not listed under `acme`, by tags and reason, without order.
async fn unlisted(world: &World) -> Vec<(Value, String)> {
    let told = get(world, "/helm/acme/api/unlisted").await.expect(200).json();
    let rows = told["unlisted"].as_array().unwrap().iter();
    let mut rows: Vec<_> = rows
        .map(|row| (row["tags"].clone(), row["reason"].as_str().unwrap().to_owned()))
        .collect();
    rows.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    rows
}

async fn what_is_not_listed_tells_why(world: World) {
    let (archive, door) = (Packed::chart("web", "1.2.3+a", ""), world.open());
    assert_eq!(unlisted(&world).await, []);
    let right = config("web", "1.2.3+a");
    push(&world, "acme/web", "latest", &archive, &right).await.expect(201);
    push(&world, "acme/other", "1.2.3_a", &archive, &right).await.expect(201);
    let broken = push(&world, "acme/web", "9.0.0", &Bytes::from_static(b"no archive"), &right)
        .await
        .expect(201);
    assert!(broken.header("warning").unwrap().contains("no gzip archive"));
    door.ask(&post("acme", &Packed::chart("web", "2.0.0", ""))).await.expect(201);
    door.ask(&patch("2.0.0", &json!({"yanked": true, "reason": "it loses data"})))
        .await
        .expect(200);
    let told = unlisted(&world).await;
    let expected = [
        (json!(["1.2.3_a"]), "the chart is called web, so"),
        (json!(["9.0.0"]), "no gzip archive"),
        (json!(["2.0.0"]), "this version was yanked: it loses data"),
        (json!(["latest"]), "listed under the tag 1.2.3_a alone"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (tags, why) in expected {
        assert!(
            told.iter().any(|(found, reason)| *found == tags && reason.contains(why)),
            "{why}: {told:?}"
        );
    }
    let whole = get(&world, "/helm/acme/api/unlisted").await.json();
    let yanked = whole["unlisted"].as_array().unwrap().iter().filter(|row| row["yanked"] == true);
    let yanked: Vec<_> = yanked.collect();
    assert_eq!((yanked.len(), &yanked[0]["repository"]), (1, &json!("acme/web")));
    let digest = get(&world, "/v2/acme/web/manifests/2.0.0").await.digest();
    assert_eq!(yanked[0]["digest"], json!(digest.to_string()));
    // Put right, it is listed.
    push(&world, "acme/web", "1.2.3_a", &archive, &right).await.expect(201);
    door.ask(&patch("2.0.0", &json!({"yanked": false}))).await.expect(200);
    for tag in ["acme/other/manifests/1.2.3_a", "acme/web/manifests/9.0.0"] {
        let digest = get(&world, &format!("/v2/{tag}")).await.expect(200).digest();
        let (repository, _) = tag.split_once("/manifests").unwrap();
        door.ask(&Request::delete(format!("/v2/{repository}/manifests/{digest}")))
            .await
            .expect(202);
    }
    assert_eq!(unlisted(&world).await, []);
}

async fn what_is_not_listed_comes_in_pages_of_what_the_caller_may_see(world: World) {
    for (repository, number) in [("acme/a", 0), ("acme/a", 1), ("acme/b", 2), ("acme/deep/c", 3), ("other/a", 4)] {
        push(
            &world,
            repository,
            "1.0.0",
            &Bytes::from(format!("broken {number}")),
            &config("x", "1.0.0"),
        )
        .await
        .expect(201);
    }
    let names = |answer: &Answer| {
        let told = answer.json();
        let rows = told["unlisted"].as_array().unwrap().iter();
        rows.map(|row| row["repository"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (mut seen, mut next) = (Vec::new(), Some("/helm/acme/api/unlisted?n=1".to_owned()));
    while let Some(target) = next {
        let page = get(&world, &target).await.expect(200);
        seen.extend(names(&page));
        let link = page
            .header("link")
            .map(|link| link.trim_start_matches('<').split('>').next().unwrap().to_owned());
        next = link;
    }
    assert_eq!(seen, ["acme/a", "acme/a", "acme/b"]);
    let page = get(&world, "/helm/acme/api/unlisted?n=0").await.expect(200);
    assert_eq!((names(&page), page.header("link")), (vec![], None));
    refusal(get(&world, "/helm/acme/api/unlisted?n=x").await, 400);
    assert_eq!(names(&get(&world, "/helm/acme/deep/api/unlisted").await), ["acme/deep/c"]);
    let door = world.behind(FakeGate::showing(Visible {
        projects: None,
        public: true,
        only: Some(vec!["acme/b".parse().unwrap()]),
    }));
    assert_eq!(
        names(&door.ask(&Request::get("/helm/acme/api/unlisted")).await.expect(200)),
        ["acme/b"]
    );
}

async fn a_chart_takes_the_place_of_one_that_was_not_listed_where_the_caller_may_overwrite(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    push(
        &world,
        "acme/web",
        "1.0.0",
        &Bytes::from_static(b"no archive"),
        &config("web", "1.0.0"),
    )
    .await
    .expect(201);
    let before = world.snapshot().await.names;
    let modest = world.behind(FakeGate::holding(Held::No));
    refusal(modest.ask(&post("acme", &archive)).await, 403);
    assert_eq!(world.snapshot().await.names, before);
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(listed(&world, "acme").await, ["web 1.0.0"]);
}
