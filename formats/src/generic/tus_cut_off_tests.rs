//! Uploads by tus whose client is gone, or asks twice: what came is kept, and what was begun is brought to its end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use super::tus_tests::{FW, begun, creation, head, piece, send, stands, tus};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Request, pieces};
use crate::contract::stories;
use crate::contract::world::{Door, World};
use crate::handler::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use granary_storage::Result;
use granary_storage::blob::UploadId;
use granary_storage::catalog::TusUpload;
use granary_storage::limits::Limits;
use granary_storage::sums::Promised;
use granary_storage::upload::Writing;
use http::Method;
use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

stories! {
    what_came_before_the_client_was_gone_is_kept
    a_file_is_stored_though_the_client_is_gone_at_whatever_moment
    a_creation_whose_client_is_gone_leaves_no_upload
    who_asks_at_once_is_answered_at_once
    a_file_is_made_once_of_an_upload
    what_is_cancelled_before_its_file_is_made_makes_none
    a_client_may_say_patch_within_a_post
    what_an_upload_does_not_keep_is_refused
    uploads_of_nothing_count_as_any_other
}

/// A body of these bytes, behind which something else comes of itself; and whether that was asked for.
fn watched(bytes: &'static str, behind: Poll<Option<Result<Bytes>>>) -> (Body, Rc<Cell<bool>>) {
    let seen = Rc::new(Cell::new(false));
    let flag = seen.clone();
    let mut behind = Some(behind);
    let end = stream::poll_fn(move |_| {
        flag.set(true);
        behind.take().unwrap_or(Poll::Pending)
    });
    (Box::pin(pieces(vec![Ok(Bytes::from_static(bytes.as_bytes()))]).chain(end)), seen)
}

/// The body ends.
fn ending(bytes: &'static str) -> (Body, Rc<Cell<bool>>) {
    watched(bytes, Poll::Ready(None))
}

/// Nothing more comes, and nothing ends.
fn hanging(bytes: &'static str) -> (Body, Rc<Cell<bool>>) {
    watched(bytes, Poll::Pending)
}

/// Asks, and is gone after so many looks for an answer. Whether there was one before.
async fn leave(door: &Door, request: &Request, body: Body, looks: usize) -> bool {
    let asking = door.ask_with(request, body);
    tokio::pin!(asking);
    for _ in 0..looks {
        if asking.as_mut().now_or_never().is_some() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

/// Sends these bytes of more, and is gone once they were taken.
async fn leave_behind(door: &Door, request: &Request, bytes: &'static str) {
    let (body, seen) = hanging(bytes);
    let asking = door.ask_with(request, body);
    tokio::pin!(asking);
    until("the bytes were taken", async || {
        assert!(asking.as_mut().now_or_never().is_none());
        seen.get()
    })
    .await;
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

async fn what_came_before_the_client_was_gone_is_kept(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    leave_behind(&world.open(), &piece(&at, 0, "abcdef"), "abc").await;
    // The server notices it a moment later. Not by HEAD: that takes the upload from who still writes it.
    let (id, upload) = known(&world, &at).await;
    until("what came is acknowledged", async || {
        let session = world.stores.catalog.upload(id, upload.repository, "robin".into()).await.unwrap();
        session.unwrap().offset == 3
    })
    .await;
    stands(&head(&world, &at).await.expect(200), "3");
    send(&world, &piece(&at, 3, "def")).await.expect(204);
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
}

async fn a_file_is_stored_though_the_client_is_gone_at_whatever_moment(world: World) {
    for looks in 0.. {
        let path = format!("1.2/fw-{looks}.bin");
        let at = begun(&world, &path, 6).await;
        send(&world, &piece(&at, 0, "abc")).await.expect(204);
        let (body, seen) = ending("def");
        let answered = leave(&world.open(), &piece(&at, 3, "def"), body, looks).await;
        let file = Request::get(format!("/generic/acme/firmware/{path}"));
        if looks % 2 == 0 {
            // Who asks is told of all of it, or evicts who still writes it and sends that again: nothing is lost to it.
            let mut stood = head(&world, &at).await;
            // On a busy machine who asks may have to ask again.
            until("who asks is told", async || {
                if stood.status == 423 {
                    stood = head(&world, &at).await;
                }
                stood.status == 200
            })
            .await;
            match stood.header("upload-offset") {
                Some("6") => {}
                Some("3") if !answered => drop(send(&world, &piece(&at, 3, "def")).await.expect(204)),
                _ => panic!("gone after {looks} looks: {stood:?}"),
            }
            assert_eq!(send(&world, &file).await.expect(200).body, "abcdef");
        } else if seen.get() {
            let mut tries = 0;
            while send(&world, &file).await.status != 200 {
                tries += 1;
                assert!(tries < 200, "gone after {looks} looks, and nobody made the file");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if answered && looks > 1 {
            return;
        }
    }
}

async fn a_creation_whose_client_is_gone_leaves_no_upload(world: World) {
    let two = Limits {
        uploads_per_principal: 2,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), two);
    door.ask(&creation("other", 6)).await.expect(201);
    let request = creation("1.2/fw.bin", 6).header("content-type", "application/offset+octet-stream");
    for _ in 0..3 {
        leave_behind(&door, &request, "abc").await;
        // A third one is let in once it is gone, and leaves again.
        until("the upload is gone", async || {
            let another = door.ask(&creation("another", 6)).await;
            if another.status == 201 {
                let at = another.header("location").unwrap();
                door.ask(&tus(Request::delete(at))).await.expect(204);
            }
            another.status == 201
        })
        .await;
    }
}

async fn who_asks_at_once_is_answered_at_once(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    send(&world, &piece(&at, 0, "abc")).await.expect(204);
    let door = world.open();
    let status = tus(Request::new(Method::HEAD, &at));
    for answer in futures_util::future::join_all((0..8).map(|_| door.ask(&status))).await {
        stands(&answer.expect(200), "3");
    }
    // Of those that find all bytes here one makes the file, and nobody is sent away.
    let mut writing = writing(&world, &at).await;
    writing.write(Bytes::from_static(b"def")).await.unwrap();
    writing.park().await.unwrap();
    for answer in futures_util::future::join_all((0..8).map(|_| door.ask(&status))).await {
        stands(&answer.expect(200), "6");
    }
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "abcdef");
    let stored = world.events().await;
    assert_eq!(stored.iter().filter(|event| event.kind == "file.stored").count(), 1, "{stored:?}");
}

async fn known(world: &World, at: &str) -> (UploadId, TusUpload) {
    let id: UploadId = at.strip_prefix("/uploads/").unwrap().parse().unwrap();
    let upload = world.stores.catalog.tus_upload(id, "robin".into()).await.unwrap().unwrap();
    (id, upload)
}

/// The session of an upload, behind the protocol's back.
async fn writing(world: &World, at: &str) -> Writing {
    let (id, upload) = known(world, at).await;
    world.stores.uploads.open(id, upload.repository, "robin".into()).await.unwrap()
}

/// An upload whose bytes are a blob, and no file yet.
async fn landed(world: &World) -> String {
    let at = begun(world, "1.2/fw.bin", 3).await;
    let mut writing = writing(world, &at).await;
    writing.with_sums().await.unwrap();
    writing.write(Bytes::from_static(b"abc")).await.unwrap();
    writing.remember();
    writing.complete(Promised::default()).await.unwrap();
    at
}

async fn a_file_is_made_once_of_an_upload(world: World) {
    let at = landed(&world).await;
    let door = world.open();
    let status = tus(Request::new(Method::HEAD, &at));
    for answer in futures_util::future::join_all((0..8).map(|_| door.ask(&status))).await {
        stands(&answer.expect(200), "3");
    }
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "abc");
    // What somebody stores there afterwards is theirs.
    send(&world, &put(FW, "newer")).await.expect(200);
    stands(&head(&world, &at).await.expect(200), "3");
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "newer");
}

async fn what_is_cancelled_before_its_file_is_made_makes_none(world: World) {
    let at = landed(&world).await;
    send(&world, &tus(Request::delete(&at))).await.expect(204);
    head(&world, &at).await.expect(404);
    send(&world, &Request::get(FW)).await.expect(404);
}

async fn a_client_may_say_patch_within_a_post(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let within = |request: Request, method: &str| Request {
        method: Method::POST,
        ..request.header("x-http-method-override", method)
    };
    stands(&send(&world, &within(piece(&at, 0, "abc"), "PATCH")).await.expect(204), "3");
    stands(&send(&world, &within(tus(Request::post(&at)), "HEAD")).await.expect(200), "3");
    send(&world, &within(tus(Request::post(&at)), "GET")).await.expect(405);
    send(&world, &within(tus(Request::post(&at)), "p atch")).await.expect(400);
    send(&world, &tus(Request::post(&at))).await.expect(405);
    // It is for who cannot send the method; who can, says it once.
    let twice = piece(&at, 3, "def").header("x-http-method-override", "DELETE");
    send(&world, &twice).await.expect(400);
    send(&world, &within(tus(Request::post(&at)), "DELETE")).await.expect(204);
    head(&world, &at).await.expect(404);
}

async fn what_an_upload_does_not_keep_is_refused(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let before = world.snapshot().await;
    for (header, value) in [
        ("if-match", "\"a\""),
        ("if-none-match", "*"),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("x-granary-label-os", "linux"),
        (
            "x-checksum-sha256",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        ("content-md5", "kAFQmDzST7DWlj99KOF/cg=="),
        ("x-checksum-deploy", "true"),
        ("x-explode-archive", "true"),
        ("content-encoding", "gzip"),
    ] {
        for request in [creation("a", 3), piece(&at, 0, "abc")] {
            let answer = send(&world, &request.header(header, value)).await;
            assert!(matches!(answer.status, 400 | 415), "{header}: {answer:?}");
            assert!(!answer.json()["error"].as_str().unwrap().is_empty(), "{header}");
        }
    }
    assert_eq!(world.snapshot().await, before);
    stands(&head(&world, &at).await.expect(200), "0");
}

async fn uploads_of_nothing_count_as_any_other(world: World) {
    let one = Limits {
        uploads_per_principal: 1,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), one);
    door.ask(&creation("open", 3)).await.expect(201);
    door.ask(&creation("empty", 0)).await.expect(429);
}
