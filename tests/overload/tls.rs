//! TLS: both versions of HTTP, certificates that change while the server runs, and clients who do not speak it.

use crate::support::{ADMIN_PASSWORD, TestServer, Wire, bytes, sha256, wait_for};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A server that speaks TLS, and where its certificate lies.
pub(super) struct Secure {
    pub(super) server: TestServer,
    pub(super) folder: TempDir,
}

impl Secure {
    fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// With more settings. None, said on the test's output, where a program is missing.
    pub(super) fn with(settings: &[(&str, &str)]) -> Option<Self> {
        for (program, flag) in [("openssl", "version"), ("curl", "--version")] {
            if Command::new(program).arg(flag).output().is_err() {
                println!("skipped: no {program}");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        make_certificate(folder.path());
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let mut all = vec![("tls.cert", cert.to_str().unwrap()), ("tls.key", key.to_str().unwrap())];
        all.extend(settings);
        let server = TestServer::with(&all);
        Some(Self { server, folder })
    }

    pub(super) fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Calls by curl, which trusts only this certificate; gives status and version, and the body.
    pub(super) fn curl(&self, trusted: &Path, path: &str, arguments: &[&str]) -> Result<(String, Vec<u8>), String> {
        let body = self.folder.path().join("body");
        let url = format!("https://{}{path}", self.server.address());
        let done = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--cacert"])
            .arg(trusted)
            .args([
                "--user",
                &format!("admin:{ADMIN_PASSWORD}"),
                "--write-out",
                "%{http_code} %{http_version}",
                "--output",
            ])
            .arg(&body)
            .args(arguments)
            .arg(&url)
            .output()
            .unwrap();
        if done.status.success() {
            Ok((String::from_utf8(done.stdout).unwrap(), std::fs::read(&body).unwrap_or_default()))
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    #[track_caller]
    fn works(&self, trusted: &Path) {
        let (said, _) = self.curl(trusted, "/v2/", &["--http2"]).unwrap();
        assert_eq!(said, "200 2");
    }
}

/// A certificate that signs itself, for this host's loopback, and its key.
fn make_certificate(folder: &Path) {
    let done = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=granary.test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn blobs_go_in_and_out_by_either_version_of_http() {
    let Some(secure) = Secure::start() else { return };
    let blob = bytes(1, 20 << 20);
    let file = secure.folder.path().join("blob");
    std::fs::write(&file, &blob).unwrap();
    let data = format!("@{}", file.display());
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let repository = format!("acme/by-{version}");
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(&blob));
        let push = [
            flag,
            "--request",
            "POST",
            "--header",
            "Content-Type: application/octet-stream",
            "--data-binary",
            &data,
        ];
        let (said, _) = secure.curl(&secure.cert(), &path, &push).unwrap();
        assert_eq!(said, format!("201 {version}"));
        let path = format!("/v2/{repository}/blobs/{}", sha256(&blob));
        let (said, body) = secure.curl(&secure.cert(), &path, &[flag]).unwrap();
        assert_eq!(said, format!("200 {version}"));
        assert_eq!(sha256(&body), sha256(&blob));
        let (said, body) = secure.curl(&secure.cert(), &path, &[flag, "--header", "Range: bytes=5-9"]).unwrap();
        assert_eq!((said, &body[..]), (format!("206 {version}"), &blob[5..10]));
        let (said, _) = secure.curl(&secure.cert(), &path, &[flag, "--head"]).unwrap();
        assert_eq!(said, format!("200 {version}"));
    }
}

#[test]
fn a_challenge_over_tls_leads_to_a_place_that_speaks_tls() {
    let Some(secure) = Secure::start() else { return };
    for flag in ["--http1.1", "--http2"] {
        let headers = secure.folder.path().join("headers");
        let dump = headers.to_str().unwrap();
        let (said, _) = secure
            .curl(
                &secure.cert(),
                "/v2/",
                &[flag, "--user", "admin:not-the-password", "--dump-header", dump],
            )
            .unwrap();
        assert!(said.starts_with("401"), "{said}");
        let headers = std::fs::read_to_string(headers).unwrap().to_lowercase();
        let realm = format!("www-authenticate: bearer realm=\"https://{}/token\"", secure.server.address());
        assert!(headers.contains(&realm), "{headers}");
    }
}

#[test]
fn a_renewed_certificate_is_used_after_a_hangup_and_a_broken_one_is_not() {
    let Some(secure) = Secure::start() else { return };
    secure.server.expects_errors();
    let old = secure.folder.path().join("old.pem");
    std::fs::copy(secure.cert(), &old).unwrap();
    secure.works(&old);

    make_certificate(secure.folder.path());
    // Nothing changes before it is asked for.
    secure.works(&old);
    secure.server.signal(Signal::HUP);
    secure.server.wait_for_log("the certificate was read again");
    let renewed = secure.folder.path().join("renewed.pem");
    std::fs::copy(secure.cert(), &renewed).unwrap();
    secure.works(&renewed);
    assert!(secure.curl(&old, "/v2/", &[]).is_err(), "the old certificate is still shown");

    // A half-written file, an empty one, and a key that is another's.
    let whole = std::fs::read(&renewed).unwrap();
    let stranger = tempfile::tempdir().unwrap();
    make_certificate(stranger.path());
    let strange = std::fs::read(stranger.path().join("cert.pem")).unwrap();
    for (number, broken) in [&whole[..whole.len() / 2], b"", &strange].into_iter().enumerate() {
        std::fs::write(secure.cert(), broken).unwrap();
        secure.server.signal(Signal::HUP);
        wait_for("the refusal", || {
            let refused = secure.server.log().matches("the certificate stays as it was").count();
            (refused == number + 1).then_some(())
        });
        secure.works(&renewed);
    }
}

#[test]
fn who_speaks_no_tls_or_says_nothing_does_no_harm() {
    let Some(secure) = Secure::start() else { return };
    let nobody = secure.server.anonymous();
    for bytes in [
        &b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0; 4096],
        b"\x16\x03\x01\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut wire = Wire::connect(&nobody);
        let _ = wire.try_send(bytes);
        wire.end_sending();
        let said = wire.rest();
        assert!(!said.contains("HTTP/1.1 200"), "{said:?}");
    }
    // The handshake has its time, and no more.
    let mut silent: Vec<Wire> = (0..50).map(|_| Wire::connect(&nobody)).collect();
    secure.works(&secure.cert());
    assert_eq!(silent[0].rest(), "");
    secure.works(&secure.cert());
}

#[test]
fn a_certificate_that_does_not_hold_at_the_start_is_said_to_the_operator() {
    let Some(secure) = Secure::start() else { return };
    secure.server.stop();
    std::fs::write(secure.cert(), "not a certificate").unwrap();
    let refused = secure.server.cli(&["serve", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(refused.stderr.contains("tls.cert"), "{refused:?}");
}
