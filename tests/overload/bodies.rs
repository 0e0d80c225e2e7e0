//! Bodies that are announced as enormous, and those that never end, on every route whether it takes one or not.

use super::memory;
use crate::support::{Client, TestServer, Wire, sha256};
use std::time::Duration;

/// A request line of every kind of route.
fn lines(admin: &Client) -> Vec<String> {
    let session = admin.open_session("acme/app").location;
    let digest = sha256(b"nothing");
    let mut lines: Vec<String> = ["/token", "/livez", "/readyz", "/metrics", "/nowhere", "/v2/", "/v2/_catalog"]
        .iter()
        .flat_map(|path| ["GET", "POST"].map(|method| format!("{method} {path}")))
        .collect();
    for (method, rest) in [
        ("GET", "tags/list".to_owned()),
        ("GET", "manifests/1.0".to_owned()),
        ("PUT", "manifests/1.0".to_owned()),
        ("DELETE", "manifests/absent".to_owned()),
        ("GET", format!("blobs/{digest}")),
        ("DELETE", format!("blobs/{digest}")),
        ("GET", format!("referrers/{digest}")),
        ("POST", "blobs/uploads/".to_owned()),
        ("POST", format!("blobs/uploads/?digest={digest}")),
        ("POST", format!("blobs/uploads/?mount={digest}&from=acme/base")),
    ] {
        lines.push(format!("{method} /v2/acme/app/{rest}"));
    }
    for method in ["GET", "PATCH"] {
        lines.push(format!("{method} {session}"));
    }
    lines.push(format!("PUT {session}?digest={digest}"));
    lines.push(format!("DELETE {session}"));
    lines
}

fn bounded() -> TestServer {
    TestServer::with(&[("limits.blob_bytes", "1MiB"), ("limits.body_idle", "1s")])
}

/// The status of whatever the server still said before it hung up; nothing when the reset came first.
fn status(said: &str) -> Option<u16> {
    said.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[test]
fn an_enormous_body_that_is_only_announced_is_answered_on_every_route() {
    let server = bounded();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let before = memory(&server);
    for length in ["10995116277760", "18446744073709551615", "99999999999999999999999999"] {
        for line in lines(&admin) {
            let mut wire = Wire::connect(&admin);
            wire.request(&line, &[&format!("Content-Length: {length}")]);
            let _ = wire.try_send(b"a few bytes");
            let answer = wire.answer();
            assert!(answer.status < 500, "{line} with {length}: {answer}");
            if line.contains("?digest=") || line.starts_with("PATCH") || line.starts_with("PUT") {
                assert!(matches!(answer.status, 400 | 408 | 413), "{line} with {length}: {answer}");
            }
        }
    }
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    admin.push("acme/app", "2.0", "afterwards");
}

#[test]
fn a_body_that_never_ends_is_cut_on_every_route_and_kept_nowhere() {
    let server = bounded();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let (before, blobs) = (memory(&server), server.files("blobs"));
    let piece = vec![b'a'; 64 * 1024];
    let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
    for line in lines(&admin) {
        let mut wire = Wire::connect(&admin);
        wire.request(&line, &["Transfer-Encoding: chunked"]);
        let mut pieces = 0;
        // Until the server says something and stops taking more, or for longer than any limit here.
        while pieces < 1024 && wire.try_send(&framed).is_ok() {
            pieces += 1;
            if pieces % 64 == 0 && wire.has_news(Duration::from_millis(1)) {
                break;
            }
        }
        wire.end_sending();
        let said = wire.rest();
        let status = status(&said);
        assert!(status.is_none_or(|status| status < 500), "{line}: {said:?}");
        assert!(pieces < 1024 || status.is_some(), "{line}: 64 MiB were taken in silence");
    }
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes");
    assert!(server.peak_memory() < 192 << 20, "{}", server.peak_memory());
    assert_eq!(server.files("blobs"), blobs);
    admin.push("acme/app", "2.0", "afterwards");
}

#[test]
fn a_manifest_and_a_form_over_their_limits_are_refused_as_too_large() {
    let server = TestServer::start();
    let admin = server.admin();
    for (line, limit) in [("PUT /v2/acme/app/manifests/1.0", 4 << 20), ("POST /token", 64 * 1024)] {
        let mut wire = Wire::connect(&admin);
        wire.request(line, &["Transfer-Encoding: chunked"]);
        let piece = vec![b' '; 4096];
        for _ in 0..limit / piece.len() {
            wire.chunk(&piece);
        }
        wire.chunk(b"and one more");
        assert_eq!(wire.answer().status, 413, "{line}");
    }
}
