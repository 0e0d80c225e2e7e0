//! Checksums that come before their file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use bytes::Bytes;
use futures_util::{future, stream};
use granary_storage::Digest;
use tokio::sync::oneshot;

stories! {
    a_file_is_held_against_the_checksums_that_came_before_it
    what_is_no_checksum_of_the_file_claims_nothing
    a_checksum_that_came_first_is_held_against_its_file_ever_after
    a_file_is_held_against_a_checksum_that_came_while_its_bytes_did
    a_date_proves_nothing_of_a_checksum_that_is_computed
}

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";
const MD5_OF_ABC: &str = "900150983cd24fb0d6963f7d28e17f72";

fn sha256(content: &str) -> String {
    Digest::sha256(content.as_bytes()).hex()
}

async fn a_file_is_held_against_the_checksums_that_came_before_it(world: World) {
    let door = world.open();
    for (kind, text) in [
        ("sha256", sha256("abc")),
        ("sha256", format!("{}  fw.bin\n", sha256("abc"))),
        ("sha256", format!("{} *build/out/fw.bin\n", sha256("abc").to_uppercase())),
        ("md5", format!("{MD5_OF_ABC}  fw.bin\n")),
    ] {
        let beside = format!("{FW}.{kind}");
        door.ask(&put(&beside, text.clone())).await.expect(201);
        let before = world.snapshot().await;
        let deploy = Request::put(FW)
            .header("x-checksum-deploy", "true")
            .header("x-checksum-sha256", sha256("other"));
        door.ask(&put("/generic/acme/source/other", "other")).await;
        let with_source = world.snapshot().await;
        for wrong in [put(FW, "other"), deploy] {
            let refused = door.ask(&wrong).await.expect(422).json();
            let sentence = refused["error"].as_str().unwrap();
            let told = format!("which 1.2/fw.bin.{kind} says; delete that one first, if it is not the right one");
            assert!(sentence.ends_with(&told), "{sentence}");
        }
        assert_eq!(world.snapshot().await.names, with_source.names);
        assert!(!before.names.contains_key("acme/firmware:1.2/fw.bin"));
        door.ask(&put(FW, "abc")).await.expect(201);
        // A stored checksum stays what was stored.
        assert_eq!(door.ask(&Request::get(&beside)).await.expect(200).body, text);
        for target in [FW, &beside] {
            door.ask(&Request::delete(target)).await.expect(204);
        }
    }
}

async fn what_is_no_checksum_of_the_file_claims_nothing(world: World) {
    let door = world.open();
    for (kind, text) in [
        ("sha256", "a signature, say".to_owned()),
        ("sha256", format!("{}  other.bin\n", sha256("other"))),
        ("sha256", format!("{}  a.bin\n{}  fw.bin\n", sha256("a"), sha256("other"))),
        ("sha256", String::new()),
        ("md5", sha256("other")),
        ("sha1", "a".repeat(100_000)),
    ] {
        let beside = format!("{FW}.{kind}");
        door.ask(&put(&beside, text.clone())).await.expect(201);
        door.ask(&put(FW, "abc")).await.expect(201);
        assert_eq!(door.ask(&Request::get(&beside)).await.expect(200).body, text);
        for target in [FW, &beside] {
            door.ask(&Request::delete(target)).await.expect(204);
        }
    }
}

async fn a_checksum_that_came_first_is_held_against_its_file_ever_after(world: World) {
    let door = world.open();
    let beside = format!("{FW}.sha256");
    door.ask(&put(&beside, sha256("one"))).await.expect(201);
    door.ask(&put(FW, "one")).await.expect(201);
    let before = world.snapshot().await;
    for refused in [put(FW, "two"), put(&beside, sha256("two")), put(&beside, "a signature, say")] {
        door.ask(&refused).await.expect(422);
    }
    door.ask(&put(&beside, "a".repeat(100_000))).await.expect(413);
    assert_eq!(world.snapshot().await, before);
    assert_eq!(door.ask(&Request::get(&beside)).await.expect(200).body, sha256("one"));
    // It stays a file, in whatever form it says the same.
    let line = format!("{}  fw.bin\n", sha256("one").to_uppercase());
    door.ask(&put(&beside, line.clone())).await.expect(200);
    assert_eq!(door.ask(&Request::get(&beside)).await.expect(200).body, line);
    // Once it is deleted, the one that is computed stands there again.
    door.ask(&Request::delete(&beside)).await.expect(204);
    door.ask(&put(FW, "two")).await.expect(200);
    let computed = door.ask(&Request::get(&beside)).await.expect(200);
    assert_eq!(computed.body, format!("{}  fw.bin\n", sha256("two")));
}

async fn a_file_is_held_against_a_checksum_that_came_while_its_bytes_did(world: World) {
    let door = world.open();
    let beside = format!("{FW}.sha256");
    // In a repository that the file would make, and in one that is there.
    for _ in 0..2 {
        let (begun, has_begun) = oneshot::channel();
        let (came, has_come) = oneshot::channel();
        let bytes = async move {
            begun.send(()).unwrap();
            has_come.await.unwrap();
            Ok(Bytes::from_static(b"abc"))
        };
        let request = put(FW, "abc");
        let slow = door.ask_with(&request, Box::pin(stream::once(bytes)));
        let meanwhile = async {
            has_begun.await.unwrap();
            door.ask(&put(&beside, sha256("other"))).await.expect(201);
            came.send(()).unwrap();
        };
        let (refused, ()) = future::join(slow, meanwhile).await;
        let sentence = refused.expect(422).json()["error"].as_str().unwrap().to_owned();
        assert!(sentence.contains("which 1.2/fw.bin.sha256 says"), "{sentence}");
        door.ask(&Request::get(FW)).await.expect(404);
        door.ask(&Request::delete(&beside)).await.expect(204);
    }
}

async fn a_date_proves_nothing_of_a_checksum_that_is_computed(world: World) {
    let door = world.open();
    let beside = format!("{FW}.sha256");
    door.ask(&put(&beside, sha256("abc"))).await.expect(201);
    door.ask(&put(FW, "abc")).await.expect(201);
    let stored = door.ask(&Request::get(&beside)).await.expect(200);
    let date = stored.header("last-modified").unwrap().to_owned();
    door.ask(&Request::delete(&beside)).await.expect(204);
    let again = Request::get(&beside).header("if-modified-since", "Fri, 31 Dec 9999 23:59:59 GMT");
    for again in [Request::get(&beside).header("if-modified-since", date), again] {
        let computed = door.ask(&again).await.expect(200);
        assert_eq!(computed.header("last-modified"), None);
        assert_eq!(computed.body, format!("{}  fw.bin\n", sha256("abc")));
        let tag = computed.header("etag").unwrap();
        door.ask(&Request::get(&beside).header("if-none-match", tag)).await.expect(304);
    }
}
