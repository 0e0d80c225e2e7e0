//! Uploads by tus 1.0, as a client of that protocol makes them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request, broken, watched};
use crate::contract::stories;
use crate::contract::world::{World, principal};
use crate::gate::{Held, Needs};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use granary_storage::access::Action;
use granary_storage::limits::Limits;
use granary_storage::sums::{FileSums, Sum};
use granary_storage::{Digest, Error, ErrorKind, What};
use http::Method;

stories! {
    a_server_says_what_it_can_and_which_version_it_speaks
    a_file_that_comes_in_pieces_is_stored_before_the_last_answer
    an_empty_file_is_stored_at_once
    a_piece_that_does_not_belong_where_the_upload_stands_changes_nothing
    a_piece_with_another_checksum_is_undone
    a_piece_that_breaks_off_is_kept_unless_it_has_a_checksum
    a_long_request_is_acknowledged_on_its_way
    of_pieces_that_come_at_once_one_counts
    more_than_was_announced_is_refused
    what_may_not_be_stored_is_refused_for_good
    an_upload_is_its_principals_alone_and_access_is_asked_on_every_request
    a_refusal_reads_no_byte_of_the_body
    a_cancelled_upload_is_gone
    an_upload_whose_time_is_over_is_gone
    requests_that_cannot_be_understood_are_refused_with_a_sentence
}

pub(super) const ROOT: &str = "/generic/acme/firmware/";
pub(super) const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

pub(super) fn tus(request: Request) -> Request {
    request.header("tus-resumable", "1.0.0")
}

pub(super) fn creation(path: &str, length: usize) -> Request {
    let metadata = format!("filename {},filetype {}", STANDARD.encode(path), STANDARD.encode("text/csv"));
    tus(Request::post(ROOT))
        .header("upload-length", length.to_string())
        .header("upload-metadata", metadata)
}

/// Opens an upload of so many bytes; gives its address.
pub(super) async fn begun(world: &World, path: &str, length: usize) -> String {
    let answer = world.open().ask(&creation(path, length)).await.expect(201);
    answer.header("location").unwrap().to_owned()
}

pub(super) fn piece(at: &str, offset: usize, bytes: &'static str) -> Request {
    tus(Request::patch(at))
        .header("upload-offset", offset.to_string())
        .header("content-type", "application/offset+octet-stream")
        .body(bytes)
}

pub(super) fn summed(request: Request, sum: &Sum) -> Request {
    let value = format!("{} {}", sum.kind().as_str(), STANDARD.encode(sum.as_bytes()));
    request.header("upload-checksum", value)
}

pub(super) fn without(mut request: Request, header: &str) -> Request {
    request.headers.retain(|(name, _)| *name != header);
    request
}

pub(super) async fn send(world: &World, request: &Request) -> Answer {
    world.open().ask(request).await
}

pub(super) async fn head(world: &World, at: &str) -> Answer {
    send(world, &tus(Request::new(Method::HEAD, at))).await
}

#[track_caller]
pub(super) fn stands(answer: &Answer, offset: &str) {
    assert_eq!(answer.header("upload-offset"), Some(offset), "{answer:?}");
    assert_eq!(answer.header("tus-resumable"), Some("1.0.0"), "{answer:?}");
}

async fn a_server_says_what_it_can_and_which_version_it_speaks(world: World) {
    for target in [ROOT, "/uploads", "/uploads/", "/uploads/11111111-1111-4111-8111-111111111111"] {
        let answer = send(&world, &Request::new(Method::OPTIONS, target)).await.expect(204);
        for (header, value) in [
            ("tus-resumable", "1.0.0"),
            ("tus-version", "1.0.0"),
            (
                "tus-extension",
                "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation",
            ),
            ("tus-max-size", "107374182400"),
            ("tus-checksum-algorithm", "sha1,sha256,md5"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{target}");
        }
    }
    let at = begun(&world, "a", 3).await;
    let before = world.snapshot().await;
    for request in [
        creation("b", 3),
        piece(&at, 0, "abc"),
        Request::new(Method::HEAD, &at),
        Request::delete(&at),
    ] {
        let older = send(&world, &request.clone().header("tus-resumable", "0.2.2")).await.expect(412);
        assert_eq!(older.header("tus-version"), Some("1.0.0"));
        send(&world, &without(request, "tus-resumable")).await.expect(412);
    }
    assert_eq!(world.snapshot().await, before);
    stands(&head(&world, &at).await.expect(200), "0");
}

async fn a_file_that_comes_in_pieces_is_stored_before_the_last_answer(world: World) {
    let at = begun(&world, "1.2/fw.bin", 10).await;
    let new = head(&world, &at).await.expect(200);
    stands(&new, "0");
    assert_eq!(new.header("upload-length"), Some("10"));
    assert_eq!(new.header("cache-control"), Some("no-store"));
    assert!(new.header("upload-metadata").unwrap().starts_with("filename "));
    assert!(new.header("upload-expires").unwrap().ends_with("GMT"));
    for (offset, bytes, then) in [(0, "abcd", "4"), (4, "", "4"), (4, "efg", "7")] {
        let answer = send(&world, &piece(&at, offset, bytes)).await.expect(204);
        stands(&answer, then);
        stands(&head(&world, &at).await.expect(200), then);
        send(&world, &Request::get(FW)).await.expect(404);
    }
    stands(&send(&world, &piece(&at, 7, "hij")).await.expect(204), "10");
    let read = send(&world, &Request::get(FW)).await.expect(200);
    assert_eq!(read.body, "abcdefghij");
    assert_eq!(read.header("content-type"), Some("text/csv"));
    let sums = FileSums::of(b"abcdefghij");
    for (name, sum) in [
        ("sha256", Sum::from(Digest::sha256(b"abcdefghij"))),
        ("sha512", sums.sha512),
        ("sha1", sums.sha1),
        ("md5", sums.md5),
    ] {
        let beside = send(&world, &Request::get(format!("{FW}.{name}"))).await.expect(200);
        assert_eq!(beside.body, format!("{}  fw.bin\n", sum.hex()));
    }
    // Who did not hear the last answer is told that all is done.
    stands(&head(&world, &at).await.expect(200), "10");
    stands(&send(&world, &piece(&at, 10, "")).await.expect(204), "10");
    send(&world, &piece(&at, 7, "hij")).await.expect(409);
}

async fn an_empty_file_is_stored_at_once(world: World) {
    let at = begun(&world, "1.2/fw.bin", 0).await;
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).len, 0);
    stands(&head(&world, &at).await.expect(200), "0");
}

async fn a_piece_that_does_not_belong_where_the_upload_stands_changes_nothing(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    send(&world, &piece(&at, 0, "abc")).await.expect(204);
    for offset in [0, 2, 4, 6, 7] {
        send(&world, &piece(&at, offset, "x")).await.expect(409);
    }
    let other = piece(&at, 3, "def");
    send(&world, &other.clone().header("content-type", "text/plain")).await.expect(415);
    stands(&head(&world, &at).await.expect(200), "3");
    send(&world, &other).await.expect(204);
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
}

async fn a_piece_with_another_checksum_is_undone(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    send(&world, &piece(&at, 0, "abc")).await.expect(204);
    let sums = FileSums::of(b"def");
    for sum in [sums.sha1, sums.md5, Digest::sha256(b"def").into()] {
        send(&world, &summed(piece(&at, 3, "dxf"), &sum)).await.expect(460);
        stands(&head(&world, &at).await.expect(200), "3");
    }
    send(&world, &summed(piece(&at, 3, "def"), &sums.sha1)).await.expect(204);
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
    let sha1 = send(&world, &Request::get(format!("{FW}.sha1"))).await.expect(200);
    assert_eq!(sha1.body, format!("{}  fw.bin\n", FileSums::of(b"abcdef").sha1.hex()));
}

async fn a_piece_that_breaks_off_is_kept_unless_it_has_a_checksum(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let whole = piece(&at, 0, "abcdef");
    let cut = || broken(Bytes::from_static(b"abc"), Error::invalid(What::Size, "the body ended early"));
    let summed = summed(whole.clone(), &FileSums::of(b"abcdef").sha1);
    world.open().ask_with(&summed, cut()).await.expect(400);
    stands(&head(&world, &at).await.expect(200), "0");
    world.open().ask_with(&whole, cut()).await.expect(400);
    stands(&head(&world, &at).await.expect(200), "3");
    // All bytes came, and the request broke off behind them: nothing is missing.
    let rest = without(piece(&at, 3, "def"), "content-length");
    let cut = broken(Bytes::from_static(b"def"), Error::invalid(What::Size, "the body ended early"));
    stands(&world.open().ask_with(&rest, cut).await.expect(204), "6");
    stands(&head(&world, &at).await.expect(200), "6");
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "abcdef");
}

async fn a_long_request_is_acknowledged_on_its_way(world: World) {
    let often = Limits {
        upload_acknowledge: 2,
        ..Limits::default()
    };
    for (limits, kept) in [(often, "3"), (Limits::default(), "0")] {
        let at = begun(&world, "1.2/fw.bin", 6).await;
        let cut = broken(Bytes::from_static(b"abc"), Error::internal("the disk fails"));
        let door = world.limited(FakeGate::open(), limits);
        door.ask_with(&piece(&at, 0, "abcdef"), cut).await.expect(500);
        stands(&head(&world, &at).await.expect(200), kept);
    }
}

async fn of_pieces_that_come_at_once_one_counts(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let door = world.open();
    for (offset, bytes) in [(0, "abc"), (3, "def")] {
        let request = piece(&at, offset, bytes);
        let answers = futures_util::future::join_all((0..8).map(|_| door.ask(&request))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.contains(&204), "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 204 | 409)), "{statuses:?}");
        stands(&head(&world, &at).await.expect(200), &(offset + 3).to_string());
    }
    assert_eq!(send(&world, &Request::get(FW)).await.body, "abcdef");
    let after = world.snapshot().await;
    assert_eq!((after.blobs.len(), after.orphans.len()), (1, 0));
}

async fn more_than_was_announced_is_refused(world: World) {
    let at = begun(&world, "1.2/fw.bin", 3).await;
    let more = piece(&at, 0, "abcdef");
    send(&world, &more).await.expect(413);
    send(&world, &without(more, "content-length")).await.expect(413);
    stands(&head(&world, &at).await.expect(200), "0");
    let small = Limits {
        blob_bytes: 5,
        ..Limits::default()
    };
    world.limited(FakeGate::open(), small).ask(&creation("a", 6)).await.expect(413);
}

async fn what_may_not_be_stored_is_refused_for_good(world: World) {
    let late = begun(&world, "1.2/fw.bin", 3).await;
    let folder = begun(&world, "1.2", 3).await;
    send(&world, &put(FW, "first")).await.expect(201);
    let developer = || world.behind(FakeGate::holding(Held::No));
    developer().ask(&creation("1.2/fw.bin", 3)).await.expect(403);
    for path in ["1.2", "1.2/fw.bin/below"] {
        send(&world, &creation(path, 3)).await.expect(412);
    }
    send(&world, &piece(&folder, 0, "abc")).await.expect(412);
    developer().ask(&piece(&late, 0, "abc")).await.expect(412);
    assert_eq!(send(&world, &Request::get(FW)).await.body, "first");
    for at in [&late, &folder] {
        head(&world, at).await.expect(404);
    }
}

async fn an_upload_is_its_principals_alone_and_access_is_asked_on_every_request(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let requests = [
        tus(Request::new(Method::HEAD, &at)),
        piece(&at, 0, "abc"),
        tus(Request::delete(&at)),
    ];
    for request in &requests {
        world.open().ask_as("mallory", request).await.expect(404);
        let (kind, what) = (ErrorKind::Denied, What::Repository);
        let revoked = world.behind(FakeGate::open().refusing_once_known(kind, what));
        revoked.ask(request).await.expect(403);
        let asked = revoked.gate.asked.lock().unwrap();
        let Some(Needs::Access { required, .. }) = asked.last() else {
            panic!("the gate was not asked about the repository: {asked:?}")
        };
        assert_eq!(required[0].repository.as_str(), "acme/firmware");
        assert_eq!(required[0].actions, Action::Create.into());
    }
    stands(&head(&world, &at).await.expect(200), "0");
}

async fn a_refusal_reads_no_byte_of_the_body(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let request = piece(&at, 0, "abc");
    for (gate, name, status) in [
        (FakeGate::refusing(ErrorKind::Unauthenticated, What::Credentials), "robin", 401),
        (
            FakeGate::open().refusing_once_known(ErrorKind::Denied, What::Repository),
            "robin",
            403,
        ),
        (FakeGate::open(), "mallory", 404),
    ] {
        let (body, looked_at) = watched();
        let answer = world.behind(gate).send(&request, body, Ok(principal(name))).await.expect(status);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        assert!(!looked_at.get(), "{status}");
    }
    let (body, looked_at) = watched();
    let wrong = piece(&at, 3, "abc");
    world.open().ask_with(&wrong, body).await.expect(409);
    assert!(!looked_at.get());
}

async fn a_cancelled_upload_is_gone(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    send(&world, &piece(&at, 0, "abc")).await.expect(204);
    send(&world, &tus(Request::delete(&at))).await.expect(204);
    head(&world, &at).await.expect(404);
    send(&world, &piece(&at, 3, "def")).await.expect(404);
    send(&world, &tus(Request::delete(&at))).await.expect(404);
    assert!(world.snapshot().await.orphans.is_empty());
}

async fn an_upload_whose_time_is_over_is_gone(world: World) {
    let short = Limits {
        upload_expiry: std::time::Duration::ZERO,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), short);
    let at = door.ask(&creation("1.2/fw.bin", 6)).await.expect(201);
    let at = at.header("location").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    granary_storage::sweep::sweep(&world.stores, std::time::Duration::ZERO)
        .await
        .unwrap();
    head(&world, at).await.expect(404);
    let id = at.strip_prefix("/uploads/").unwrap().parse().unwrap();
    assert_eq!(world.stores.catalog.tus_upload(id, "robin".into()).await.unwrap(), None);
}

async fn requests_that_cannot_be_understood_are_refused_with_a_sentence(world: World) {
    let at = begun(&world, "1.2/fw.bin", 6).await;
    let before = world.snapshot().await;
    let creation = || creation("a", 3);
    for request in [
        creation().header("upload-length", "many"),
        creation().header("upload-length", "-1"),
        creation().header("upload-length", "+1"),
        creation().header("upload-metadata", ""),
        creation().header("upload-metadata", "filetype dGV4dC9jc3Y="),
        creation().header("upload-metadata", "filename"),
        creation().header("upload-metadata", "filename !"),
        creation().header("upload-metadata", format!("filename {}", STANDARD.encode(b"\xff"))),
        creation().header("upload-metadata", format!("filename {}", STANDARD.encode("../up"))),
        creation().header("upload-metadata", format!("filename {}", STANDARD.encode("folder/"))),
        creation().header("upload-metadata", format!("filename {}", STANDARD.encode("@latest/fw.bin"))),
        creation().header("upload-metadata", "filename YQ==,filename YQ=="),
        creation().header("upload-metadata", "filename YQ==,label.os !"),
        creation().header("upload-metadata", "filename YQ==,label.-os bGludXg="),
        creation().header("upload-metadata", "filename YQ==,label.os YQ==,label.OS Yg=="),
        creation().header("upload-defer-length", "1"),
        without(creation(), "upload-length"),
        without(creation(), "upload-length").header("upload-defer-length", "2"),
        piece(&at, 0, "abc").header("upload-length", "7"),
        piece(&at, 0, "abc").header("upload-offset", "x"),
        piece(&at, 0, "abc").header("upload-checksum", "sha1"),
        piece(&at, 0, "abc").header("upload-checksum", "crc32 AAAA"),
        piece(&at, 0, "abc").header("upload-checksum", "sha1 AAAA"),
    ] {
        let answer = send(&world, &request).await.expect(400);
        assert!(!answer.json()["error"].as_str().unwrap().is_empty());
    }
    send(&world, &without(piece(&at, 0, "abc"), "upload-offset")).await.expect(400);
    for at in ["/uploads/x", "/uploads/11111111-1111-4111-8111-111111111111/", "/uploads/a/b"] {
        head(&world, at).await.expect(404);
    }
    let answer = send(&world, &tus(Request::get(&at))).await.expect(405);
    assert_eq!(answer.header("allow"), Some("HEAD, PATCH, DELETE, OPTIONS"));
    assert_eq!(world.snapshot().await, before);
}
