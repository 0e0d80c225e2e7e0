//! Files as a client stores, reads and deletes them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request, broken, watched};
use crate::contract::stories;
use crate::contract::world::{World, principal};
use crate::gate::Held;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use granary_storage::catalog::StorageFormat;
use granary_storage::{Digest, Error, ErrorKind, What};

stories! {
    a_file_comes_back_as_it_was_stored_with_all_there_is_to_know
    the_same_file_again_is_found_identical_and_another_takes_its_place
    checksums_stand_beside_a_file_unless_a_real_file_does
    a_promise_that_does_not_hold_leaves_nothing
    every_form_of_range_is_answered
    a_client_that_holds_the_file_is_told_so
    writes_may_depend_on_what_is_there
    reads_may_depend_on_what_is_there
    a_file_that_changes_within_a_second_is_neither_hidden_nor_spliced
    the_type_of_a_file_may_be_corrected
    what_is_coded_is_refused_and_never_stored_without_its_coding
    a_put_that_loses_to_another_at_its_end_leaves_nothing_to_be_seen
    what_would_be_refused_in_the_end_is_refused_before_the_body_is_read
    an_upload_that_breaks_off_leaves_nothing_and_the_next_one_succeeds
    a_browser_is_never_given_what_it_would_run
    two_spellings_of_a_name_are_one_file
    a_folder_is_listed_in_pages
    many_files_at_once_in_a_new_repository_are_all_stored
    a_repository_of_images_holds_no_files_and_the_other_way_round
}

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn get(target: &str) -> Request {
    Request::get(target)
}

async fn stored(world: &World, target: &str, content: &'static str) -> Answer {
    world.open().ask(&put(target, content)).await
}

async fn text(world: &World, target: &str) -> String {
    let answer = world.open().ask(&get(target)).await.expect(200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[track_caller]
fn sentence(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap().to_owned()
}

async fn a_file_comes_back_as_it_was_stored_with_all_there_is_to_know(world: World) {
    let answer = stored(&world, FW, "abc").await.expect(201);
    assert_eq!(answer.header("location"), Some(FW));
    assert_eq!(answer.json()["path"], "1.2/fw.bin");
    let read = world.open().ask(&get(FW)).await.expect(200);
    assert_eq!(read.body, "abc");
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let etag = format!("\"sha256:{sha256}\"");
    for answer in [&answer, &read] {
        for (header, value) in [
            ("etag", etag.as_str()),
            ("x-checksum-sha256", sha256),
            ("x-checksum-sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("x-checksum-md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{header}");
        }
        let repr = answer.header("repr-digest").unwrap();
        assert!(
            repr.starts_with("sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:, sha-512=:3a81"),
            "{repr}"
        );
    }
    assert_eq!(read.header("content-type"), Some("application/octet-stream"));
    assert_eq!(read.header("accept-ranges"), Some("bytes"));
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));
    assert!(read.header("last-modified").unwrap().ends_with("GMT"));
    world.open().ask(&Request::delete(FW)).await.expect(204);
    let gone = world.open().ask(&get(FW)).await.expect(404);
    assert_eq!(sentence(&gone), "there is no such file");
    world.open().ask(&Request::delete(FW)).await.expect(404);
}

async fn the_same_file_again_is_found_identical_and_another_takes_its_place(world: World) {
    stored(&world, FW, "one").await.expect(201);
    let before = world.snapshot().await;
    let again = stored(&world, FW, "one").await.expect(200);
    assert_eq!(again.json()["changed"], false);
    let mut after = world.snapshot().await;
    // The bytes came once more, and were found to be here.
    after.events.pop_if(|event| event.kind == "blob.pushed");
    assert_eq!(after, before);
    let other = stored(&world, FW, "two").await.expect(200);
    assert_eq!(other.json()["changed"], true);
    assert_eq!(text(&world, FW).await, "two");
}

async fn checksums_stand_beside_a_file_unless_a_real_file_does(world: World) {
    stored(&world, FW, "abc").await.expect(201);
    for (kind, hex) in [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ] {
        assert_eq!(text(&world, &format!("{FW}.{kind}")).await, format!("{hex}  fw.bin\n"));
    }
    let sha512 = text(&world, &format!("{FW}.sha512")).await;
    assert!(sha512.starts_with("ddaf35a193617aba") && sha512.ends_with("  fw.bin\n"), "{sha512}");
    for nothing in ["sha256.sha256", "sha384", "SHA256", "asc"] {
        world.open().ask(&get(&format!("{FW}.{nothing}"))).await.expect(404);
    }
    world.open().ask(&get("/generic/acme/firmware/1.2/.sha256")).await.expect(404);
    world.open().ask(&Request::delete(format!("{FW}.sha256"))).await.expect(404);
    // One that was there before its file.
    let early = "/generic/acme/firmware/1.2/early.bin";
    stored(&world, &format!("{early}.md5"), "signed elsewhere").await.expect(201);
    stored(&world, early, "abc").await.expect(201);
    assert_eq!(text(&world, &format!("{early}.md5")).await, "signed elsewhere");
    stored(&world, &format!("{early}.md5"), "signed again").await.expect(422);
    let right = "900150983cd24fb0d6963f7d28e17f72";
    stored(&world, &format!("{early}.md5"), right).await.expect(200);
    assert_eq!(text(&world, &format!("{early}.md5")).await, right);
}

async fn a_promise_that_does_not_hold_leaves_nothing(world: World) {
    stored(&world, FW, "one").await.expect(201);
    let before = world.snapshot().await;
    let other = Digest::sha256(b"another file").hex();
    for (header, value) in [
        ("x-checksum-sha256", other.as_str()),
        ("x-checksum-sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("x-checksum-md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("content-md5", "kAFQmDzST7DWlj99KOF/cg=="),
        ("content-digest", "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"),
        ("repr-digest", "md5=:kAFQmDzST7DWlj99KOF/cg==:"),
    ] {
        for target in [FW, "/generic/acme/firmware/new/file"] {
            let answer = world.open().ask(&put(target, "two").header(header, value)).await.expect(422);
            assert!(sentence(&answer).contains("the bytes received have the digest"), "{answer:?}");
            assert_eq!(world.snapshot().await, before, "{header}");
        }
    }
    let right = put(FW, "abc").header("content-md5", "kAFQmDzST7DWlj99KOF/cg==");
    world.open().ask(&right).await.expect(200);
    assert_eq!(text(&world, FW).await, "abc");
}

async fn every_form_of_range_is_answered(world: World) {
    stored(&world, FW, "0123456789").await.expect(201);
    let etag = format!("\"{}\"", Digest::sha256(b"0123456789"));
    let read = world.open().ask(&get(FW)).await;
    let modified = read.header("last-modified").unwrap();
    let range = |range: &str| get(FW).header("range", range);
    for (asked, part, content_range) in [
        (range("bytes=2-3"), "23", "bytes 2-3/10"),
        (range("bytes=7-"), "789", "bytes 7-9/10"),
        (range("bytes=-2"), "89", "bytes 8-9/10"),
        (range("bytes=9-100").header("if-range", etag.as_str()), "9", "bytes 9-9/10"),
        (range("bytes=0-0").header("if-range", modified), "0", "bytes 0-0/10"),
    ] {
        let answer = world.open().ask(&asked).await.expect(206);
        assert_eq!(
            (&answer.body[..], answer.header("content-range")),
            (part.as_bytes(), Some(content_range))
        );
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
    }
    for whole in [
        range("bytes=2-3").header("if-range", "\"another\""),
        range("bytes=2-3").header("if-range", LONG_AGO),
        range("bytes=2-3").header("if-range", format!("W/{etag}")),
        range("bytes=2-3").header("if-range", format!("{etag}, {etag}")),
        range("lines=2-3"),
        range("bytes=x"),
    ] {
        assert_eq!(world.open().ask(&whole).await.expect(200).body, "0123456789");
    }
    let many = world.open().ask(&range("bytes=0-1,-1")).await.expect(206);
    let body = String::from_utf8(many.body.to_vec()).unwrap();
    assert!(many.header("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
    assert!(
        body.contains("bytes 0-1/10\r\n\r\n01\r\n") && body.contains("bytes 9-9/10\r\n\r\n9\r\n"),
        "{body}"
    );
    for beyond in ["bytes=10-", "bytes=100-200", "bytes=-0"] {
        let answer = world.open().ask(&range(beyond)).await.expect(416);
        assert_eq!(answer.header("content-range"), Some("bytes */10"), "{beyond}");
        assert_eq!(sentence(&answer), "the file has 10 bytes");
    }
}

async fn a_client_that_holds_the_file_is_told_so(world: World) {
    stored(&world, FW, "abc").await.expect(201);
    let read = world.open().ask(&get(FW)).await;
    let (etag, modified) = (read.header("etag").unwrap(), read.header("last-modified").unwrap());
    for (header, value, status) in [
        ("if-none-match", etag, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"another\"", 200),
        ("if-modified-since", modified, 304),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("if-modified-since", "some day", 200),
    ] {
        let answer = world.open().ask(&get(FW).header(header, value)).await.expect(status);
        assert_eq!(answer.header("etag"), Some(etag), "{header}: {value}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    let both = get(FW).header("if-none-match", "\"another\"").header("if-modified-since", modified);
    world.open().ask(&both).await.expect(200);
}

async fn writes_may_depend_on_what_is_there(world: World) {
    let tag = |content: &str| format!("\"{}\"", Digest::sha256(content.as_bytes()));
    let door = world.open();
    let only = async |content: &'static str, header, value: &str| door.ask(&put(FW, content).header(header, value)).await.status;
    assert_eq!(only("one", "if-match", "*").await, 412);
    assert_eq!(only("one", "if-none-match", "*").await, 201);
    assert_eq!(only("two", "if-none-match", "*").await, 412);
    assert_eq!(only("two", "if-match", &tag("two")).await, 412);
    assert_eq!(only("two", "if-match", &tag("one")).await, 200);
    let delete = Request::delete(FW);
    let stale = door.ask(&delete.clone().header("if-match", tag("one"))).await.expect(412);
    assert_eq!(sentence(&stale), "the condition on what the path holds does not hold");
    assert_eq!(text(&world, FW).await, "two");
    door.ask(&delete.header("if-match", tag("two"))).await.expect(204);
}

async fn reads_may_depend_on_what_is_there(world: World) {
    stored(&world, FW, "abc").await.expect(201);
    let read = world.open().ask(&get(FW)).await;
    let (own, modified) = (read.header("etag").unwrap(), read.header("last-modified").unwrap());
    for (header, value, status) in [
        ("if-match", own, 200),
        ("if-match", "*", 200),
        ("if-match", "\"another\"", 412),
        ("if-unmodified-since", modified, 200),
        ("if-unmodified-since", LONG_AGO, 412),
        ("if-unmodified-since", "some däy", 400),
    ] {
        for request in [get(FW), get(FW).as_head(), get(FW).header("range", "bytes=0-0")] {
            let ranged = status == 200 && request.headers.iter().any(|(name, _)| *name == "range");
            let answer = world.open().ask(&request.header(header, value)).await;
            assert_eq!(answer.status, if ranged { 206 } else { status }, "{header}: {value}");
            if status == 412 {
                assert_eq!(sentence(&answer), "the condition on what is there does not hold");
            }
        }
    }
    // A condition is about what is there, and nothing is.
    world
        .open()
        .ask(&get(&format!("{FW}.none")).header("if-match", own))
        .await
        .expect(404);
    let delete = Request::delete(FW).header("if-unmodified-since", LONG_AGO);
    world.open().ask(&delete).await.expect(412);
    let label = Request::patch(FW)
        .body(r#"{"labels":{"a":"b"}}"#)
        .header("if-unmodified-since", LONG_AGO);
    world.open().ask(&label).await.expect(412);
    world.open().ask(&delete.header("if-unmodified-since", modified)).await.expect(204);
}

async fn a_file_that_changes_within_a_second_is_neither_hidden_nor_spliced(world: World) {
    // Until two changes fall into one second: the second one may have just begun.
    let mut before = None;
    for number in 0..100 {
        let content = format!("content {number:02}");
        world.open().ask(&put(FW, content.clone())).await;
        let read = world.open().ask(&get(FW)).await.expect(200);
        let modified = read.header("last-modified").unwrap().to_owned();
        if before.as_ref() == Some(&modified) {
            let spliced = get(FW).header("range", "bytes=8-").header("if-range", modified.as_str());
            assert_eq!(world.open().ask(&spliced).await.expect(200).body, content);
            let hidden = get(FW).header("if-modified-since", modified.as_str());
            assert_eq!(world.open().ask(&hidden).await.expect(200).body, content);
            let lost = put(FW, "another change").header("if-unmodified-since", modified.as_str());
            world.open().ask(&lost).await.expect(412);
            let etag = read.header("etag").unwrap();
            let sure = get(FW).header("range", "bytes=8-").header("if-range", etag);
            assert_eq!(world.open().ask(&sure).await.expect(206).body, content[8..]);
            return;
        }
        before = Some(modified);
    }
    panic!("no two changes fell into one second");
}

async fn the_type_of_a_file_may_be_corrected(world: World) {
    let typed = |media_type: &str| put(FW, "1,2").header("content-type", media_type);
    world.open().ask(&typed("text/plain")).await.expect(201);
    let is = async |media_type: &str| {
        let read = world.open().ask(&get(FW)).await.expect(200);
        assert_eq!(read.header("content-type"), Some(media_type));
    };
    // Who says nothing of it changes nothing, and who may only add may not.
    assert_eq!(stored(&world, FW, "1,2").await.expect(200).json()["changed"], false);
    let adds_only = world.behind(FakeGate::holding(Held::No));
    let known = typed("text/csv").header("x-checksum-sha256", Digest::sha256(b"1,2").hex());
    let refused = adds_only.ask(&known).await.expect(409);
    assert!(
        sentence(&refused).ends_with("you may not store another content type there"),
        "{refused:?}"
    );
    is("text/plain").await;
    let corrected = world.open().ask(&typed("text/csv")).await.expect(200);
    assert_eq!(corrected.json()["changed"], true);
    is("text/csv").await;
}

async fn what_is_coded_is_refused_and_never_stored_without_its_coding(world: World) {
    for coding in ["gzip", "identity, br", "aws-chunked"] {
        let answer = world.open().ask(&put(FW, "x").header("content-encoding", coding)).await.expect(415);
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
        assert!(sentence(&answer).contains("never as Content-Encoding: "), "{answer:?}");
        world.open().ask(&get(FW)).await.expect(404);
    }
    world
        .open()
        .ask(&put(FW, "x").header("content-encoding", "Identity"))
        .await
        .expect(201);
}

async fn a_put_that_loses_to_another_at_its_end_leaves_nothing_to_be_seen(world: World) {
    let door = world.open();
    // The other one comes while the last of the body is under way.
    let against = async |target: &str, rival: &'static str, condition: Option<&str>| {
        let rivals_door = world.open();
        let body = stream::once(async move {
            rivals_door.ask(&put(rival, "the rival's")).await.expect(201);
            Ok(Bytes::from_static(b"the loser's"))
        });
        let request = put(target, "the loser's");
        let request = match condition {
            Some(condition) => request.header("if-none-match", condition),
            None => request,
        };
        door.ask_with(&request, Box::pin(body)).await
    };
    against("/generic/new/files/a/b", "/generic/new/files/a", None).await.expect(409);
    against("/generic/new/more/a", "/generic/new/more/a", Some("*")).await.expect(412);
    let seen = world.snapshot().await;
    let names: Vec<&str> = seen.names.keys().map(String::as_str).collect();
    assert_eq!(names, ["new/files", "new/files:a", "new/more", "new/more:a"]);
    assert_eq!(seen.orphans.len(), 0);
    for target in ["/generic/new/files/a", "/generic/new/more/a"] {
        assert_eq!(text(&world, target).await, "the rival's");
    }
    // Nor is a repository to be seen that holds nothing at all.
    let catalog = &world.stores.catalog;
    let empty = catalog.ensure_repository("new/empty".parse().unwrap(), StorageFormat::Generic, None, "robin".into());
    empty.await.unwrap();
    assert_eq!(world.snapshot().await.names, seen.names);
}

async fn what_would_be_refused_in_the_end_is_refused_before_the_body_is_read(world: World) {
    stored(&world, FW, "one").await.expect(201);
    let before = world.snapshot().await;
    let adds_only = || world.behind(FakeGate::holding(Held::No));
    for (door, request, status) in [
        (world.open(), put("/generic/acme/firmware/1.2", "x"), 409),
        (world.open(), put(format!("{FW}/x"), "x"), 409),
        (world.open(), put(FW, "x").header("if-none-match", "*"), 412),
        (world.open(), put(FW, "x").header("if-match", "\"another\""), 412),
        (world.open(), put("/generic/acme/none/x", "x").header("if-match", "*"), 412),
        (world.open(), put(FW, "x").header("content-range", "bytes 0-0/2"), 400),
        (world.open(), put(FW, "x").header("x-explode-archive", "true"), 400),
        (world.open(), put(FW, "x").header("x-explode-archive", "naïve"), 400),
        (world.open(), put(FW, "x").header("x-explode-archive-atomic", "true"), 400),
        (world.open(), put(FW, "x").header("content-encoding", "gzip"), 415),
        (world.open(), put(FW, "x").header("if-unmodified-since", LONG_AGO), 412),
        (world.open(), put("/generic/acme/firmware/1.2/", "x"), 400),
        (world.open(), put(FW, "x").header("content-length", (1_u64 << 60).to_string()), 413),
        (adds_only(), put(FW, "x"), 409),
        (
            adds_only(),
            put(FW, "x").header("x-checksum-sha256", Digest::sha256(b"x").hex()),
            409,
        ),
    ] {
        let (body, looked_at) = watched();
        let answer = door.send(&request, body, Ok(principal("robin"))).await.expect(status);
        assert!(!sentence(&answer).is_empty());
        assert!(!looked_at.get(), "the body was read: {request:?}");
    }
    assert_eq!(world.snapshot().await, before);
    // Who may only add may say that it is the same.
    let same = put(FW, "one").header("x-checksum-sha256", Digest::sha256(b"one").hex());
    adds_only().ask(&same).await.expect(200);
    adds_only().ask(&put("/generic/acme/firmware/new", "x")).await.expect(201);
}

async fn an_upload_that_breaks_off_leaves_nothing_and_the_next_one_succeeds(world: World) {
    let before = world.snapshot().await;
    for error in [
        Error::new(ErrorKind::Timeout, What::Request, "the body stopped arriving"),
        Error::invalid(What::Size, "the body ended early"),
    ] {
        let half = Bytes::from_static(b"half of");
        let request = put(FW, "half of it and the other half");
        let answer = world.open().ask_with(&request, broken(half, error)).await;
        assert!(matches!(answer.status, 400 | 408), "{answer:?}");
        assert_eq!(world.snapshot().await, before);
    }
    stored(&world, FW, "all of it").await.expect(201);
    assert_eq!(text(&world, FW).await, "all of it");
}

async fn a_browser_is_never_given_what_it_would_run(world: World) {
    let base = "/generic/acme/firmware";
    for (name, content_type, sent) in [
        ("a.html", None, "text/html"),
        ("b.svg", None, "image/svg+xml"),
        ("c.js", None, "text/javascript"),
        ("d.bin", Some("text/html; charset=utf-8"), "text/html; charset=utf-8"),
        ("e.xml", None, "text/xml"),
    ] {
        let target = format!("{base}/{name}");
        let request = put(target.as_str(), format!("of {name}"));
        let request = match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        };
        world.open().ask(&request).await.expect(201);
        for asked in [get(&target), get(&target).header("range", "bytes=0-1")] {
            let answer = world.open().ask(&asked).await;
            assert_eq!(answer.header("content-type"), Some(sent), "{name}");
            assert_eq!(answer.header("content-disposition"), Some("attachment"), "{name}");
            assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; sandbox"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
    }
    let form = put(format!("{base}/f.txt"), "x").header("content-type", "application/x-www-form-urlencoded");
    world.open().ask(&form).await.expect(201);
    let plain = world.open().ask(&get(&format!("{base}/f.txt"))).await.expect(200);
    assert_eq!(
        (plain.header("content-type"), plain.header("content-disposition")),
        (Some("text/plain"), None)
    );
}

async fn two_spellings_of_a_name_are_one_file(world: World) {
    let (composed, decomposed) = ("/generic/acme/firmware/caf%C3%A9", "/generic/acme/firmware/cafe%CC%81");
    let answer = stored(&world, decomposed, "one").await.expect(201);
    assert_eq!(answer.header("location"), Some(composed));
    assert_eq!(text(&world, composed).await, "one");
    stored(&world, composed, "one").await.expect(200);
    world.open().ask(&get("/generic/acme/firmware/CAF%C3%89")).await.expect(404);
}

async fn a_folder_is_listed_in_pages(world: World) {
    let base = "/generic/acme/firmware";
    for name in ["a.bin", "b/x", "b/y", "c%20d", "e%3Bf"] {
        stored(&world, &format!("{base}/{name}"), "abc").await.expect(201);
    }
    let (mut names, mut next) = (Vec::new(), Some(format!("{base}/?n=2")));
    while let Some(target) = next {
        let page = world.open().ask(&get(&target)).await.expect(200);
        let json = page.json();
        assert_eq!((&json["repository"], &json["path"]), (&"acme/firmware".into(), &"".into()));
        let entries = json["entries"].as_array().unwrap();
        assert!(entries.len() <= 2);
        names.extend(entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
        next = page.header("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    assert_eq!(names, ["a.bin", "b/", "c d", "e;f"]);
    let all = world.open().ask(&get(&format!("{base}/"))).await.expect(200).json();
    let file = &all["entries"][0];
    assert_eq!((&file["type"], &file["size"]), (&"file".into(), &3.into()));
    assert_eq!(file["sha256"], Digest::sha256(b"abc").hex());
    assert!(file["updated"].as_str().unwrap().ends_with('Z'), "{file}");
    assert_eq!(all["entries"][1], serde_json::json!({"name": "b/", "type": "folder"}));
    let deeper = world.open().ask(&get(&format!("{base}/b/"))).await.expect(200).json();
    assert_eq!((&deeper["path"], deeper["entries"].as_array().unwrap().len()), (&"b/".into(), 2));
    // Behind the last entry is an empty page; where nothing is, no folder is.
    let behind = world.open().ask(&get(&format!("{base}/b/?last=z"))).await.expect(200).json();
    assert_eq!(behind["entries"].as_array().unwrap().len(), 0);
    let nothing = world.open().ask(&get(&format!("{base}/a.bin/"))).await.expect(404);
    assert_eq!(sentence(&nothing), "there is no such folder");
    world.open().ask(&get("/generic/acme/none/")).await.expect(404);
    world.open().ask(&get(&format!("{base}/?n=x"))).await.expect(400);
}

async fn many_files_at_once_in_a_new_repository_are_all_stored(world: World) {
    let door = world.open();
    let all = (0..64).map(|number| put(format!("/generic/fresh/files/1.0/{number}.bin"), format!("file {number}")));
    let all: Vec<Request> = all.collect();
    let ended = join_all(all.iter().map(|request| door.ask(request))).await;
    for answer in ended {
        answer.expect(201);
    }
    let listed = world.open().ask(&get("/generic/fresh/files/1.0/")).await.expect(200).json();
    assert_eq!(listed["entries"].as_array().unwrap().len(), 64);
}

async fn a_repository_of_images_holds_no_files_and_the_other_way_round(world: World) {
    use crate::oci::specimen_tests::{blob, push_blob};
    let layer = push_blob(&world, "acme/app", b"a layer").await;
    stored(&world, FW, "abc").await.expect(201);
    let door = world.open();
    let before = world.snapshot().await;
    let (body, looked_at) = watched();
    let refused = door
        .send(&put("/generic/acme/app/x", "x"), body, Ok(principal("robin")))
        .await
        .expect(409);
    assert!(!looked_at.get());
    assert_eq!(sentence(&refused), "acme/app is a repository of another format (oci)");
    for nothing in [
        get("/generic/acme/app/x"),
        get("/generic/acme/app/"),
        Request::delete("/generic/acme/app/x"),
    ] {
        door.ask(&nothing).await.expect(404);
    }
    door.ask(&blob("acme/firmware", "x")).await.expect(409);
    let digest = Digest::sha256(b"abc");
    for nothing in [
        format!("/v2/acme/firmware/blobs/{digest}"),
        format!("/v2/acme/firmware/manifests/{digest}"),
        "/v2/acme/firmware/tags/list".to_owned(),
    ] {
        door.ask(&get(&nothing)).await.expect(404);
    }
    door.ask(&Request::delete(format!("/v2/acme/firmware/blobs/{digest}")))
        .await
        .expect(404);
    assert_eq!(world.snapshot().await, before);
    door.ask(&get(&format!("/v2/acme/app/blobs/{layer}"))).await.expect(200);
}
