//! Mounting a blob from another repository: a shortcut for who may read the source, a
//! wider token for who could, and an ordinary upload for everybody else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::{codes, push_blob, session};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::{Door, World};
use crate::gate::Held;
use granary_storage::access::Visible;
use granary_storage::{Digest, ErrorKind, What};

stories! {
    a_mount_from_a_readable_repository_links_the_blob_without_its_bytes
    a_token_that_is_too_narrow_is_told_both_scopes
    a_token_that_is_too_narrow_for_nothing_gets_a_session
    who_may_not_read_the_source_gets_a_session_whether_or_not_the_blob_is_there
    a_mount_from_anywhere_finds_only_what_the_caller_may_see
    a_refused_token_is_told_the_scope_that_would_do
}

const LAYER: &[u8] = b"a layer worth sharing";

fn mount(digest: &Digest, from: Option<&str>) -> Request {
    let from = from.map(|name| format!("&from={name}")).unwrap_or_default();
    Request::post(format!("/v2/acme/app/blobs/uploads/?mount={digest}{from}"))
}

fn read(digest: &Digest) -> Request {
    Request::get(format!("/v2/acme/app/blobs/{digest}"))
}

/// An answer without what differs from one session to the next.
fn without_session(answer: &Answer) -> (u16, Vec<String>, bytes::Bytes) {
    let names = answer.headers.iter().map(|(name, _)| name.clone()).collect();
    (answer.status, names, answer.body.clone())
}

async fn is_a_session(world: &World, answer: Answer) {
    let answer = answer.expect(202);
    let place = answer.header("location").unwrap();
    world.open().ask(&Request::get(place)).await.expect(204);
}

async fn a_mount_from_a_readable_repository_links_the_blob_without_its_bytes(world: World) {
    let digest = push_blob(&world, "team/base", LAYER).await;
    let before = world.snapshot().await;
    let answer = world.open().ask(&mount(&digest, Some("team/base"))).await.expect(201);
    assert_eq!(answer.digest(), digest);
    assert_eq!(answer.header("location").unwrap(), format!("/v2/acme/app/blobs/{digest}"));
    assert_eq!(world.open().ask(&read(&digest)).await.expect(200).body, LAYER);
    let after = world.snapshot().await;
    assert_eq!(after.blobs, before.blobs, "the bytes are stored once");
    assert_eq!(after.events.last().unwrap().kind, "blob.mounted");
    // Again, and from itself: it is there, so it stays.
    world.open().ask(&mount(&digest, Some("team/base"))).await.expect(201);
    world.open().ask(&mount(&digest, Some("acme/app"))).await.expect(201);
}

async fn a_token_that_is_too_narrow_is_told_both_scopes(world: World) {
    let digest = push_blob(&world, "team/base", LAYER).await;
    push_blob(&world, "acme/app", b"unrelated").await;
    let before = world.snapshot().await;
    let door = world.behind(FakeGate::holding(Held::TokenTooNarrow));
    let answer = door.ask(&mount(&digest, Some("team/base"))).await.expect(401);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("scope=\"repository:acme/app:pull,push repository:team/base:pull\""),
        "{challenge}"
    );
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert_eq!(codes(&answer), ["UNAUTHORIZED"]);
    // From a name of one segment: the scope names the repository that it means.
    push_blob(&world, "base", LAYER).await;
    let answer = door.ask(&mount(&digest, Some("base"))).await.expect(401);
    assert!(answer.header("www-authenticate").unwrap().contains("repository:library/base:pull"));
    door.ask(&read(&digest)).await.expect(404);
    assert_eq!(world.snapshot().await.names, before.names);
}

async fn a_token_that_is_too_narrow_for_nothing_gets_a_session(world: World) {
    // A wider token would bring nothing: the client is not sent for one.
    let absent = Digest::sha256(b"nowhere");
    push_blob(&world, "team/base", LAYER).await;
    let door = world.behind(FakeGate::holding(Held::TokenTooNarrow));
    for from in ["team/base", "team/none", "NO/NAME"] {
        is_a_session(&world, door.ask(&mount(&absent, Some(from))).await).await;
    }
}

async fn who_may_not_read_the_source_gets_a_session_whether_or_not_the_blob_is_there(world: World) {
    let digest = push_blob(&world, "secret/base", LAYER).await;
    let door = world.behind(FakeGate::holding(Held::No));
    let hidden = door.ask(&mount(&digest, Some("secret/base"))).await;
    let absent = door.ask(&mount(&Digest::sha256(b"nowhere"), Some("secret/base"))).await;
    let no_such_repository = door.ask(&mount(&digest, Some("secret/none"))).await;
    for other in [&absent, &no_such_repository] {
        assert_eq!(without_session(&hidden), without_session(other));
    }
    is_a_session(&world, hidden).await;
    door.ask(&read(&digest)).await.expect(404);
}

async fn a_mount_from_anywhere_finds_only_what_the_caller_may_see(world: World) {
    let digest = push_blob(&world, "secret/base", LAYER).await;
    let project = world.stores.catalog.project("secret".parse().unwrap()).await.unwrap().unwrap().id;
    let seeing = |projects, public, only| world.behind(FakeGate::showing(Visible { projects, public, only }));
    let nobody: [Door; 3] = [
        seeing(Some(vec![]), true, None),
        seeing(Some(vec![]), false, None),
        // A member, with a token for another repository only.
        seeing(Some(vec![project]), true, Some(vec!["secret/other".parse().unwrap()])),
    ];
    for door in nobody {
        is_a_session(&world, door.ask(&mount(&digest, None)).await).await;
        door.ask(&read(&digest)).await.expect(404);
    }
    let member = seeing(Some(vec![project]), true, Some(vec!["secret/base".parse().unwrap()]));
    member.ask(&mount(&digest, None)).await.expect(201);
    assert_eq!(member.ask(&read(&digest)).await.expect(200).body, LAYER);
}

async fn a_refused_token_is_told_the_scope_that_would_do(world: World) {
    let place = session(&world, "acme/app").await;
    let (digest, upload) = (Digest::sha256(LAYER), format!("{place}?digest={}", Digest::sha256(LAYER)));
    let door = world.behind(FakeGate::refusing(ErrorKind::Unauthenticated, What::Scope));
    for (request, scope) in [
        (Request::get("/v2/_catalog"), "registry:catalog:*"),
        (Request::get("/v2/solo/tags/list"), "repository:library/solo:pull"),
        (read(&digest), "repository:acme/app:pull"),
        (Request::put("/v2/acme/app/manifests/latest"), "repository:acme/app:pull,push"),
        (Request::delete("/v2/acme/app/manifests/latest"), "repository:acme/app:delete"),
        (Request::patch(&*place), "repository:acme/app:pull,push"),
        (Request::put(&*upload), "repository:acme/app:pull,push"),
        (Request::delete(&*place), "repository:acme/app:pull,push"),
        (
            mount(&digest, Some("team/base")),
            "repository:acme/app:pull,push repository:team/base:pull",
        ),
        (mount(&digest, Some("acme/app")), "repository:acme/app:pull,push"),
    ] {
        let answer = door.ask(&request).await.expect(401);
        let challenge = answer.header("www-authenticate").unwrap();
        let expected =
            format!("Bearer realm=\"https://registry.example/token\",service=\"granary\",scope=\"{scope}\",error=\"insufficient_scope\"");
        assert_eq!(challenge, expected, "{request:?}");
    }
    // The session outlives the refusals: the client goes on with a new token.
    world.open().ask(&Request::put(upload).body(LAYER)).await.expect(201);
}
