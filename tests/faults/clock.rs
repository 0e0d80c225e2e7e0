//! The machine's clock jumps by a day, under a running server.

use super::fsck;
use crate::support::{TestServer, password_of, sha256};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file that says by how much the server's clock is wrong.
struct Clock {
    _folder: TempDir,
    file: PathBuf,
}

impl Clock {
    /// Where there is a library that can lie about the time.
    fn find() -> Option<(Self, Vec<(String, String)>)> {
        let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|machine| format!("/usr/lib/{machine}/faketime/libfaketimeMT.so.1"));
        let Some(library) = places.iter().find(|place| Path::new(place).is_file()) else {
            println!("skipped: no faketime to turn the clock with");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let clock = Self {
            file: folder.path().join("clock"),
            _folder: folder,
        };
        clock.turn("+0");
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", clock.file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            // What sleeps and waits goes by a clock that does not jump.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("GRANARY_SWEEP__INTERVAL", "1s"),
            ("GRANARY_ADMIN_PASSWORD", crate::support::ADMIN_PASSWORD),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some((clock, environment.to_vec()))
    }

    fn turn(&self, by: &str) {
        let fresh = self.file.with_extension("fresh");
        std::fs::write(&fresh, format!("{by}\n")).unwrap();
        std::fs::rename(fresh, &self.file).unwrap();
    }
}

/// What must hold whichever way the clock jumps.
fn a_jump_loses_nothing(by: &str) {
    let Some((clock, environment)) = Clock::find() else { return };
    let server = TestServer::with_environment(environment);
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let dev = server.member("dev", "acme", "developer");
    let half = dev.open_session("acme/app");
    half.append(b"begun before the jump, ").expect(202);
    let token = dev.with_token("repository:acme/app:pull");
    token.get("/v2/acme/app/tags/list").expect(200);
    // Issued and never shown: what the server remembers of tokens is not what decides.
    let unseen = dev.with_token("repository:acme/app:pull");

    clock.turn(by);

    for old in [&token, &unseen] {
        let answer = old.get("/v2/acme/app/tags/list");
        match answer.status {
            // Still within its time by a clock that went back: what was checked before stands.
            200 => assert!(by.starts_with('-'), "it is a day old: {answer}"),
            _ => {
                answer.refused(401, "UNAUTHORIZED");
                assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer}");
            }
        }
    }
    let fresh = server
        .anonymous()
        .basic("dev", &password_of("dev"))
        .with_token("repository:acme/app:pull,push");
    let pulled = fresh.get("/v2/acme/app/manifests/1.0").expect(200);
    assert_eq!(pulled.body, image.manifest.bytes);
    let whole = b"begun before the jump, ended after it";
    fresh
        .session_at(&half.location)
        .finish(b"ended after it", &sha256(whole))
        .expect(201);
    fresh.push("acme/app", "2.0", "from afterwards");
    let swept = server.cli(&["fsck"]).expect(0);
    assert!(!swept.stdout.contains("missing"), "{swept:?}");

    server.restart();
    assert_eq!(fresh.get(&format!("/v2/acme/app/blobs/{}", sha256(whole))).expect(200).body, whole);
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(image.digest()));
    clock.turn("+0");
    admin.push("acme/app", "3.0", "when the clock is right again");
    for tag in ["1.0", "2.0", "3.0"] {
        admin.get(&format!("/v2/acme/app/manifests/{tag}")).expect(200);
    }
    fsck(&server, 0);
    // In order, so that the library takes back what it shares in memory.
    server.stop();
}

#[test]
fn a_clock_that_jumps_ahead_by_a_day_ends_tokens_and_nothing_else() {
    a_jump_loses_nothing("+1d");
}

#[test]
fn a_clock_that_jumps_back_by_a_day_loses_nothing() {
    a_jump_loses_nothing("-1d");
}
