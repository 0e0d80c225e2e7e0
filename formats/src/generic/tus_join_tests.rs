//! Files that are sent as parts side by side, and joined.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use super::tus_tests::{FW, ROOT, begun, head, piece, send, stands, tus, without};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use crate::gate::Held;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::limits::Limits;
use granary_storage::sums::FileSums;

stories! {
    parts_become_one_file_in_the_order_in_which_they_are_named
    parts_come_in_as_any_upload_does_and_are_no_file
    what_cannot_be_joined_is_refused_and_changes_nothing
    a_refusal_of_the_file_leaves_the_parts
    parts_that_lost_their_bytes_are_not_joined
    of_requests_that_join_the_same_parts_at_once_each_gets_the_same_file
}

/// A part of so many bytes.
async fn part(world: &World, length: usize) -> String {
    let request = tus(Request::post(ROOT))
        .header("upload-concat", "partial")
        .header("upload-length", length.to_string());
    let answer = send(world, &request).await.expect(201);
    answer.header("location").unwrap().to_owned()
}

/// A part with all its bytes.
async fn sent(world: &World, bytes: &'static str) -> String {
    let at = part(world, bytes.len()).await;
    send(world, &piece(&at, 0, bytes)).await.expect(204);
    at
}

fn joining(path: &str, parts: &[&str]) -> Request {
    tus(Request::post(ROOT))
        .header("upload-concat", format!("final;{}", parts.join(" ")))
        .header("upload-metadata", format!("filename {}", STANDARD.encode(path)))
}

async fn parts_become_one_file_in_the_order_in_which_they_are_named(world: World) {
    let (two, one) = (sent(&world, "defgh").await, sent(&world, "abc").await);
    let absolute = format!("https://registry.example{two}");
    let request = joining("1.2/fw.bin", &[&one, &absolute]);
    let answer = send(&world, &request).await.expect(201);
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "abcdefgh");
    let sha512 = send(&world, &Request::get(format!("{FW}.sha512"))).await.expect(200);
    assert_eq!(sha512.body, format!("{}  fw.bin\n", FileSums::of(b"abcdefgh").sha512.hex()));
    let at = answer.header("location").unwrap();
    let whole = head(&world, at).await.expect(200);
    stands(&whole, "8");
    assert_eq!(whole.header("upload-length"), Some("8"));
    assert_eq!(whole.header("upload-concat"), Some(&*format!("final;{one} {absolute}")));
    // Its bytes are there once, and no session holds any.
    let after = world.snapshot().await;
    assert_eq!((after.blobs.len(), after.orphans.len()), (1, 0));
    // Nothing is added to it, nor to what it is made of.
    send(&world, &piece(at, 8, "x")).await.expect(403);
    send(&world, &piece(&one, 3, "x")).await.expect(409);
    stands(&head(&world, &one).await.expect(200), "3");
    // Who did not hear the answer asks again and gets it, also one who may not store something else there.
    let again = world.behind(FakeGate::holding(Held::No)).ask(&request).await.expect(201);
    assert_eq!(again.header("location"), Some(at));
    for other in [joining("other", &[&one, &absolute]), joining("1.2/fw.bin", &[&two, &one])] {
        send(&world, &other).await.expect(412);
    }
    assert_eq!(world.snapshot().await, after);
}

async fn parts_come_in_as_any_upload_does_and_are_no_file(world: World) {
    let at = part(&world, 6).await;
    let new = head(&world, &at).await.expect(200);
    assert_eq!(
        (new.header("upload-concat"), new.header("upload-metadata")),
        (Some("partial"), None)
    );
    send(&world, &piece(&at, 0, "abc")).await.expect(204);
    let before = world.snapshot().await;
    stands(&send(&world, &piece(&at, 3, "def")).await.expect(204), "6");
    stands(&head(&world, &at).await.expect(200), "6");
    // One with its length told later, its first bytes along, and of nothing.
    let deferred = tus(Request::post(ROOT))
        .header("upload-concat", "partial")
        .header("upload-defer-length", "1")
        .header("content-type", "application/offset+octet-stream")
        .body("gh");
    let answer = send(&world, &deferred).await.expect(201);
    let later = answer.header("location").unwrap();
    send(&world, &joining("a", &[&at, later])).await.expect(412);
    send(&world, &piece(later, 2, "i").header("upload-length", "3")).await.expect(204);
    let nothing = part(&world, 0).await;
    assert_eq!(world.snapshot().await, before);
    send(&world, &joining("a", &[&nothing, &at, later])).await.expect(201);
    assert_eq!(send(&world, &Request::get(format!("{ROOT}a"))).await.body, "abcdefghi");
}

async fn what_cannot_be_joined_is_refused_and_changes_nothing(world: World) {
    let (one, two, unfinished) = (sent(&world, "abc").await, sent(&world, "def").await, part(&world, 3).await);
    let whole = begun(&world, "whole", 6).await;
    let cancelled = sent(&world, "gone").await;
    send(&world, &tus(Request::delete(&cancelled))).await.expect(204);
    send(&world, &put(format!("{ROOT}folder/file"), "x")).await.expect(201);
    send(&world, &put("/generic/acme/other/x", "x")).await.expect(201);
    let (done, rest) = (sent(&world, "done").await, sent(&world, "rest").await);
    let answer = send(&world, &joining("done", &[&done])).await.expect(201);
    let joined = answer.header("location").unwrap();
    let before = world.snapshot().await;
    let both = || joining("1.2/fw.bin", &[&one, &two]);
    for (request, status) in [
        (joining("a", &[&one, &unfinished]), 412),
        (joining("a", &[&one, &one]), 400),
        (joining("a", &[&one, joined]), 400),
        (joining("a", &[&one, &whole]), 400),
        (joining("a", &[&one, &cancelled]), 404),
        (joining("a", &[&rest, &done]), 412),
        (joining("a", &[&one, "/uploads/11111111-1111-4111-8111-111111111111"]), 404),
        (joining("a", &[&one, "/elsewhere"]), 400),
        (joining("a", &[]), 400),
        (both().header("upload-concat", "final"), 400),
        (both().header("upload-concat", "half"), 400),
        (both().header("upload-length", "6"), 400),
        (both().header("upload-defer-length", "1"), 400),
        (without(both(), "upload-metadata"), 400),
        (both().at("/generic/acme/other/"), 404),
        (both().at("/generic/acme/none/"), 404),
        (joining("folder", &[&one, &two]), 412),
        (joining("folder/file.sha256", &[&one, &two]), 400),
    ] {
        let answer = send(&world, &request).await.expect(status);
        assert!(!answer.json()["error"].as_str().unwrap().is_empty());
    }
    world.open().ask_as("mallory", &both()).await.expect(404);
    for (limits, status) in [
        (
            Limits {
                upload_parts: 1,
                ..Limits::default()
            },
            400,
        ),
        (
            Limits {
                blob_bytes: 5,
                ..Limits::default()
            },
            413,
        ),
    ] {
        world.limited(FakeGate::open(), limits).ask(&both()).await.expect(status);
    }
    assert_eq!(world.snapshot().await, before);
    send(&world, &both()).await.expect(201);
}

async fn a_refusal_of_the_file_leaves_the_parts(world: World) {
    let (one, two) = (sent(&world, "abc").await, sent(&world, "def").await);
    send(&world, &put(FW, "first")).await.expect(201);
    let before = world.snapshot().await;
    let door = world.behind(FakeGate::holding(Held::No));
    door.ask(&joining("1.2/fw.bin", &[&one, &two])).await.expect(403);
    assert_eq!(world.snapshot().await, before);
    door.ask(&joining("1.3/fw.bin", &[&one, &two])).await.expect(201);
    assert_eq!(send(&world, &Request::get(FW)).await.body, "first");
    assert_eq!(send(&world, &Request::get(format!("{ROOT}1.3/fw.bin"))).await.body, "abcdef");
}

async fn parts_that_lost_their_bytes_are_not_joined(world: World) {
    let (one, two) = (sent(&world, "abc").await, sent(&world, "def").await);
    let id = two.strip_prefix("/uploads/").unwrap().parse().unwrap();
    world.stores.blobs.discard(id).await.unwrap();
    let before = world.snapshot().await;
    send(&world, &joining("1.2/fw.bin", &[&one, &two])).await.expect(412);
    assert_eq!(world.snapshot().await, before);
    head(&world, &two).await.expect(404);
    let two = sent(&world, "DEF").await;
    send(&world, &joining("1.2/fw.bin", &[&one, &two])).await.expect(201);
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcDEF");
}

async fn of_requests_that_join_the_same_parts_at_once_each_gets_the_same_file(world: World) {
    let (one, two) = (sent(&world, "abc").await, sent(&world, "def").await);
    let door = world.open();
    let request = joining("1.2/fw.bin", &[&one, &two]);
    let answers = futures_util::future::join_all((0..8).map(|_| door.ask(&request))).await;
    let first = answers[0].header("location");
    for answer in &answers {
        assert_eq!((answer.status, answer.header("location")), (201, first), "{answer:?}");
    }
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
    let after = world.snapshot().await;
    assert_eq!((after.blobs.len(), after.orphans.len()), (1, 0));
}
