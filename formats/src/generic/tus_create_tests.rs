//! The variants in which an upload by tus begins, and what its metadata makes of the file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use super::tus_tests::{FW, ROOT, begun, creation, head, piece, send, stands, summed, tus, without};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Request, broken};
use crate::contract::stories;
use crate::contract::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use granary_storage::limits::Limits;
use granary_storage::sums::FileSums;
use granary_storage::{Digest, Error, What};

stories! {
    the_first_bytes_may_come_along
    first_bytes_that_go_wrong_leave_no_upload
    a_length_may_be_told_later
    labels_come_with_the_metadata
    a_checksum_beside_its_file_is_held_against_it
}

/// A creation with its first bytes.
fn with_bytes(length: usize, bytes: &'static str) -> Request {
    creation("1.2/fw.bin", length)
        .header("content-type", "application/offset+octet-stream")
        .body(bytes)
}

async fn the_first_bytes_may_come_along(world: World) {
    let answer = send(&world, &with_bytes(6, "abc")).await.expect(201);
    stands(&answer, "3");
    let at = answer.header("location").unwrap();
    stands(&head(&world, at).await.expect(200), "3");
    stands(&send(&world, &piece(at, 3, "def")).await.expect(204), "6");
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
    // Or all of them.
    let whole = summed(with_bytes(3, "xyz"), &FileSums::of(b"xyz").sha1);
    stands(&send(&world, &whole).await.expect(201), "3");
    assert_eq!(send(&world, &Request::get(FW)).await.body, "xyz");
}

async fn first_bytes_that_go_wrong_leave_no_upload(world: World) {
    let known = send(&world, &creation("a", 3)).await.expect(201);
    let before = world.snapshot().await;
    let few = Limits {
        uploads_per_principal: 2,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), few);
    // Nobody hears of those uploads: were they left, there would be too many after the first.
    for _ in 0..3 {
        let wrong = summed(with_bytes(6, "abc"), &FileSums::of(b"abd").sha1);
        door.ask(&wrong).await.expect(460);
        door.ask(&with_bytes(2, "abc")).await.expect(413);
        let cut = broken(Bytes::from_static(b"ab"), Error::invalid(What::Size, "the body ended early"));
        door.ask_with(&with_bytes(6, "abc"), cut).await.expect(400);
    }
    assert_eq!(world.snapshot().await, before);
    head(&world, known.header("location").unwrap()).await.expect(200);
}

async fn a_length_may_be_told_later(world: World) {
    let deferred = || without(creation("1.2/fw.bin", 0), "upload-length").header("upload-defer-length", "1");
    let answer = send(&world, &deferred()).await.expect(201);
    let at = answer.header("location").unwrap();
    let new = head(&world, at).await.expect(200);
    assert_eq!((new.header("upload-length"), new.header("upload-defer-length")), (None, Some("1")));
    stands(&send(&world, &piece(at, 0, "abc")).await.expect(204), "3");
    send(&world, &piece(at, 3, "def").header("upload-length", "2")).await.expect(400);
    let huge = u64::MAX.to_string();
    send(&world, &piece(at, 3, "def").header("upload-length", huge)).await.expect(413);
    send(&world, &piece(at, 3, "defg").header("upload-length", "6")).await.expect(413);
    // It was said, though the bytes did not come; and it is said once.
    let said = head(&world, at).await.expect(200);
    assert_eq!(
        (said.header("upload-length"), said.header("upload-defer-length")),
        (Some("6"), None)
    );
    send(&world, &piece(at, 3, "def").header("upload-length", "7")).await.expect(400);
    send(&world, &Request::get(FW)).await.expect(404);
    stands(
        &send(&world, &piece(at, 3, "def").header("upload-length", "6")).await.expect(204),
        "6",
    );
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
    // The end may be told when all bytes are there.
    let answer = send(&world, &deferred()).await.expect(201);
    let at = answer.header("location").unwrap();
    send(&world, &piece(at, 0, "xyz")).await.expect(204);
    stands(&send(&world, &piece(at, 3, "").header("upload-length", "3")).await.expect(204), "3");
    assert_eq!(send(&world, &Request::get(FW)).await.body, "xyz");
    let small = Limits {
        blob_bytes: 5,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), small);
    let answer = door.ask(&deferred()).await.expect(201);
    let at = answer.header("location").unwrap();
    door.ask(&piece(at, 0, "abcdef")).await.expect(413);
}

async fn labels_come_with_the_metadata(world: World) {
    let metadata = format!(
        "filename {},label.OS {},label.build {}",
        STANDARD.encode("1.2/fw.bin"),
        STANDARD.encode("größe"),
        STANDARD.encode("42")
    );
    let creation = creation("1.2/fw.bin", 3).header("upload-metadata", metadata.clone());
    let answer = send(&world, &creation).await.expect(201);
    let at = answer.header("location").unwrap();
    assert_eq!(head(&world, at).await.header("upload-metadata"), Some(&*metadata));
    send(&world, &piece(at, 0, "abc")).await.expect(204);
    let labels = send(&world, &Request::get(format!("{FW}?labels"))).await.expect(200);
    assert_eq!(labels.json()["labels"], serde_json::json!({"os": "größe", "build": "42"}));
    let many = Limits {
        labels_per_version: 1,
        ..Limits::default()
    };
    world.limited(FakeGate::open(), many).ask(&creation).await.expect(400);
}

async fn a_checksum_beside_its_file_is_held_against_it(world: World) {
    send(&world, &put(FW, "the firmware")).await.expect(201);
    let before = world.snapshot().await;
    let hex = Digest::sha256(b"the firmware").hex();
    let line = format!("{hex}  fw.bin\n");
    let other = format!("{}  fw.bin\n", Digest::sha256(b"other").hex());
    let send_whole = async |path: &str, text: &str| {
        let at = begun(&world, path, text.len()).await;
        let request = tus(Request::patch(&at))
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream")
            .body(text.to_owned());
        (send(&world, &request).await, at)
    };
    let (right, at) = send_whole("1.2/fw.bin.sha256", &line).await;
    right.expect(204);
    stands(&head(&world, &at).await.expect(200), &line.len().to_string());
    let (wrong, at) = send_whole("1.2/fw.bin.sha256", &other).await;
    assert!(wrong.expect(422).json()["error"].as_str().unwrap().contains(&hex));
    head(&world, &at).await.expect(404);
    let (long, at) = send_whole("1.2/fw.bin.sha256", &"0".repeat(9000)).await;
    long.expect(413);
    head(&world, &at).await.expect(404);
    assert_eq!(world.snapshot().await, before, "nothing of it is kept");
    // Where there is no such file, it is one like any other.
    send_whole("1.2/else.sha256", &other).await.0.expect(204);
    assert_eq!(send(&world, &Request::get(format!("{ROOT}1.2/else.sha256"))).await.body, other);
}
