//! Parts of a blob as clients ask for them: one, several, none that there is; and the
//! body of several parts taken apart again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::{codes, push_blob};
use crate::contract::Backend;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::Digest;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

stories! {
    a_part_says_which_part_it_is
    a_part_that_is_not_there_is_refused_with_the_size
    a_part_of_other_content_is_the_whole
    what_the_client_has_is_not_sent
    an_empty_blob_is_read_whole
}

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

fn read(digest: &Digest, range: &str) -> Request {
    Request::get(format!("/v2/acme/app/blobs/{digest}")).header("range", range)
}

async fn a_part_says_which_part_it_is(world: World) {
    let digest = push_blob(&world, "acme/app", ALPHABET).await;
    for (range, body, told) in [
        ("bytes=0-0", "a", "bytes 0-0/26"),
        ("bytes=1-3", "bcd", "bytes 1-3/26"),
        ("bytes=24-", "yz", "bytes 24-25/26"),
        ("bytes=24-1000", "yz", "bytes 24-25/26"),
        ("bytes=-2", "yz", "bytes 24-25/26"),
        ("bytes=-1000", std::str::from_utf8(ALPHABET).unwrap(), "bytes 0-25/26"),
    ] {
        let answer = world.open().ask(&read(&digest, range)).await.expect(206);
        assert_eq!(answer.body, body.as_bytes(), "{range}");
        assert_eq!(answer.header("content-range"), Some(told), "{range}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert_eq!(answer.digest(), digest, "the digest is that of the whole");
    }
    let whole = world.open().ask(&read(&digest, "lines=1-2")).await.expect(200);
    assert_eq!((whole.body.as_ref(), whole.header("accept-ranges")), (ALPHABET, Some("bytes")));
}

async fn a_part_that_is_not_there_is_refused_with_the_size(world: World) {
    let digest = push_blob(&world, "acme/app", ALPHABET).await;
    for range in ["bytes=26-", "bytes=500-0", "bytes=-0", "bytes=30-40,50-60"] {
        let answer = world.open().ask(&read(&digest, range)).await.expect(416);
        assert_eq!(answer.header("content-range"), Some("bytes */26"), "{range}");
        assert_eq!(codes(&answer), ["RANGE_INVALID"]);
    }
}

async fn a_part_of_other_content_is_the_whole(world: World) {
    let digest = push_blob(&world, "acme/app", ALPHABET).await;
    let other = Digest::sha256(b"other");
    let part = |tag: String| read(&digest, "bytes=0-3").header("if-range", tag);
    assert_eq!(
        world.open().ask(&part(format!("\"{digest}\""))).await.expect(206).body,
        &b"abcd"[..]
    );
    for tag in [
        format!("\"{other}\""),
        "Wed, 21 Oct 2015 07:28:00 GMT".into(),
        format!("W/\"{digest}\""),
    ] {
        assert_eq!(world.open().ask(&part(tag)).await.expect(200).body, ALPHABET);
    }
}

async fn what_the_client_has_is_not_sent(world: World) {
    let digest = push_blob(&world, "acme/app", ALPHABET).await;
    let tagged = |tag: &str| read(&digest, "bytes=0-3").header("if-none-match", tag);
    let whole = world
        .open()
        .ask(&Request::get(format!("/v2/acme/app/blobs/{digest}")))
        .await
        .expect(200);
    let tag = whole.header("etag").unwrap();
    for held in [tag, "*", &format!("\"x\", W/{tag}")] {
        let answer = world.open().ask(&tagged(held)).await.expect(304);
        assert_eq!((answer.len, answer.header("etag")), (0, Some(tag)), "{held}");
    }
    world.open().ask(&tagged("\"other\"")).await.expect(206);
}

async fn an_empty_blob_is_read_whole(world: World) {
    let digest = push_blob(&world, "acme/app", b"").await;
    let answer = world
        .open()
        .ask(&Request::get(format!("/v2/acme/app/blobs/{digest}")))
        .await
        .expect(200);
    assert_eq!((answer.len, answer.digest()), (0, digest));
    let answer = world.open().ask(&read(&digest, "bytes=0-")).await.expect(416);
    assert_eq!(answer.header("content-range"), Some("bytes */0"));
}

/// One range of a request.
#[derive(Clone, Copy, Debug)]
enum Wish {
    FromTo(usize, usize),
    From(usize),
    Last(usize),
}

impl Wish {
    fn text(self) -> String {
        match self {
            Self::FromTo(first, last) => format!("{first}-{last}"),
            Self::From(first) => format!("{first}-"),
            Self::Last(count) => format!("-{count}"),
        }
    }

    /// The positions it means, one by one, which is slow and hard to get wrong.
    fn meaning(self, size: usize) -> Vec<usize> {
        let wanted = |position: &usize| match self {
            Self::FromTo(first, last) => (first..=last).contains(position),
            Self::From(first) => *position >= first,
            Self::Last(count) => position + count >= size,
        };
        (0..size).filter(wanted).collect()
    }
}

/// The parts of a multipart body, each with the positions it claims.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let boundary = answer
        .header("content-type")
        .unwrap()
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let body = String::from_utf8(answer.body.to_vec()).unwrap();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap();
    let delimiter = format!("\r\n--{boundary}\r\n");
    let mut parts = body.split(&delimiter);
    assert_eq!(parts.next(), Some(""), "nothing stands before the first part");
    let part = |text: &str| {
        let (headers, content) = text.split_once("\r\n\r\n").unwrap();
        let [kind, range] = headers.split("\r\n").collect::<Vec<_>>()[..] else {
            panic!("{headers}")
        };
        assert_eq!(kind, "Content-Type: application/octet-stream");
        (
            range.strip_prefix("Content-Range: ").unwrap().to_owned(),
            content.as_bytes().to_vec(),
        )
    };
    parts.map(part).collect()
}

#[test]
fn every_list_of_ranges_is_answered_with_its_parts() {
    let wish = || {
        prop_oneof![
            (0usize..30, 0usize..30).prop_map(|(first, last)| Wish::FromTo(first, last)),
            (0usize..30).prop_map(Wish::From),
            (0usize..30).prop_map(Wish::Last),
        ]
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new(Backend::Sqlite);
    let digest = runtime.block_on(push_blob(&world, "acme/app", ALPHABET));
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(500)
    };
    let outcome = TestRunner::new(config).run(&vec(wish(), 1..6), |wishes| {
        let texts: Vec<String> = wishes.iter().map(|wish| wish.text()).collect();
        let answer = runtime.block_on(world.open().ask(&read(&digest, &format!("bytes={}", texts.join(", ")))));
        let mut expected: Vec<(String, Vec<u8>)> = Vec::new();
        for wish in &wishes {
            let positions = wish.meaning(ALPHABET.len());
            if let (Some(first), Some(last)) = (positions.first(), positions.last()) {
                expected.push((format!("bytes {first}-{last}/26"), ALPHABET[*first..=*last].to_vec()));
            }
        }
        // More than the whole in parts is answered with the whole.
        if expected.iter().map(|(_, content)| content.len()).sum::<usize>() > ALPHABET.len() {
            prop_assert_eq!((answer.status, &answer.body[..]), (200, ALPHABET));
            return Ok(());
        }
        match &expected[..] {
            [] => prop_assert_eq!(answer.status, 416),
            [(range, content)] => {
                prop_assert_eq!((answer.status, answer.header("content-range")), (206, Some(range.as_str())));
                prop_assert_eq!(&answer.body, content);
            }
            _ => {
                prop_assert_eq!((answer.status, answer.header("content-range")), (206, None));
                prop_assert_eq!(parts(&answer), expected);
            }
        }
        Ok(())
    });
    outcome.unwrap();
}
