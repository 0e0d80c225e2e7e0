//! Upload sessions: whose they are, what they survive, and, against a model of a few
//! lines, what every order of requests leaves of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::{blob, codes, push_blob, session};
use crate::contract::request::{Request, broken, pieces};
use crate::contract::stories;
use crate::contract::world::World;
use bytes::Bytes;
use futures_util::future::join;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use granary_storage::limits::Limits;
use granary_storage::{Algorithm, Digest, Error, ErrorKind, What};
use tokio::sync::oneshot;

stories! {
    a_session_belongs_to_one_principal_and_one_repository
    what_arrived_before_a_connection_broke_is_kept
    a_chunk_counts_as_a_whole_or_not_at_all
    a_newer_request_takes_a_session_from_an_older_one
    a_session_hashes_with_the_algorithm_that_was_asked_for
    an_empty_blob_can_be_uploaded_in_every_way
    two_uploads_of_one_blob_both_succeed_and_store_it_once
    open_sessions_are_limited
    a_blob_that_a_manifest_needs_stays
}

const NOWHERE: &str = "/v2/acme/app/blobs/uploads/00000000-0000-4000-8000-000000000000";

fn broken_off() -> Error {
    Error::invalid(What::Size, "the body ended early")
}

/// Where a session stands, as the client is told.
async fn range(world: &World, place: &str) -> String {
    let answer = world.open().ask(&Request::get(place)).await.expect(204);
    answer.header("range").unwrap().to_owned()
}

async fn finish(world: &World, place: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let put = Request::put(format!("{place}?digest={digest}"));
    assert_eq!(world.open().ask(&put).await.expect(201).digest(), digest);
    digest
}

async fn a_session_belongs_to_one_principal_and_one_repository(world: World) {
    push_blob(&world, "team/app", b"so that the repository exists").await;
    let place = session(&world, "acme/app").await;
    let moved = place.replace("acme/app", "team/app");
    let door = world.open();
    for (who, place) in [("robin", moved.as_str()), ("kim", &place), ("robin", NOWHERE)] {
        let finish = format!("{place}?digest={}", Digest::sha256(b"x"));
        let chunk = Request::patch(place).header("content-range", "0-0").body("x");
        for request in [
            Request::get(place),
            Request::patch(place).body("x"),
            chunk,
            Request::put(finish).body("x"),
            Request::delete(place),
        ] {
            let answer = door.ask_as(who, &request).await.expect(404);
            assert_eq!(codes(&answer), ["BLOB_UPLOAD_UNKNOWN"], "{request:?}");
        }
    }
    assert_eq!(range(&world, &place).await, "0-0");
    door.ask(&Request::patch(&*place).body("mine")).await.expect(202);
    finish(&world, &place, b"mine").await;
}

async fn what_arrived_before_a_connection_broke_is_kept(world: World) {
    let place = session(&world, "acme/app").await;
    let stream = Request::patch(&*place);
    let (first, stalled) = (
        Bytes::from_static(b"first, "),
        Error::new(ErrorKind::Timeout, What::Request, "too slow"),
    );
    world.open().ask_with(&stream, broken(first, broken_off())).await.expect(400);
    assert_eq!(range(&world, &place).await, "0-6");
    world
        .open()
        .ask_with(&stream, broken(Bytes::from_static(b"second, "), stalled))
        .await
        .expect(408);
    assert_eq!(range(&world, &place).await, "0-14");
    let answer = world.open().ask(&stream.clone().body("third")).await.expect(202);
    assert_eq!(answer.header("range"), Some("0-19"));
    // The last request may break too.
    let bytes = b"first, second, third, last";
    let put = Request::put(format!("{place}?digest={}", Digest::sha256(bytes)));
    world
        .open()
        .ask_with(&put, broken(Bytes::from_static(b", la"), broken_off()))
        .await
        .expect(400);
    world.open().ask(&put.body("st")).await.expect(201);
}

async fn a_chunk_counts_as_a_whole_or_not_at_all(world: World) {
    let place = session(&world, "acme/app").await;
    world
        .open()
        .ask(&Request::patch(&*place).header("content-range", "0-3").body("abcd"))
        .await
        .expect(202);
    let chunk = Request::patch(&*place).header("content-range", "4-7");
    world
        .open()
        .ask_with(&chunk, broken(Bytes::from_static(b"ef"), broken_off()))
        .await
        .expect(400);
    for body in ["efg", "efghi", ""] {
        let answer = world.open().ask_with(&chunk, pieces(vec![Ok(Bytes::from(body))])).await.expect(400);
        assert_eq!(codes(&answer), ["SIZE_INVALID"], "{body}");
    }
    for malformed in ["4", "7-4", "bytes=4-7", "four-seven"] {
        world
            .open()
            .ask(&chunk.clone().header("content-range", malformed).body("efgh"))
            .await
            .expect(400);
    }
    assert_eq!(range(&world, &place).await, "0-3");
    // Out of order: told where the session stands, and it stays there.
    for wrong in ["0-3", "3-6", "5-8"] {
        let answer = world
            .open()
            .ask(&chunk.clone().header("content-range", wrong).body("efgh"))
            .await
            .expect(416);
        assert_eq!(
            (answer.header("range"), answer.header("location")),
            (Some("0-3"), Some(place.as_str())),
            "{wrong}"
        );
    }
    world.open().ask(&chunk.body("efgh")).await.expect(202);
    finish(&world, &place, b"abcdefgh").await;
}

async fn a_newer_request_takes_a_session_from_an_older_one(world: World) {
    let place = session(&world, "acme/app").await;
    let (go_on, wait) = oneshot::channel::<()>();
    let (door, patch) = (world.open(), Request::patch(&*place));
    // The older request has sent a part and hangs; its client has given it up.
    let rest = wait.map(|_| Ok(Bytes::from_static(b"too late")));
    let body = stream::iter([Ok(Bytes::from_static(b"lost"))]).chain(rest.into_stream());
    let older = door.ask_with(&patch, Box::pin(body));
    let newer = async {
        while world
            .stores
            .uploads
            .status(id(&place), repository(&world).await, "robin".into())
            .await
            .unwrap()
            .epoch
            == 0
        {
            tokio::task::yield_now().await;
        }
        let answer = door.ask(&patch.clone().body("kept")).await.expect(202);
        assert_eq!(answer.header("range"), Some("0-3"));
        go_on.send(()).unwrap();
    };
    let (older, ()) = join(older, newer).await;
    assert_eq!(codes(&older.expect(409)), ["BLOB_UPLOAD_INVALID"]);
    finish(&world, &place, b"kept").await;
}

fn id(place: &str) -> granary_storage::blob::UploadId {
    place.rsplit('/').next().unwrap().parse().unwrap()
}

async fn repository(world: &World) -> granary_storage::catalog::RepositoryId {
    let name = "acme/app".parse().unwrap();
    world.stores.catalog.repository(name).await.unwrap().unwrap().id
}

async fn a_session_hashes_with_the_algorithm_that_was_asked_for(world: World) {
    let digest = Digest::of(Algorithm::Sha512, b"long");
    for start in ["/v2/acme/app/blobs/uploads/?digest-algorithm=sha512", "/v2/acme/app/blobs/uploads/"] {
        let answer = world.open().ask(&Request::post(start)).await.expect(202);
        let put = format!("{}?digest={digest}", answer.header("location").unwrap());
        world.open().ask(&Request::put(put).body("long")).await.expect(201);
        let read = Request::get(format!("/v2/acme/app/blobs/{digest}"));
        assert_eq!(world.open().ask(&read).await.expect(200).body, &b"long"[..]);
        world.open().ask(&Request::delete(read.target)).await.expect(202);
    }
    let unknown = Request::post("/v2/acme/app/blobs/uploads/?digest-algorithm=md5");
    assert_eq!(codes(&world.open().ask(&unknown).await.expect(400)), ["DIGEST_INVALID"]);
}

async fn an_empty_blob_can_be_uploaded_in_every_way(world: World) {
    let digest = push_blob(&world, "acme/one", b"").await;
    let place = session(&world, "acme/two").await;
    finish(&world, &place, b"").await;
    let place = session(&world, "acme/three").await;
    world.open().ask(&Request::patch(&*place).body("")).await.expect(202);
    finish(&world, &place, b"").await;
    for repository in ["acme/one", "acme/two", "acme/three"] {
        world
            .open()
            .ask(&Request::get(format!("/v2/{repository}/blobs/{digest}")))
            .await
            .expect(200);
    }
}

async fn two_uploads_of_one_blob_both_succeed_and_store_it_once(world: World) {
    let (one, two) = (blob("acme/app", "shared"), blob("team/app", "shared"));
    let door = world.open();
    let (first, second) = join(door.ask(&one), door.ask(&two)).await;
    assert_eq!((first.status, second.status), (201, 201));
    let stored = world.snapshot().await;
    assert_eq!((stored.blobs.len(), stored.orphans.len()), (1, 0));
}

async fn open_sessions_are_limited(world: World) {
    let limits = Limits {
        uploads_per_principal: 2,
        ..Limits::default()
    };
    let door = world.limited(crate::contract::gate::FakeGate::open(), limits);
    let start = Request::post("/v2/acme/app/blobs/uploads/");
    let place = door.ask(&start).await.expect(202).header("location").unwrap().to_owned();
    door.ask(&start).await.expect(202);
    let answer = door.ask(&start).await.expect(429);
    assert_eq!(
        (codes(&answer), answer.header("retry-after")),
        (vec!["TOOMANYREQUESTS".into()], Some("1"))
    );
    door.ask_as("kim", &start).await.expect(202);
    door.ask(&Request::delete(place)).await.expect(204);
    door.ask(&start).await.expect(202);
}

async fn a_blob_that_a_manifest_needs_stays(world: World) {
    let digest = push_blob(&world, "acme/app", b"{}").await;
    let image = super::specimen_tests::small_image("holder");
    let holder = super::specimen_tests::push_manifest(&world, "acme/app", "latest", &image).await;
    let delete = Request::delete(format!("/v2/acme/app/blobs/{digest}"));
    let answer = world.open().ask(&delete).await.expect(405);
    assert!(
        String::from_utf8_lossy(&answer.body).contains(&holder.to_string()),
        "the sentence names the manifest"
    );
    world
        .open()
        .ask(&Request::delete(format!("/v2/acme/app/manifests/{holder}")))
        .await
        .expect(202);
    world.open().ask(&delete).await.expect(202);
    world.open().ask(&delete).await.expect(404);
}
