//! Reading blobs: whole, in parts, on conditions.

use crate::support::{Answer, Client, TestServer, bytes, sha256, sha512};

/// A server with one blob of 1000 bytes, and the path to it.
fn with_blob() -> (TestServer, Client, Vec<u8>, String) {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(3, 1000);
    let digest = admin.push_blob("acme/app", &blob);
    (server, admin, blob, format!("/v2/acme/app/blobs/{digest}"))
}

fn range(client: &Client, path: &str, range: &str) -> Answer {
    client.call("GET", path).header("Range", range).send()
}

#[test]
fn a_blob_comes_back_with_everything_that_clients_look_for() {
    let (_server, admin, blob, path) = with_blob();
    let digest = sha256(&blob);

    let answer = admin.get(&path).expect(200);

    assert_eq!(answer.body, blob);
    assert_eq!(answer.header("content-length"), "1000");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("docker-content-digest"), digest);
    assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
}

#[test]
fn head_is_get_without_the_bytes() {
    let (_server, admin, _, path) = with_blob();
    let (get, head) = (admin.get(&path), admin.head(&path));
    assert_eq!(
        (head.fingerprint().0, head.fingerprint().1),
        (get.fingerprint().0, get.fingerprint().1)
    );
    assert!(head.body.is_empty());
    // A HEAD with a range tells about the whole.
    let ranged = admin.call("HEAD", &path).header("Range", "bytes=0-9").send().expect(200);
    assert_eq!(ranged.header("content-length"), "1000");
}

#[test]
fn a_part_is_what_the_range_says() {
    let (_server, admin, blob, path) = with_blob();
    for (asked, part, said) in [
        ("bytes=0-0", 0..1, "bytes 0-0/1000"),
        ("bytes=0-99", 0..100, "bytes 0-99/1000"),
        ("bytes=100-199", 100..200, "bytes 100-199/1000"),
        ("bytes=900-", 900..1000, "bytes 900-999/1000"),
        ("bytes=999-999", 999..1000, "bytes 999-999/1000"),
        ("bytes=-100", 900..1000, "bytes 900-999/1000"),
        ("bytes=-5000", 0..1000, "bytes 0-999/1000"),
        ("bytes=500-5000", 500..1000, "bytes 500-999/1000"),
        ("bytes=0-", 0..1000, "bytes 0-999/1000"),
        // What lies outside falls away while something is left.
        ("bytes=10-19,2000-2010", 10..20, "bytes 10-19/1000"),
    ] {
        let answer = range(&admin, &path, asked).expect(206);
        assert_eq!(answer.body, blob[part], "{asked}");
        assert_eq!(answer.header("content-range"), said);
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert_eq!(answer.header("docker-content-digest"), sha256(&blob));
        assert_eq!(answer.header("content-type"), "application/octet-stream");
    }
}

#[test]
fn several_parts_come_in_one_multipart_body_in_the_order_asked() {
    // As podman asks for the files it lacks of a zstd:chunked layer.
    let (_server, admin, blob, path) = with_blob();

    let answer = range(&admin, &path, "bytes=0-4, 100-109,-3").expect(206);

    let boundary = answer
        .header("content-type")
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let part = |first: usize, last: usize| {
        let mut part =
            format!("\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/1000\r\n\r\n")
                .into_bytes();
        part.extend_from_slice(&blob[first..=last]);
        part
    };
    let mut expected = [part(0, 4), part(100, 109), part(997, 999)].concat();
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(answer.body, expected);
    assert!(answer.find("content-range").is_none(), "{answer}");
}

#[test]
fn a_range_that_the_blob_does_not_have_is_refused_with_its_size() {
    let (_server, admin, _, path) = with_blob();
    for asked in [
        "bytes=1000-",
        "bytes=1000-1001",
        "bytes=500-0",
        "bytes=-0",
        "bytes=5000-,6000-",
        "bytes=99999999999999999999-",
    ] {
        let answer = range(&admin, &path, asked);
        answer.refused(416, "RANGE_INVALID");
        assert_eq!(answer.header("content-range"), "bytes */1000");
    }
}

#[test]
fn a_range_that_is_none_or_of_too_many_parts_is_answered_with_the_whole() {
    let (_server, admin, blob, path) = with_blob();
    let many = format!("bytes={}", (0..33).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(","));
    for asked in [
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "bytes",
        "lines=0-1",
        "bytes=1-2-3",
        "bytes=0-1,x",
        &many,
    ] {
        let answer = range(&admin, &path, asked).expect(200);
        assert_eq!(answer.body, blob, "{asked}");
    }
}

#[test]
fn an_empty_blob_has_no_parts() {
    let server = TestServer::start();
    let admin = server.admin();
    let digest = admin.push_blob("acme/app", b"");
    let path = format!("/v2/acme/app/blobs/{digest}");
    let whole = admin.get(&path).expect(200);
    assert_eq!((whole.header("content-length"), whole.body.len()), ("0", 0));
    assert_eq!(range(&admin, &path, "bytes=0-").header("content-range"), "bytes */0");
}

#[test]
fn who_has_it_already_is_not_sent_it_again() {
    let (_server, admin, blob, path) = with_blob();
    let digest = sha256(&blob);
    let if_none = |method: &str, value: &str| admin.call(method, &path).header("If-None-Match", value).send();
    for method in ["GET", "HEAD"] {
        for value in [
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            format!("\"x\", \"{digest}\""),
            "*".into(),
        ] {
            let answer = if_none(method, &value).expect(304);
            assert_eq!(answer.header("etag"), format!("\"{digest}\""));
            assert!(answer.body.is_empty());
        }
    }
    for value in ["\"x\"".to_owned(), format!("\"{}\"", sha256(b"other"))] {
        assert_eq!(if_none("GET", &value).expect(200).body, blob, "{value}");
    }
}

#[test]
fn a_download_is_resumed_only_on_the_same_content() {
    let (_server, admin, blob, path) = with_blob();
    let resume = |tag: &str| {
        admin
            .call("GET", &path)
            .header("Range", "bytes=990-")
            .header("If-Range", tag)
            .send()
    };

    assert_eq!(resume(&format!("\"{}\"", sha256(&blob))).expect(206).body, blob[990..]);
    assert_eq!(resume(&format!("\"{}\"", sha256(b"other"))).expect(200).body, blob);
    assert_eq!(resume("Wed, 21 Oct 2015 07:28:00 GMT").expect(200).body, blob);
}

#[test]
fn nothing_is_ever_compressed_on_the_way_whatever_the_client_accepts() {
    // containerd offers encodings on layers, too; an encoded layer does not have its digest.
    let (server, admin, _, _) = with_blob();
    let text = "the same line over and over\n".repeat(1000);
    let digest = admin.push_blob("acme/app", text.as_bytes());
    let image = admin.push("acme/app", "1.0", &text);
    let accept = |path: &str| {
        let answer = admin.call("GET", path).header("Accept-Encoding", "zstd, gzip, deflate, br").send();
        let answer = answer.expect(200);
        assert_eq!(answer.find("content-encoding"), None, "{answer}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        answer.body
    };
    assert_eq!(accept(&format!("/v2/acme/app/blobs/{digest}")), text.as_bytes());
    assert_eq!(accept("/v2/acme/app/manifests/1.0"), image.manifest.bytes);
    accept("/v2/_catalog");
    drop(server);
}

#[test]
fn a_blob_may_be_named_by_either_algorithm_and_is_then_two_blobs() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(9, 500);
    let long = sha512(&blob);
    admin.open_session("acme/app").finish(&blob, &long).expect(201);

    let answer = admin.get(&format!("/v2/acme/app/blobs/{long}")).expect(200);

    assert_eq!(answer.body, blob);
    assert_eq!(answer.header("docker-content-digest"), long);
    assert_eq!(admin.blob_status("acme/app", &sha256(&blob)), 404);
    admin.push_blob("acme/app", &blob);
    assert_eq!(admin.blob_status("acme/app", &sha256(&blob)), 200);
}

#[test]
fn a_blob_is_unknown_where_the_repository_is() {
    let server = TestServer::start();
    let path = format!("/v2/nowhere/app/blobs/{}", sha256(b"x"));
    let answer = server.admin().get(&path);
    assert_eq!(answer.status, 404, "{answer}");
    assert_eq!(server.admin().head(&path).status, 404);
}

#[test]
fn what_a_browser_would_run_is_not_served_as_such() {
    let (_server, admin, _, _) = with_blob();
    let digest = admin.push_blob("acme/app", b"<script>alert(1)</script>");
    let answer = admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer}");
}
