//! Stored archives as those who look into them see them. Those that are made to do harm: `hostile_tests.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::zip::{Entry, entries, place};
use super::{Within, is_archive};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use crate::generic::download::zip::{central, end, local};
use crate::generic::specimen_tests::put;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;

stories! {
    an_archive_is_listed_as_a_folder_is_and_read_as_one
    a_tar_is_looked_into_compressed_or_not
    what_is_stored_under_that_very_name_comes_first
    a_page_of_an_archive_leads_to_the_next_one
    what_a_browser_would_run_is_only_kept
    the_last_of_two_files_of_one_name_counts
    a_blocked_archive_is_blocked_inside_as_well
    a_program_before_a_zip_does_no_harm
}

pub(super) const BASE: &str = "/generic/acme/firmware";
const TIME: i64 = 1_700_000_000_000;

/// A ZIP of files that are stored as they are.
pub(in crate::generic) fn sample_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zipped(files.iter().map(|(name, content)| Packed::stored(name, content)))
}

/// A file as it is to stand in a ZIP, and what that is to say of it.
#[derive(Clone)]
pub(super) struct Packed {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) method: u16,
    pub(super) flags: u16,
    pub(super) size: u32,
    pub(super) crc: u32,
}

impl Packed {
    pub(super) fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            bytes: content.to_vec(),
            method: 0,
            flags: 0,
            size: content.len() as u32,
            crc: crc32fast::hash(content),
        }
    }

    pub(super) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(content).unwrap();
        Self {
            bytes: packer.finish().unwrap(),
            method: 8,
            ..Self::stored(name, content)
        }
    }

    /// The fields that both headers share.
    fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for field in [20, self.flags, self.method, 0, 0x21] {
            fields.extend(field.to_le_bytes());
        }
        for field in [self.crc, self.bytes.len() as u32, self.size] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend((self.name.len() as u16).to_le_bytes());
        fields.extend(0_u16.to_le_bytes());
        fields
    }
}

pub(super) fn zipped(files: impl Iterator<Item = Packed>) -> Vec<u8> {
    let (mut zip, mut directory, mut count) = (Vec::new(), Vec::new(), 0);
    for file in files {
        let offset = zip.len() as u32;
        zip.extend(b"PK\x03\x04");
        zip.extend(file.fields());
        zip.extend(file.name.as_bytes());
        zip.extend(&file.bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(file.fields());
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(file.name.as_bytes());
        count += 1;
    }
    let (start, size) = (zip.len() as u64, directory.len() as u64);
    zip.extend(directory);
    zip.extend(end(count, start, size));
    zip
}

pub(super) fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mtime(1_700_000_000);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(super) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Bytes that nothing compresses.
fn noise(size: usize) -> Vec<u8> {
    let next = |seed: &u64| Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    let seeds = std::iter::successors(Some(1_u64), next);
    seeds.map(|seed| (seed >> 56) as u8).take(size).collect()
}

pub(super) async fn store(world: &World, path: &str, content: impl Into<Bytes>) {
    let answer = world.open().ask(&put(format!("{BASE}/{path}"), content)).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

pub(super) async fn get(world: &World, rest: &str) -> Answer {
    world.open().ask(&Request::get(format!("{BASE}/{rest}"))).await
}

/// The sentence of a refusal.
pub(super) fn sentence(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.json()["error"].as_str().unwrap().to_owned()
}

pub(super) fn names(listing: &Value) -> Vec<&str> {
    let entries = listing["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

async fn an_archive_is_listed_as_a_folder_is_and_read_as_one(world: World) {
    let large = vec![b'x'; 300_000];
    let files = [
        Packed::deflated("docs/guide/a.txt", b"the guide"),
        Packed::deflated("docs/large.txt", &large),
        Packed::stored("docs/größe.bin", b"\0\x01"),
        Packed::stored("docs/empty/", b""),
        Packed::stored("README", b"read me"),
    ];
    store(&world, "1.2/Lib.JAR", zipped(files.into_iter())).await;
    let root = get(&world, "1.2/Lib.JAR!/").await.expect(200).json();
    assert_eq!(
        (&root["repository"], &root["path"], &root["left_out"]),
        (&json!("acme/firmware"), &json!("1.2/Lib.JAR!/"), &json!(0))
    );
    assert_eq!(names(&root), ["README", "docs/"]);
    assert_eq!(
        root["entries"][0],
        json!({"name": "README", "type": "file", "size": 7, "content_type": "application/octet-stream", "updated": "1980-01-01T00:00:00Z"})
    );
    let docs = get(&world, "1.2/Lib.JAR!/docs/").await.expect(200).json();
    assert_eq!(names(&docs), ["empty/", "größe.bin", "guide/", "large.txt"]);
    assert_eq!(names(&get(&world, "1.2/Lib.JAR!/docs/empty/").await.expect(200).json()), [""; 0]);
    let page = get(&world, "1.2/Lib.JAR!/docs/?format=html").await.expect(200);
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for part in [
        "<a href=\"/generic/acme/firmware/1.2/Lib.JAR%21/?format=html\">../</a>",
        "<a href=\"/generic/acme/firmware/1.2/Lib.JAR%21/docs/large.txt\">large.txt</a>",
        "<a href=\"/generic/acme/firmware/1.2/Lib.JAR\">1.2/Lib.JAR</a>",
    ] {
        assert!(page.contains(part), "{page}");
    }

    let guide = get(&world, "1.2/Lib.JAR!/docs/guide/a.txt").await.expect(200);
    assert_eq!(guide.body, "the guide");
    assert_eq!(guide.header("content-type"), Some("text/plain"));
    assert_eq!(guide.header("x-content-type-options"), Some("nosniff"));
    assert!(get(&world, "1.2/Lib.JAR%21/docs/large.txt").await.expect(200).body == large);
    assert_eq!(
        get(&world, "1.2/Lib.JAR!/docs/gro%CC%88%C3%9Fe.bin").await.expect(200).body,
        &[0, 1][..]
    );
    let tag = guide.header("etag").unwrap();
    let again = Request::get(format!("{BASE}/1.2/Lib.JAR!/docs/guide/a.txt")).header("if-none-match", tag);
    world.open().ask(&again).await.expect(304);
    let other = again.at(format!("{BASE}/1.2/Lib.JAR!/README"));
    world.open().ask(&other).await.expect(200);

    for nothing in ["README/", "docs", "docs/guide/b.txt", "readme", "none/", "docs/guide"] {
        get(&world, &format!("1.2/Lib.JAR!/{nothing}")).await.expect(404);
    }
    get(&world, "1.2/none.zip!/README").await.expect(404);
    get(&world, "1.2/none.zip!/").await.expect(404);
    // The listing of the folder leads into it.
    let folder = get(&world, "1.2/?format=html").await.expect(200);
    let folder = String::from_utf8(folder.body.to_vec()).unwrap();
    assert!(
        folder.contains("<button formaction=\"/generic/acme/firmware/1.2/Lib.JAR%21/\">"),
        "{folder}"
    );
}

async fn a_tar_is_looked_into_compressed_or_not(world: World) {
    let (long, large) = (format!("{}/deep.txt", "d".repeat(150)), noise(2_000_000));
    let tar = tarred(&[("./a.txt", b"first"), ("big/large.bin", &large), (&long, b"deep"), ("z", b"")]);
    store(&world, "x.tar", tar.clone()).await;
    store(&world, "x.tgz", gzipped(&tar)).await;
    // Two members are one archive (RFC 1952 §2.2).
    let (one, two) = tar.split_at(1000);
    store(&world, "x.tar.gz", [gzipped(one), gzipped(two)].concat()).await;
    for name in ["x.tar", "x.tgz", "x.tar.gz"] {
        let root = get(&world, &format!("{name}!/")).await.expect(200).json();
        assert_eq!(names(&root), ["a.txt", "big/", &format!("{}/", "d".repeat(150)), "z"]);
        assert_eq!(root["entries"][0]["updated"], "2023-11-14T22:13:20Z");
        for (inside, content) in [("a.txt", &b"first"[..]), ("big/large.bin", &large), (&long, b"deep"), ("z", b"")] {
            let entry = get(&world, &format!("{name}!/{inside}")).await.expect(200);
            assert!(entry.body == content, "{name}!/{inside}");
        }
        get(&world, &format!("{name}!/b.txt")).await.expect(404);
        get(&world, &format!("{name}!/big")).await.expect(404);
    }
}

async fn what_is_stored_under_that_very_name_comes_first(world: World) {
    store(&world, "x.zip", sample_zip(&[("a", b"inside"), ("b", b"inside")])).await;
    assert_eq!(get(&world, "x.zip!/a").await.expect(200).body, "inside");
    store(&world, "x.zip!/a", "stored").await;
    assert_eq!(get(&world, "x.zip!/a").await.expect(200).body, "stored");
    assert_eq!(get(&world, "x.zip!/b").await.expect(200).body, "inside");
    assert_eq!(names(&get(&world, "x.zip!/").await.expect(200).json()), ["a"]);
}

async fn a_page_of_an_archive_leads_to_the_next_one(world: World) {
    let files: Vec<String> = (0..25).map(|number| format!("d/{number:02}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    store(&world, "x.zip", sample_zip(&files)).await;
    let (mut next, mut seen) = (Some(format!("{BASE}/x.zip!/d/?n=10")), Vec::new());
    while let Some(target) = next {
        let answer = world.open().ask(&Request::get(target)).await.expect(200);
        seen.push(answer.json()["entries"].as_array().unwrap().len());
        next = answer.header("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    assert_eq!(seen, [10, 10, 5]);
}

async fn what_a_browser_would_run_is_only_kept(world: World) {
    store(&world, "x.zip", sample_zip(&[("a.html", b"<script>"), ("a.svg", b"<svg/>")])).await;
    for name in ["a.html", "a.svg"] {
        let answer = get(&world, &format!("x.zip!/{name}")).await.expect(200);
        assert_eq!(answer.header("content-disposition"), Some("attachment"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    }
}

async fn the_last_of_two_files_of_one_name_counts(world: World) {
    let files: [(&str, &[u8]); 3] = [("a", b"one"), ("b", b"b"), ("a", b"two!")];
    store(&world, "x.zip", sample_zip(&files)).await;
    store(&world, "x.tar", tarred(&files)).await;
    store(&world, "x.tgz", gzipped(&tarred(&files))).await;
    for name in ["x.zip", "x.tar", "x.tgz"] {
        let root = get(&world, &format!("{name}!/")).await.expect(200).json();
        assert_eq!(names(&root), ["a", "b"]);
        assert_eq!(root["entries"][0]["size"], 4);
        assert_eq!(get(&world, &format!("{name}!/a")).await.expect(200).body, "two!");
    }
}

async fn a_blocked_archive_is_blocked_inside_as_well(world: World) {
    store(&world, "x.zip", sample_zip(&[("a", b"abc")])).await;
    let door = world.behind(FakeGate::blocking("not signed"));
    for inside in ["", "a"] {
        let answer = door.ask(&Request::get(format!("{BASE}/x.zip!/{inside}"))).await;
        assert_eq!(sentence(&answer, 403), "not signed");
    }
    // What is only said of the archive may be known, but what is said of a file in it is read out of it.
    for (path, status) in [("x.zip", 200), ("x.zip!/a", 403)] {
        let request = Request::get(format!("{BASE}/{path}")).as_head();
        door.ask(&request).await.expect(status);
    }
    let warned = world.behind(FakeGate::warning(&["not scanned"]));
    let answer = warned.ask(&Request::get(format!("{BASE}/x.zip!/a"))).await.expect(200);
    assert_eq!(answer.all("warning"), ["299 - \"not scanned\""]);
}

async fn a_program_before_a_zip_does_no_harm(world: World) {
    let zip = [&b"#!/bin/sh\nunzip \"$0\"\n"[..], &sample_zip(&[("a", b"abc")])].concat();
    store(&world, "x.zip", zip).await;
    assert_eq!(get(&world, "x.zip!/a").await.expect(200).body, "abc");
}

#[test]
fn a_path_leads_into_an_archive_where_its_name_is_that_of_one() {
    let of = |path: &str| {
        let within = Within::of(path)?;
        Some((within.archive.to_string(), within.inside.map(|inside| inside.to_string())))
    };
    let some = |archive: &str, inside: Option<&str>| Some((archive.to_owned(), inside.map(str::to_owned)));
    assert_eq!(of("d/x.zip!/"), some("d/x.zip", None));
    assert_eq!(of("d/x.zip!/a/b"), some("d/x.zip", Some("a/b")));
    assert_eq!(of("d/x.zip!/a/"), some("d/x.zip", Some("a")));
    assert_eq!(of("x.tar.gz!/y.zip!/z"), some("x.tar.gz", Some("y.zip!/z")));
    assert_eq!(of("x!/y.zip!/a.txt"), some("x!/y.zip", Some("a.txt")));
    for path in ["x.zip", "x.zip!", "x.txt!/a", "!/a", "x.zip/!/a"] {
        assert_eq!(of(path), None, "{path}");
    }
    assert!(is_archive("a.WHL") && !is_archive("a.gz") && !is_archive("zip"));
}

proptest! {
    #[test]
    fn whatever_is_written_of_a_file_is_read_back(
        name in "[a-zä/]{0,40}",
        size in prop_oneof![0..1000_u64, Just(u64::from(u32::MAX)), any::<u64>()],
        offset in prop_oneof![0..1000_u64, Just(u64::from(u32::MAX)), any::<u64>()],
        crc in any::<u32>(),
    ) {
        let written = central(&name, size, crc, TIME, offset);
        let read: Vec<Entry> = entries(&written, 10).collect::<Result<_, _>>().unwrap();
        let expected = Entry {
            name: name.as_bytes().to_vec(),
            encrypted: false,
            method: 0,
            crc,
            packed: size,
            size,
            updated_at: Some(TIME),
            offset,
        };
        prop_assert_eq!(read, [expected]);
        prop_assert!(local(&name, size, crc, TIME).len() >= 30 + name.len());
    }

    #[test]
    fn the_end_of_a_zip_leads_to_its_directory(
        files in prop_oneof![0..1000_u64, 65_530..65_540_u64, any::<u64>()],
        start in prop_oneof![0..1000_u64, Just(u64::from(u32::MAX)), 0..u64::MAX / 4],
        size in prop_oneof![0..1000_u64, Just(u64::from(u32::MAX)), 0..u64::MAX / 4],
        before in 0..1000_u64,
    ) {
        let found = place(&end(files, start, size), before + start + size).unwrap();
        prop_assert_eq!((found.directory, found.before), (before + start..before + start + size, before));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..300_usize, with in any::<u8>()) {
        let _ = place(&bytes, 0);
        let _ = entries(&bytes, 10).count();
        let mut zip = sample_zip(&[("a", b"abc"), ("d/b", b"")]);
        let len = zip.len();
        zip[at % len] = with;
        if let Ok(place) = place(&zip, 0) {
            let directory = &zip[place.directory.start as usize..place.directory.end as usize];
            prop_assert!(entries(directory, 10).count() <= 11);
        }
    }
}
