//! Many push at once while the server is killed at random instants, again and again. None of them gives up.

use super::upload::Upload;
use super::{expect_clean, expect_clean_after_crash};
use crate::support::{Answer, Client, Image, PATIENCE, TestServer, bytes, sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Kills without `GRANARY_TEST_KILLS`.
const KILLS: u64 = 20;
/// Those who push at once.
const PUSHERS: u64 = 5;
/// The longest that the server lives, in milliseconds.
const LIFE: u64 = 250;
/// Kills between two checks of every byte.
const THOROUGH: u64 = 10;
/// Kills of one store, at most: the checks take longer the more there is.
const OF_ONE_STORE: u64 = 200;

/// What was acknowledged.
#[derive(Default)]
struct Ledger {
    /// Paths that end in the digest of what is read there.
    content: BTreeSet<String>,
    /// What tags point at.
    tags: BTreeMap<String, String>,
}

#[derive(Default)]
struct Scene {
    ledger: Mutex<Ledger>,
    over: AtomicBool,
    resumed: AtomicUsize,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed_at_random_instants() {
    let mut left = kills();
    while left > 0 {
        let of_this = left.min(OF_ONE_STORE);
        left -= of_this;
        kill_at_random_instants(of_this);
    }
}

fn kill_at_random_instants(kills: u64) {
    let server = TestServer::start();
    let scene = Scene::default();
    let mut random = Random::new();
    std::thread::scope(|scope| {
        for number in 0..PUSHERS {
            let (scene, client) = (&scene, server.admin().meets_faults());
            scope.spawn(move || {
                // The others need not wait for a test that has failed.
                let _guard = Over(&scene.over);
                push(scene, &client, number);
            });
        }
        let _guard = Over(&scene.over);
        for kill in 1..=kills {
            std::thread::sleep(Duration::from_millis(random.below(LIFE)));
            server.kill();
            let thorough = kill.is_multiple_of(THOROUGH);
            expect_clean_after_crash(&server, if thorough { &[] } else { &["--quick"] });
            server.start_again();
            if scene.over.load(Ordering::Relaxed) {
                break;
            }
        }
    });

    let ledger = scene.ledger.into_inner().unwrap();
    let admin = server.admin();
    for path in &ledger.content {
        let answer = admin.get(path).expect(200);
        assert!(path.ends_with(&sha256(&answer.body)), "{path} has other bytes");
    }
    for (path, digest) in &ledger.tags {
        assert_eq!(admin.head(path).expect(200).header("docker-content-digest"), digest, "{path}");
    }
    expect_clean(&server);
    let resumed = scene.resumed.into_inner();
    assert!(resumed > 0, "no upload was interrupted");
    println!(
        "{kills} kills, {} things acknowledged, {resumed} uploads resumed",
        ledger.content.len()
    );
}

/// Ends the scene when it goes, whatever the reason.
struct Over<'s>(&'s AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pushes until the scene is over. The first of all only in many small chunks, so that kills meet sessions.
fn push(scene: &Scene, client: &Client, number: u64) {
    let own = format!("acme/own-{number}");
    for round in 0_u64.. {
        if scene.over.load(Ordering::Relaxed) {
            return;
        }
        let seed = number * 1_000_000 + round;
        let repository = if round.is_multiple_of(2) { own.as_str() } else { "acme/common" };
        if number == 0 || round.is_multiple_of(5) {
            push_in_chunks(scene, client, &own, bytes(seed + 1, 200_000));
        } else {
            // The same eight everywhere, so that commits meet.
            push_whole(scene, client, repository, &bytes(round % 8, 20_000));
            push_image(scene, client, repository, &Image::new(&format!("image {seed}")), number);
        }
    }
}

fn push_in_chunks(scene: &Scene, client: &Client, repository: &str, blob: Vec<u8>) {
    let path = format!("/v2/{repository}/blobs/{}", sha256(&blob));
    let mut upload = Upload::new(repository, blob, 20_000);
    insist(201, || upload.go_on(client));
    scene.resumed.fetch_add(upload.resumed, Ordering::Relaxed);
    scene.ledger.lock().unwrap().content.insert(path);
}

fn push_whole(scene: &Scene, client: &Client, repository: &str, blob: &[u8]) {
    let digest = sha256(blob);
    insist(201, || {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        client.call("POST", &path).attempt_body(blob)
    });
    let path = format!("/v2/{repository}/blobs/{digest}");
    scene.ledger.lock().unwrap().content.insert(path);
}

/// An image under a tag that its pusher alone moves.
fn push_image(scene: &Scene, client: &Client, repository: &str, image: &Image, number: u64) {
    push_whole(scene, client, repository, &image.config);
    push_whole(scene, client, repository, &image.layer);
    let (tag, digest) = (format!("/v2/{repository}/manifests/of-{number}"), image.digest());
    insist(201, || {
        let request = client.call("PUT", &tag).header("Content-Type", &image.manifest.media_type);
        request.attempt_body(&image.manifest.bytes)
    });
    let mut ledger = scene.ledger.lock().unwrap();
    ledger.content.insert(format!("/v2/{repository}/manifests/{digest}"));
    let before = ledger.tags.insert(tag.clone(), digest);
    drop(ledger);
    // Nobody has moved it since; and what it pointed at before can still be had.
    if let Some(reference) = before {
        let path = tag.replace(&format!("of-{number}"), &reference);
        insist(200, || client.call("HEAD", &path).attempt());
    }
}

/// Asks until the server is there to answer, and that as wanted.
#[track_caller]
fn insist(status: u16, mut ask: impl FnMut() -> Option<Answer>) {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            assert_eq!(answer.status, status, "{answer}");
            return;
        }
        assert!(started.elapsed() < PATIENCE, "the server does not come back");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often the server is killed.
#[allow(clippy::disallowed_methods, reason = "how long a test runs is no setting of the server")]
fn kills() -> u64 {
    let wanted = std::env::var("GRANARY_TEST_KILLS");
    wanted.map_or(KILLS, |wanted| wanted.parse().expect("GRANARY_TEST_KILLS is a number"))
}

/// Instants that differ from run to run.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(std::collections::hash_map::RandomState::new().build_hasher().finish() | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
