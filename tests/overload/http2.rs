//! HTTP/2 by hand: windows that never open, and more requests at once than one connection may have.

use super::connections;
use super::tls::Secure;
use crate::support::{ADMIN_PASSWORD, bytes, sha256, wait_for};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A peer that asks and takes nothing: its windows for bodies are closed from the start.
struct Closed {
    openssl: Child,
    next: u32,
}

impl Closed {
    fn connect(address: SocketAddr) -> Self {
        let openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-alpn", "h2", "-connect", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut peer = Self { openssl, next: 1 };
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // SETTINGS_INITIAL_WINDOW_SIZE = 0 (RFC 9113 §6.5.2).
        peer.frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        peer
    }

    fn send(&mut self, bytes: &[u8]) {
        self.openssl.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.send(&frame);
    }

    /// `GET`, in a HEADERS frame that ends both headers and stream; literals as they are (RFC 7541 §6.2.2).
    fn get(&mut self, path: &str) {
        let mut block = vec![0x82, 0x87];
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}")));
        // :path, :authority and authorization, by their numbers in the static table.
        for (name, value) in [(&[0x04][..], path), (&[0x01], "granary.test"), (&[0x0f, 23 - 15], &authorization)] {
            block.extend(name);
            block.push(u8::try_from(value.len()).ok().filter(|len| *len < 127).unwrap());
            block.extend(value.as_bytes());
        }
        self.frame(1, 0x5, self.next, &block);
        self.next += 2;
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let _ = self.openssl.kill();
        let _ = self.openssl.wait();
    }
}

/// Requests for blobs that were answered with this status.
fn answered(secure: &Secure, status: u16) -> usize {
    let (_, metrics) = secure.curl(&secure.cert(), "/metrics", &[]).unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    let labels = format!("granary_http_requests_total{{format=\"oci\",method=\"GET\",status=\"{status}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&labels));
    count.map_or(0, |count| count.parse().unwrap())
}

fn push(secure: &Secure, blob: &[u8]) -> String {
    let file = secure.folder.path().join("blob");
    std::fs::write(&file, blob).unwrap();
    let path = format!("/v2/acme/app/blobs/uploads/?digest={}", sha256(blob));
    let data = format!("@{}", file.display());
    let (said, _) = secure
        .curl(&secure.cert(), &path, &["--request", "POST", "--data-binary", &data])
        .unwrap();
    assert!(said.starts_with("201"), "{said}");
    format!("/v2/acme/app/blobs/{}", sha256(blob))
}

#[test]
fn a_peer_whose_window_never_opens_is_cut_off() {
    let Some(secure) = Secure::with(&[("limits.reader_idle", "2s")]) else {
        return;
    };
    let path = push(&secure, &bytes(1, 1 << 20));
    let before = answered(&secure, 200);
    wait_for("curl to be gone", || (connections(&secure.server) == 0).then_some(()));
    let mut peer = Closed::connect(secure.server.address());
    for _ in 0..3 {
        peer.get(&path);
    }
    wait_for("the answers", || (answered(&secure, 200) == before + 3).then_some(()));
    wait_for("the peer to be cut off", || (connections(&secure.server) == 0).then_some(()));
    // Who takes what there is gets all of it.
    let (said, body) = secure.curl(&secure.cert(), &path, &["--http2"]).unwrap();
    assert_eq!((said.as_str(), body.len()), ("200 2", 1 << 20));
}

#[test]
fn requests_over_the_limit_of_one_connection_are_refused_and_others_are_not() {
    let Some(secure) = Secure::with(&[("limits.h2_streams", "4")]) else {
        return;
    };
    let path = push(&secure, &bytes(1, 1 << 20));
    let before = answered(&secure, 200);
    let mut peer = Closed::connect(secure.server.address());
    for _ in 0..7 {
        peer.get(&path);
    }
    wait_for("the refusals", || (answered(&secure, 503) == 3).then_some(()));
    assert_eq!(answered(&secure, 200), before + 4);
    let (said, _) = secure.curl(&secure.cert(), &path, &["--http2"]).unwrap();
    assert_eq!(said, "200 2");
}

#[test]
fn one_account_cannot_have_every_download_there_is() {
    let Some(secure) = Secure::with(&[("limits.downloads_per_principal", "4")]) else {
        return;
    };
    let path = push(&secure, &bytes(1, 1 << 20));
    let mut peer = Closed::connect(secure.server.address());
    for _ in 0..4 {
        peer.get(&path);
    }
    wait_for("the answers", || (answered(&secure, 200) == 4).then_some(()));
    let headers = secure.folder.path().join("headers");
    let dump = ["--dump-header", headers.to_str().unwrap()];
    let (said, body) = secure.curl(&secure.cert(), &path, &dump).unwrap();
    assert_eq!(
        (&said[..3], std::str::from_utf8(&body).unwrap().contains("TOOMANYREQUESTS")),
        ("429", true)
    );
    let headers = std::fs::read_to_string(&headers).unwrap().to_lowercase();
    assert!(headers.contains("retry-after: 1"), "{headers}");
    drop(peer);
    wait_for("a place", || {
        let (said, _) = secure.curl(&secure.cert(), &path, &[]).unwrap();
        said.starts_with("200").then_some(())
    });
}
