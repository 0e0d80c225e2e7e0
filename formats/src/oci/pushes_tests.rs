//! Pushing manifests: several tags at once, only if the tag is what the client believes,
//! only over what the client may overwrite, and never over what is not here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::{codes, image, manifest, push_blob, push_manifest, small_image};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use crate::gate::Held;
use futures_util::future::join_all;
use granary_storage::Digest;

stories! {
    a_tag_is_created_only_when_it_is_free
    a_tag_is_moved_only_from_what_the_client_saw
    a_condition_without_a_tag_is_about_the_manifest
    a_condition_on_a_name_that_is_not_there_leaves_nothing
    of_many_who_saw_the_same_tag_one_moves_it
    one_push_sets_several_tags
    tag_parameters_are_checked_before_anything_is_stored
    who_may_only_create_moves_no_tag
    a_manifest_is_what_its_digest_says
    a_manifest_names_only_what_its_repository_holds
}

async fn target(world: &World, reference: &str) -> Option<Digest> {
    let read = Request::get(format!("/v2/acme/app/manifests/{reference}"));
    let answer = world.open().ask(&read).await;
    (answer.status == 200).then(|| answer.digest())
}

/// What is pushed, and where to find it.
fn small(flavour: &str) -> (serde_json::Value, Digest) {
    let content = small_image(flavour);
    let digest = Digest::sha256(format!("{content}\n").as_bytes());
    (content, digest)
}

/// A push to the tag `latest` under a condition.
fn latest(content: &serde_json::Value, name: &'static str, condition: &str) -> Request {
    manifest("acme/app", "latest", content).header(name, condition)
}

async fn a_tag_is_created_only_when_it_is_free(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let ((first, one), (second, two)) = (small("first"), small("second"));
    world.open().ask(&latest(&first, "if-none-match", "*")).await.expect(201);
    let before = world.snapshot().await;
    for content in [&second, &first] {
        let answer = world.open().ask(&latest(content, "if-none-match", "*")).await.expect(412);
        assert_eq!(codes(&answer), ["PRECONDITION_FAILED"]);
    }
    assert_eq!(target(&world, "latest").await, Some(one));
    assert_eq!(
        target(&world, &two.to_string()).await,
        None,
        "what was refused is stored all the same"
    );
    assert_eq!(world.snapshot().await, before);
    // A tag that was deleted is free again.
    world
        .open()
        .ask(&Request::delete("/v2/acme/app/manifests/latest"))
        .await
        .expect(202);
    world.open().ask(&latest(&second, "if-none-match", "*")).await.expect(201);
}

async fn a_tag_is_moved_only_from_what_the_client_saw(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let ((first, one), (second, two), (third, _)) = (small("first"), small("second"), small("third"));
    world.open().ask(&latest(&first, "if-match", "*")).await.expect(412);
    assert_eq!(target(&world, "latest").await, None);
    push_manifest(&world, "acme/app", "latest", &first).await;
    world
        .open()
        .ask(&latest(&second, "if-match", &format!("\"{one}\"")))
        .await
        .expect(201);
    let before = world.snapshot().await;
    for stale in [
        format!("\"{one}\""),
        format!("\"x\", \"{one}\""),
        "\"nonsense\"".into(),
        // A weak tag matches nothing here.
        format!("W/\"{two}\""),
        String::new(),
    ] {
        world.open().ask(&latest(&third, "if-match", &stale)).await.expect(412);
    }
    world
        .open()
        .ask(&latest(&third, "if-none-match", &format!("\"{two}\"")))
        .await
        .expect(412);
    assert_eq!(world.snapshot().await, before);
    let either = format!("\"{one}\", \"{two}\"");
    world.open().ask(&latest(&third, "if-match", &either)).await.expect(201);
    world
        .open()
        .ask(&latest(&first, "if-none-match", &format!("\"{two}\"")))
        .await
        .expect(201);
    assert_eq!(target(&world, "latest").await, Some(one));
}

async fn a_condition_without_a_tag_is_about_the_manifest(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let (content, digest) = small("first");
    let by_digest = |name, condition| manifest("acme/app", &digest.to_string(), &content).header(name, condition);
    world.open().ask(&by_digest("if-match", "*")).await.expect(412);
    assert_eq!(target(&world, &digest.to_string()).await, None);
    world.open().ask(&by_digest("if-none-match", "*")).await.expect(201);
    world.open().ask(&by_digest("if-none-match", "*")).await.expect(412);
    world.open().ask(&by_digest("if-match", "*")).await.expect(201);
}

async fn a_condition_on_a_name_that_is_not_there_leaves_nothing(world: World) {
    let empty = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
    let before = world.snapshot().await;
    let request = manifest("new/name", "latest", &empty).header("if-match", "*");
    world.open().ask(&request).await.expect(412);
    assert_eq!(world.snapshot().await, before);
}

async fn of_many_who_saw_the_same_tag_one_moves_it(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let (base, seen) = small("base");
    push_manifest(&world, "acme/app", "latest", &base).await;
    let door = world.open();
    let pushes: Vec<Request> = (0..8)
        .map(|i| latest(&small(&format!("racer {i}")).0, "if-match", &format!("\"{seen}\"")))
        .collect();
    let answers = join_all(pushes.iter().map(|push| door.ask(push))).await;
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 412)), "{answers:?}");
    assert_eq!(target(&world, "latest").await, Some(winners[0].digest()));
}

async fn one_push_sets_several_tags(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let (content, digest) = small("first");
    let push = manifest("acme/app", &format!("{digest}?tag=1&tag=1.2&tag=1.2.3&tag=1.2"), &content);
    let answer = world.open().ask(&push).await.expect(201);
    assert_eq!(answer.digest(), digest);
    let mut told = answer.all("oci-tag");
    told.dedup();
    assert!(["1", "1.2", "1.2.3"].iter().all(|tag| told.contains(tag)), "{told:?}");
    for tag in ["1", "1.2", "1.2.3"] {
        assert_eq!(target(&world, tag).await, Some(digest), "{tag}");
    }
    let moves = world.events().await.into_iter().filter(|event| event.kind == "tag.moved").count();
    assert_eq!(moves, 3);
    // Pushed again, nothing moves.
    world.open().ask(&push).await.expect(201);
    let moves = world.events().await.into_iter().filter(|event| event.kind == "tag.moved").count();
    assert_eq!(moves, 3);
    // All or none: one tag that is not what the client believes holds the others back.
    let (next, other) = small("second");
    push_manifest(&world, "acme/app", "1.2", &next).await;
    let reference = format!("{digest}?tag=new&tag=1.2");
    let conditional = manifest("acme/app", &reference, &content).header("if-match", format!("\"{digest}\""));
    world.open().ask(&conditional).await.expect(412);
    assert_eq!((target(&world, "new").await, target(&world, "1.2").await), (None, Some(other)));
}

async fn tag_parameters_are_checked_before_anything_is_stored(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let (content, digest) = small("first");
    let before = world.snapshot().await;
    let many = (0..65).map(|i| format!("tag=t{i}")).collect::<Vec<_>>().join("&");
    for (reference, status, code) in [
        (format!("{digest}?tag=good&tag=.bad"), 400, "TAG_INVALID"),
        (format!("{digest}?tag="), 400, "TAG_INVALID"),
        (format!("{digest}?{many}"), 414, "UNSUPPORTED"),
        ("latest?tag=other".to_owned(), 400, "TAG_INVALID"),
    ] {
        let answer = world.open().ask(&manifest("acme/app", &reference, &content)).await.expect(status);
        assert_eq!(codes(&answer), [code], "{reference}");
    }
    assert_eq!(world.snapshot().await, before);
}

async fn who_may_only_create_moves_no_tag(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let ((first, one), (second, two)) = (small("first"), small("second"));
    let door = world.behind(FakeGate::holding(Held::No));
    door.ask(&manifest("acme/app", "1.0", &first)).await.expect(201);
    let before = world.snapshot().await;
    let answer = door.ask(&manifest("acme/app", "1.0", &second)).await.expect(403);
    assert_eq!(codes(&answer), ["DENIED"]);
    // Not by the other road either, and then the free tag is not set.
    door.ask(&manifest("acme/app", &format!("{two}?tag=free&tag=1.0"), &second))
        .await
        .expect(403);
    assert_eq!(world.snapshot().await, before);
    // The same content again is no move; other content has other names.
    door.ask(&manifest("acme/app", "1.0", &first)).await.expect(201);
    door.ask(&manifest("acme/app", "1.1", &second)).await.expect(201);
    assert_eq!((target(&world, "1.0").await, target(&world, "1.1").await), (Some(one), Some(two)));
}

async fn a_manifest_is_what_its_digest_says(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let ((content, _), (_, other)) = (small("first"), small("second"));
    let before = world.snapshot().await;
    let answer = world
        .open()
        .ask(&manifest("acme/app", &other.to_string(), &content))
        .await
        .expect(400);
    assert_eq!(codes(&answer), ["DIGEST_INVALID"]);
    assert_eq!(world.snapshot().await, before);
}

async fn a_manifest_names_only_what_its_repository_holds(world: World) {
    // A digest that is known somewhere is no key to it.
    push_blob(&world, "secret/base", b"the layer").await;
    push_blob(&world, "acme/app", b"{}").await;
    let before = world.snapshot().await;
    let borrowed = image(b"{}", b"the layer");
    for repository in ["acme/app", "new/app"] {
        let held = world.open().ask(&manifest(repository, "latest", &borrowed)).await.expect(400);
        let nowhere = world
            .open()
            .ask(&manifest(repository, "latest", &image(b"{}", b"no layer")))
            .await
            .expect(400);
        assert_eq!(
            (codes(&held), codes(&nowhere)),
            (vec!["MANIFEST_BLOB_UNKNOWN".to_owned()], codes(&held))
        );
    }
    // No repository is left behind either.
    assert_eq!(world.snapshot().await, before);
    push_blob(&world, "acme/app", b"the layer").await;
    push_manifest(&world, "acme/app", "latest", &borrowed).await;
}
