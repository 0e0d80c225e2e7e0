//! Checksums that come before their file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::Digest;

stories! {
    a_file_is_held_against_the_checksums_that_came_before_it
    what_is_no_checksum_of_the_file_claims_nothing
    a_checksum_that_came_first_is_brought_up_to_date_before_its_file
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
            let told = format!("which 1.2/fw.bin.{kind} says; store the right checksum there, or delete it");
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

async fn a_checksum_that_came_first_is_brought_up_to_date_before_its_file(world: World) {
    let door = world.open();
    let beside = format!("{FW}.sha256");
    door.ask(&put(&beside, sha256("one"))).await.expect(201);
    door.ask(&put(FW, "one")).await.expect(201);
    door.ask(&put(FW, "two")).await.expect(422);
    door.ask(&put(&beside, sha256("two"))).await.expect(200);
    door.ask(&put(FW, "two")).await.expect(200);
    // Once it is deleted, the one that is computed stands there again.
    door.ask(&Request::delete(&beside)).await.expect(204);
    door.ask(&put(FW, "three")).await.expect(200);
    let computed = door.ask(&Request::get(&beside)).await.expect(200);
    assert_eq!(computed.body, format!("{}  fw.bin\n", sha256("three")));
}
