//! HTTP/2 by hand: windows that never open, more requests at once than there may be, and connections that ask nothing.

use super::connections;
use super::tls::Secure;
use crate::support::{ADMIN_PASSWORD, bytes, sha256, wait_for};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A peer that asks and, where its windows are closed, takes nothing. It answers pings.
struct Peer {
    openssl: Child,
    to: Arc<Mutex<ChildStdin>>,
    next: u32,
    /// Bytes of bodies that came.
    taken: Arc<AtomicUsize>,
    /// While it is set nothing is read.
    deaf: Arc<AtomicBool>,
}

/// The kinds of frame (RFC 9113 §6) and two of their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

impl Peer {
    /// Whoever takes nothing of any answer.
    fn closed(secure: &Secure) -> Self {
        Self::connect(secure, 0)
    }

    /// With such a window for each answer.
    fn connect(secure: &Secure, window: u32) -> Self {
        let mut openssl = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-alpn",
                "h2",
                "-connect",
                &secure.server.address().to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = Arc::new(Mutex::new(openssl.stdin.take().unwrap()));
        let from = openssl.stdout.take().unwrap();
        let (taken, deaf) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        std::thread::spawn({
            let (to, taken, deaf) = (to.clone(), taken.clone(), deaf.clone());
            move || listen(from, &to, &taken, &deaf)
        });
        let peer = Self {
            openssl,
            to,
            next: 1,
            taken,
            deaf,
        };
        peer.to.lock().unwrap().write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2).
        let mut setting = vec![0, 4];
        setting.extend(window.to_be_bytes());
        send(&peer.to, SETTINGS, 0, 0, &setting);
        peer
    }

    /// From now on nothing reads its socket, as long as it lives.
    fn freeze(&self) {
        let pid = self.openssl.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    }

    /// A request without a body; gives its stream.
    fn get(&mut self, path: &str) -> u32 {
        self.head("GET", path, END_HEADERS | END_STREAM)
    }

    /// A request's head, of literals as they are (RFC 7541 §6.2.2); gives its stream.
    fn head(&mut self, method: &str, path: &str, flags: u8) -> u32 {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}")));
        // :scheme is https; the others by their numbers in the static table.
        let mut block = vec![0x87];
        for (name, value) in [
            (&[0x02][..], method),
            (&[0x04], path),
            (&[0x01], "granary.test"),
            (&[0x0f, 23 - 15], &authorization),
        ] {
            block.extend(name);
            block.push(u8::try_from(value.len()).ok().filter(|len| *len < 127).unwrap());
            block.extend(value.as_bytes());
        }
        let stream = self.next;
        self.next += 2;
        send(&self.to, HEADERS, flags, stream, &block);
        stream
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.openssl.kill();
        let _ = self.openssl.wait();
    }
}

fn send(to: &Mutex<ChildStdin>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    // The server may have hung up.
    let _ = to.lock().unwrap().write_all(&frame);
}

/// Counts what comes and answers pings.
fn listen(mut from: impl Read, to: &Mutex<ChildStdin>, taken: &AtomicUsize, deaf: &AtomicBool) {
    let mut head = [0; 9];
    while from.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        if from.read_exact(&mut payload).is_err() {
            return;
        }
        while deaf.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        match head[3] {
            DATA => drop(taken.fetch_add(payload.len(), Ordering::Relaxed)),
            PING if head[4] & ACK == 0 => send(to, PING, ACK, 0, &payload),
            _ => {}
        }
    }
}

/// Requests to the registry that were answered with this status.
fn answered(secure: &Secure, method: &str, status: u16) -> usize {
    let (_, metrics) = secure.curl(&secure.cert(), "/metrics", &[]).unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    let labels = format!("granary_http_requests_total{{format=\"oci\",method=\"{method}\",status=\"{status}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&labels));
    count.map_or(0, |count| count.parse().unwrap())
}

fn wait_for_answers(secure: &Secure, method: &str, status: u16, count: usize) {
    wait_for("the answers", || (answered(secure, method, status) >= count).then_some(()));
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
fn a_peer_whose_window_never_opens_is_cut_off_whatever_else_it_asks() {
    let Some(secure) = Secure::with(&[("limits.reader_idle", "2s")]) else {
        return;
    };
    let path = push(&secure, &bytes(1, 1 << 20));
    wait_for("curl to be gone", || (connections(&secure.server) == 0).then_some(()));
    let mut peer = Peer::closed(&secure);
    for _ in 0..3 {
        peer.get(&path);
    }
    wait_for_answers(&secure, "GET", 200, 3);
    wait_for("the peer to be cut off", || {
        peer.head("HEAD", "/v2/", END_HEADERS | END_STREAM);
        (connections(&secure.server) == 0).then_some(())
    });
}

#[test]
fn a_peer_whose_windows_are_open_and_whose_socket_is_not_read_is_cut_off() {
    let Some(secure) = Secure::with(&[("limits.reader_idle", "2s"), ("limits.keep_alive", "1h")]) else {
        return;
    };
    // More than the buffers of both sockets hold.
    let path = push(&secure, &bytes(1, 64 << 20));
    wait_for("curl to be gone", || (connections(&secure.server) == 0).then_some(()));
    let mut peer = Peer::connect(&secure, i32::MAX.unsigned_abs());
    send(&peer.to, WINDOW_UPDATE, 0, 0, &(i32::MAX.unsigned_abs() - 65_535).to_be_bytes());
    // What openssl reads until it is stopped goes no further than its pipe.
    peer.deaf.store(true, Ordering::Relaxed);
    peer.get(&path);
    wait_for_answers(&secure, "GET", 200, 1);
    peer.freeze();
    wait_for("the peer to be cut off", || (connections(&secure.server) == 0).then_some(()));
    let (said, _) = secure.curl(&secure.cert(), &path, &["--http2"]).unwrap();
    assert_eq!(said, "200 2");
}

#[test]
fn a_peer_whose_window_opens_little_by_little_gets_all_of_it() {
    let Some(secure) = Secure::with(&[("limits.reader_idle", "3s"), ("limits.keep_alive", "3s")]) else {
        return;
    };
    let size = 200_000;
    let path = push(&secure, &bytes(1, size));
    let mut peer = Peer::connect(&secure, 1000);
    let stream = peer.get(&path);
    wait_for("all of it", || {
        for stream in [0, stream] {
            send(&peer.to, WINDOW_UPDATE, 0, stream, &2000_u32.to_be_bytes());
        }
        std::thread::sleep(Duration::from_millis(50));
        (peer.taken.load(Ordering::Relaxed) == size).then_some(())
    });
}

#[test]
fn an_upload_that_takes_its_time_is_not_cut_off_because_of_what_is_asked_beside_it() {
    let Some(secure) = Secure::with(&[("limits.reader_idle", "3s"), ("limits.keep_alive", "3s")]) else {
        return;
    };
    push(&secure, b"a repository");
    let mut peer = Peer::connect(&secure, 65_535);
    let path = format!("/v2/acme/app/blobs/uploads/?digest={}", sha256(&[7; 4000]));
    let upload = peer.head("POST", &path, END_HEADERS);
    // Longer than both patiences together.
    for _ in 0..80 {
        send(&peer.to, DATA, 0, upload, &[7; 50]);
        peer.get("/v2/");
        std::thread::sleep(Duration::from_millis(100));
    }
    let created = answered(&secure, "POST", 201);
    send(&peer.to, DATA, END_STREAM, upload, b"");
    wait_for_answers(&secure, "POST", 201, created + 1);
}

#[test]
fn requests_over_the_limit_of_one_connection_are_refused_and_others_are_not() {
    let Some(secure) = Secure::with(&[("limits.h2_streams", "4")]) else {
        return;
    };
    let path = push(&secure, &bytes(1, 1 << 20));
    let mut peer = Peer::closed(&secure);
    for _ in 0..7 {
        peer.get(&path);
    }
    wait_for_answers(&secure, "GET", 503, 3);
    wait_for_answers(&secure, "GET", 200, 4);
    assert_eq!((answered(&secure, "GET", 200), answered(&secure, "GET", 503)), (4, 3));
    let (said, _) = secure.curl(&secure.cert(), &path, &["--http2"]).unwrap();
    assert_eq!(said, "200 2");
}

#[test]
fn a_peer_that_asks_for_ever_more_is_cut_off() {
    for limit in ["limits.h2_streams", "limits.h2_requests"] {
        let Some(secure) = Secure::with(&[(limit, "4")]) else { return };
        let path = push(&secure, &bytes(1, 1 << 20));
        wait_for("curl to be gone", || (connections(&secure.server) == 0).then_some(()));
        let mut peer = Peer::closed(&secure);
        for _ in 0..5 {
            peer.get(&path);
        }
        wait_for_answers(&secure, "GET", 503, 1);
        for _ in 0..10 {
            peer.get(&path);
        }
        wait_for("the peer to be cut off", || (connections(&secure.server) == 0).then_some(()));
        let (said, _) = secure.curl(&secure.cert(), &path, &["--http2"]).unwrap();
        assert_eq!(said, "200 2", "{limit}");
    }
}

#[test]
fn a_connection_that_was_refused_is_served_when_there_is_a_place() {
    let Some(secure) = Secure::with(&[("limits.connections", "2"), ("limits.connections_refused", "8")]) else {
        return;
    };
    let ask_until = |peer: &mut Peer, status, count| {
        // Whoever counts the answers takes a place for a moment, too.
        wait_for("an answer", || {
            peer.get("/v2/");
            (answered(&secure, "GET", status) >= count).then_some(())
        });
    };
    // One after the other, so that it is the third for whom there is no place.
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::connect(&secure, 65_535);
        ask_until(&mut peer, 200, answered(&secure, "GET", 200) + 2);
        peers.push(peer);
    }
    peers.push(Peer::connect(&secure, 65_535));
    let refused = answered(&secure, "GET", 503);
    let served = answered(&secure, "GET", 200);
    ask_until(&mut peers[2], 503, refused + 3);
    assert_eq!(answered(&secure, "GET", 200), served);
    peers.remove(0);
    ask_until(&mut peers[1], 200, served + 3);
}

#[test]
fn a_connection_on_which_nothing_is_asked_is_closed_though_it_answers_pings() {
    let Some(secure) = Secure::with(&[("limits.keep_alive", "1s")]) else {
        return;
    };
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::closed(&secure)).collect();
    peers[0].head("HEAD", "/v2/", END_HEADERS | END_STREAM);
    wait_for_answers(&secure, "HEAD", 200, 1);
    wait_for("the silent to be gone", || (connections(&secure.server) == 0).then_some(()));
}

#[test]
fn connections_on_which_nothing_is_asked_do_not_hold_a_server_that_stops() {
    let Some(secure) = Secure::with(&[("limits.keep_alive", "1h"), ("server.drain_timeout", "1h")]) else {
        return;
    };
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::closed(&secure)).collect();
    peers[0].head("HEAD", "/v2/", END_HEADERS | END_STREAM);
    wait_for_answers(&secure, "HEAD", 200, 1);
    wait_for("the silent", || (connections(&secure.server) >= 3).then_some(()));
    secure.server.stop();
}

#[test]
fn one_account_cannot_have_every_download_there_is() {
    let Some(secure) = Secure::with(&[("limits.downloads_per_principal", "4")]) else {
        return;
    };
    let path = push(&secure, &bytes(1, 1 << 20));
    let mut peer = Peer::closed(&secure);
    for _ in 0..4 {
        peer.get(&path);
    }
    wait_for_answers(&secure, "GET", 200, 4);
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

#[test]
fn a_large_manifest_on_its_way_counts_for_what_it_holds() {
    let Some(secure) = Secure::with(&[("limits.downloads", "8")]) else {
        return;
    };
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"much":"{}"}}}}"#,
        "x".repeat(3 << 20)
    );
    let file = secure.folder.path().join("index");
    std::fs::write(&file, &index).unwrap();
    let path = "/v2/acme/app/manifests/large";
    let data = format!("@{}", file.display());
    let typed = "Content-Type: application/vnd.oci.image.index.v1+json";
    let put = ["--request", "PUT", "--header", typed, "--data-binary", &data];
    let (said, _) = secure.curl(&secure.cert(), path, &put).unwrap();
    assert!(said.starts_with("201"), "{said}");

    // Of half a MiB each it takes seven.
    let mut peer = Peer::closed(&secure);
    peer.get(path);
    wait_for_answers(&secure, "GET", 200, 1);
    let (said, _) = secure.curl(&secure.cert(), path, &[]).unwrap();
    assert!(said.starts_with("503"), "{said}");
    drop(peer);
    wait_for("a place", || {
        let (said, body) = secure.curl(&secure.cert(), path, &[]).unwrap();
        (said.starts_with("200") && body == index.as_bytes()).then_some(())
    });
}

#[test]
fn what_is_on_its_way_when_the_server_stops_arrives() {
    let Some(secure) = Secure::with(&[]) else { return };
    let size = 3_000_000;
    let path = push(&secure, &bytes(1, size));
    wait_for("curl to be gone", || (connections(&secure.server) == 0).then_some(()));
    let mut peer = Peer::connect(&secure, i32::MAX.unsigned_abs());
    send(&peer.to, WINDOW_UPDATE, 0, 0, &(i32::MAX.unsigned_abs() - 65_535).to_be_bytes());
    peer.deaf.store(true, Ordering::Relaxed);
    peer.get(&path);
    wait_for_answers(&secure, "GET", 200, 1);
    secure.server.terminate();
    std::thread::sleep(Duration::from_secs(3));
    peer.deaf.store(false, Ordering::Relaxed);
    wait_for("all of it", || (peer.taken.load(Ordering::Relaxed) == size).then_some(()));
    assert_eq!(secure.server.ended(), 0, "{}", secure.server.log());
}
