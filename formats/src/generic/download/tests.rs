//! Folders in one answer, as those who fetch them see them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Format, Plan, pack, tar, top};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use crate::generic::specimen_tests::put;
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use granary_storage::Result;
use granary_storage::catalog::Condition;
use granary_storage::limits::Limits;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Read as _;

stories! {
    every_file_below_the_folder_is_in_the_archive
    a_tar_holds_the_same_whether_it_is_compressed_or_not
    the_same_folder_is_the_same_archive_and_need_not_be_fetched_again
    a_folder_that_changes_meanwhile_is_never_taken_for_whole
    a_damaged_file_is_named_before_anything_is_sent
    a_folder_that_is_too_large_is_refused
    what_a_policy_blocks_goes_out_in_no_archive
    a_folder_that_is_not_there_is_not_found
}

const BASE: &str = "/generic/acme/firmware";

async fn store(world: &World, path: &str, content: impl Into<Bytes>) {
    let answer = world.open().ask(&put(format!("{BASE}/{path}"), content)).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

async fn get(world: &World, rest: &str) -> Answer {
    world.open().ask(&Request::get(format!("{BASE}/{rest}"))).await
}

/// Three files of every kind: an empty one, a small one, and one of several pieces.
async fn filled(world: &World) -> BTreeMap<String, Vec<u8>> {
    let large: Vec<u8> = (0..700_000_u32).map(|at| (at / 7) as u8).collect();
    let long = format!("{}/größe.txt", "d".repeat(120));
    for (path, content) in [("1.2/empty", vec![]), ("1.2/linux/fw.bin", large.clone()), ("top", b"top".to_vec())] {
        store(world, path, content).await;
    }
    store(
        world,
        &format!("1.2/{}", long.replace('ö', "%C3%B6").replace('ß', "%C3%9F")),
        "long",
    )
    .await;
    let named = |name: &str, content: Vec<u8>| (format!("firmware-1.2/{name}"), content);
    BTreeMap::from([named("empty", vec![]), named("linux/fw.bin", large), named(&long, b"long".to_vec())])
}

fn untarred(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ::tar::Archive::new(bytes);
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o644);
        assert!(entry.header().mtime().unwrap() > 1_600_000_000);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(String::from_utf8(entry.path_bytes().into_owned()).unwrap(), content);
    }
    files
}

async fn every_file_below_the_folder_is_in_the_archive(world: World) {
    let files = filled(&world).await;
    let zip = get(&world, "1.2/?archive=zip").await.expect(200);
    assert_eq!(zip.header("content-type"), Some("application/zip"));
    assert_eq!(zip.header("content-disposition"), Some("attachment; filename=\"firmware-1.2.zip\""));
    assert_eq!(zip.header("cache-control"), Some("private, no-cache"));
    // Stored again it can be looked into, by code that shares nothing with what made it.
    store(&world, "made.zip", zip.body).await;
    for (name, content) in &files {
        let name = name.replace('ö', "%C3%B6").replace('ß', "%C3%9F");
        let entry = get(&world, &format!("made.zip!/{name}")).await.expect(200);
        assert!(entry.body == content, "{name}");
    }
    let all = get(&world, "?archive=zip").await.expect(200);
    assert_eq!(all.header("content-disposition"), Some("attachment; filename=\"firmware.zip\""));
    // Who leaves the slash out means the folder, too.
    let same = get(&world, "1.2?archive=zip").await.expect(200);
    assert_eq!(
        same.header("content-disposition"),
        Some("attachment; filename=\"firmware-1.2.zip\"")
    );
    get(&world, "1.2/?archive=rar").await.expect(400);
}

async fn a_tar_holds_the_same_whether_it_is_compressed_or_not(world: World) {
    let files = filled(&world).await;
    let plain = get(&world, "1.2/?archive=tar").await.expect(200);
    assert_eq!(plain.header("content-type"), Some("application/x-tar"));
    assert_eq!(untarred(&plain.body), files);
    for name in ["tar.gz", "tgz"] {
        let packed = get(&world, &format!("1.2/?archive={name}")).await.expect(200);
        assert_eq!(packed.header("content-type"), Some("application/gzip"));
        assert_eq!(
            packed.header("content-disposition"),
            Some("attachment; filename=\"firmware-1.2.tar.gz\"")
        );
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body);
    }
}

async fn the_same_folder_is_the_same_archive_and_need_not_be_fetched_again(world: World) {
    filled(&world).await;
    for format in ["zip", "tar", "tar.gz"] {
        let target = format!("1.2/?archive={format}");
        let first = get(&world, &target).await.expect(200);
        assert!(get(&world, &target).await == first, "{format}");
        let tag = first.header("etag").unwrap();
        let again = Request::get(format!("{BASE}/{target}")).header("if-none-match", tag);
        let unchanged = world.open().ask(&again).await.expect(304);
        assert_eq!(unchanged.header("etag"), Some(tag));
        assert!(unchanged.body.is_empty());
        store(&world, &format!("1.2/new-{format}"), "new").await;
        let changed = world.open().ask(&again).await.expect(200);
        assert_ne!(changed.header("etag"), Some(tag));
    }
}

/// What is sent of a folder to which `change` is done once its first piece is out.
async fn while_changing(world: &World, format: Format, change: impl AsyncFnOnce()) -> Vec<Result<Bytes>> {
    let repository = world
        .stores
        .catalog
        .repository("acme/firmware".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let mut plan = Plan {
        stores: world.stores.clone(),
        repository: repository.id,
        folder: Some("1.2".parse().unwrap()),
        format,
        top: "firmware-1.2".into(),
        seen: granary_storage::Digest::sha256(b""),
    };
    let mut walk = plan.walk();
    while walk.next().await.unwrap().is_some() {}
    plan.seen = walk.seen();
    let mut stream = pack::stream(plan, None);
    let mut sent = vec![stream.next().await.unwrap()];
    change().await;
    while let Some(piece) = stream.next().await {
        sent.push(piece);
    }
    sent
}

async fn a_folder_that_changes_meanwhile_is_never_taken_for_whole(world: World) {
    // What nothing compresses, so that pieces come as the files are read, and the last file is far from the first piece.
    let mut seed = 1_u64;
    let large: Vec<u8> = (0..900_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .collect();
    for format in [Format::Zip, Format::Tar, Format::TarGz] {
        for path in ["1.2/a", "1.2/b", "1.2/c"] {
            store(&world, path, large.clone()).await;
        }
        let whole = while_changing(&world, format, async || {}).await;
        assert!(whole.iter().all(Result::is_ok), "{whole:?}");
        let other = while_changing(&world, format, async || store(&world, "1.2/c", "other").await).await;
        let delete = async || {
            let answer = world.open().ask(&Request::delete(format!("{BASE}/1.2/c"))).await;
            answer.expect(204);
        };
        let gone = while_changing(&world, format, delete).await;
        for sent in [other, gone] {
            let (last, before) = sent.split_last().unwrap();
            let error = last.as_ref().unwrap_err();
            assert!(error.message().starts_with("the folder was changed"), "{error}");
            assert!(before.iter().all(Result::is_ok));
        }
    }
}

async fn a_damaged_file_is_named_before_anything_is_sent(world: World) {
    filled(&world).await;
    let catalog = &world.stores.catalog;
    let repository = catalog.repository("acme/firmware".parse().unwrap()).await.unwrap().unwrap().id;
    let file = catalog
        .file(repository, "1.2/linux/fw.bin".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    catalog.quarantine_blob(file.blob).await.unwrap();
    let refused = get(&world, "1.2/?archive=zip").await.expect(409);
    let sentence = "1.2/linux/fw.bin is damaged; store it again, or fetch the other files one by one";
    assert_eq!(refused.json()["error"], sentence);
    // The listing says so as well.
    let listed = get(&world, "1.2/linux/").await.expect(200).json();
    assert_eq!(listed["entries"][0]["damaged"], true);
    get(&world, "1.2/linux/fw.bin").await.expect(500);
    filled(&world).await;
    get(&world, "1.2/?archive=zip").await.expect(200);
    assert_eq!(get(&world, "1.2/linux/").await.json()["entries"][0].get("damaged"), None);
}

async fn a_folder_that_is_too_large_is_refused(world: World) {
    filled(&world).await;
    for limits in [
        Limits {
            folder_archive_files: 2,
            ..Limits::default()
        },
        Limits {
            folder_archive_bytes: 700_003,
            ..Limits::default()
        },
    ] {
        let door = world.limited(FakeGate::open(), limits);
        for target in ["1.2/?archive=zip", "1.2/?archive=tar.gz"] {
            let refused = door.ask(&Request::get(format!("{BASE}/{target}"))).await.expect(409);
            let sentence = refused.json()["error"].as_str().unwrap().to_owned();
            assert!(sentence.starts_with("the folder holds more than"), "{sentence}");
        }
        door.ask(&Request::get(format!("{BASE}/1.2/linux/?archive=zip"))).await.expect(200);
    }
}

async fn what_a_policy_blocks_goes_out_in_no_archive(world: World) {
    filled(&world).await;
    let request = Request::get(format!("{BASE}/1.2/?archive=zip"));
    let blocked = world.behind(FakeGate::blocking("not signed")).ask(&request).await.expect(403);
    let sentence = blocked.json()["error"].as_str().unwrap().to_owned();
    assert!(sentence.starts_with("1.2/") && sentence.ends_with(": not signed"), "{sentence}");
    let warned = world.behind(FakeGate::warning(&["not scanned"])).ask(&request).await.expect(200);
    assert_eq!(
        warned.all("warning"),
        ["299 - \"not scanned\""],
        "once, however many files it is about"
    );
}

async fn a_folder_that_is_not_there_is_not_found(world: World) {
    store(&world, "1.2/fw.bin", "abc").await;
    for nothing in ["1.3/", "1.2/fw.bin", "1.2/fw.bin/", "1"] {
        let refused = get(&world, &format!("{nothing}?archive=zip")).await.expect(404);
        assert_eq!(refused.json()["error"], "there is no such folder", "{nothing}");
    }
    world.open().ask(&Request::get("/generic/acme/none/?archive=zip")).await.expect(404);
    let repository = world
        .stores
        .catalog
        .repository("acme/firmware".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let deleted = world
        .stores
        .catalog
        .delete_file(repository.id, "1.2/fw.bin".parse().unwrap(), Condition::Always, "robin".into());
    assert!(deleted.await.unwrap());
    get(&world, "?archive=tar").await.expect(404);
}

#[test]
fn an_archive_is_called_after_its_folder() {
    let name = "acme/charts/firmware".parse().unwrap();
    assert_eq!(top(&name, None), "firmware");
    assert_eq!(top(&name, Some(&"1.2/linux".parse().unwrap())), "firmware-1.2-linux");
    assert_eq!(super::disposition("fw-1.2.zip"), "attachment; filename=\"fw-1.2.zip\"");
    assert_eq!(
        super::disposition("fw-ä\" b.zip"),
        "attachment; filename=\"fw-___b.zip\"; filename*=UTF-8''fw%2D%C3%A4%22%20b%2Ezip"
    );
}

proptest! {
    #[test]
    fn who_knows_no_attributes_is_led_nowhere_else(name in "[a-c.ä]{1,40}(/[a-c.ä]{1,130}){0,9}") {
        prop_assume!(name.split('/').all(|segment| !segment.trim_matches('.').is_empty()));
        let header = tar::header(&name, 1, 0);
        let short = ::tar::Header::from_byte_slice(&header[header.len() - 512..]).path_bytes().into_owned();
        let short = String::from_utf8(short).unwrap();
        prop_assert!(name.ends_with(&short) && !short.is_empty());
        prop_assert!(short.split('/').all(|segment| segment != ".." && segment != "." && !segment.is_empty()), "{short}");
        // Whole names, unless not even the last one fits.
        let last = name.rsplit('/').next().unwrap();
        let whole = name == short || name.ends_with(&["/", &short].concat());
        prop_assert!(whole || (last.len() > 100 && last.ends_with(&short)));
    }

    #[test]
    fn a_tar_says_any_name_and_size(name in "[a-zäß日 ./]{1,300}", size in prop_oneof![0..1000_u64, Just(0o77_777_777_777), any::<u64>()]) {
        let header = tar::header(&name, size, 1_700_000_000_000);
        prop_assert_eq!(header.len() % 512, 0);
        let mut archive = ::tar::Archive::new(&header[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        prop_assert_eq!(String::from_utf8(entry.path_bytes().into_owned()).unwrap(), name);
        prop_assert_eq!(entry.size(), size);
        prop_assert_eq!(entry.header().mtime().unwrap(), 1_700_000_000);
    }
}
