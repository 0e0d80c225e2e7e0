//! Bytes on the disk that are no longer those that were pushed: nobody gets them, and pushing again repairs them.

use super::fsck;
use crate::support::{Client, TestServer, bytes, sha256};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// A blob of several pieces and a small one, and the server that holds them.
struct Story {
    server: TestServer,
    admin: Client,
    large: Vec<u8>,
    small: Vec<u8>,
}

impl Story {
    fn begin() -> Self {
        let server = TestServer::start();
        server.expects_errors();
        let admin = server.admin();
        let (large, small) = (bytes(1, 3_000_000), bytes(2, 5000));
        for blob in [&large, &small] {
            admin.push_blob("acme/app", blob);
        }
        // Pushed to another repository, too: what is damaged is damaged for everybody.
        admin.push_blob("acme/other", &small);
        Self {
            admin: admin.meets_faults(),
            server,
            large,
            small,
        }
    }

    /// The file that a blob is whole in: damaged ones stay beside it until they are swept.
    fn file(&self, blob: &[u8]) -> PathBuf {
        let digest = sha256(blob);
        let folder = self.server.data().join("store/blobs/sha256").join(&digest[7..9]);
        let files = self.server.blob_files(&digest);
        let mut paths = files.iter().map(|name| folder.join(name));
        paths.find(|path| std::fs::read(path).unwrap() == blob).unwrap()
    }

    /// No way of reading gives wrong bytes, the blob is absent afterwards, and pushing it again brings it back.
    fn damaged_and_repaired(&self, blob: &[u8], rot: impl Fn()) {
        let digest = sha256(blob);
        let path = format!("/v2/acme/app/blobs/{digest}");
        rot();
        let mut seen = Vec::new();
        for range in ["bytes=0-", "bytes=0-99", "bytes=-100", "none"] {
            let Some(answer) = self.admin.call("GET", &path).header("Range", range).attempt() else {
                seen.push(0);
                continue;
            };
            seen.push(answer.status);
            match answer.status {
                200 => panic!("all of it was sent: {answer}"),
                206 => {
                    // A part that does not touch the damage may be sent, if it is right.
                    let part = match range {
                        "bytes=0-99" => &blob[..100],
                        "bytes=-100" => &blob[blob.len() - 100..],
                        _ => panic!("all of it was sent: {answer}"),
                    };
                    assert_eq!(answer.body, part, "{range}");
                }
                404 | 500 => {}
                _ => panic!("{answer}"),
            }
        }
        self.server.wait_for_log("is set aside");
        self.admin.get(&path).refused(404, "BLOB_UNKNOWN");
        self.admin.head(&path).expect(404);
        let found = fsck(&self.server, 3);
        assert!(
            found.contains("blob-set-aside") && found.contains(&digest),
            "{found}, after {seen:?}"
        );

        self.admin.push_blob("acme/app", blob);
        assert_eq!(self.admin.get(&path).expect(200).body, blob);
        fsck(&self.server, 0);
    }
}

/// Turns one bit around.
fn flip(path: &PathBuf, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn one_wrong_bit_is_never_sent() {
    let story = Story::begin();
    for at in [0, 1_700_000, 2_999_999] {
        story.damaged_and_repaired(&story.large, || flip(&story.file(&story.large), at));
    }
    story.damaged_and_repaired(&story.small, || flip(&story.file(&story.small), 4000));
    let small = sha256(&story.small);
    assert_eq!(
        story.admin.get(&format!("/v2/acme/other/blobs/{small}")).expect(200).body,
        story.small
    );
}

#[test]
fn a_file_that_lost_its_end_is_never_sent() {
    let story = Story::begin();
    for (blob, len) in [
        (&story.large, 2_999_999),
        (&story.large, 300_000),
        (&story.large, 0),
        (&story.small, 4999),
    ] {
        story.damaged_and_repaired(blob, || {
            OpenOptions::new().write(true).open(story.file(blob)).unwrap().set_len(len).unwrap();
        });
    }
}

#[test]
fn a_file_that_is_gone_is_never_made_up() {
    let story = Story::begin();
    story.damaged_and_repaired(&story.large, || std::fs::remove_file(story.file(&story.large)).unwrap());
}

#[test]
fn two_files_that_changed_places_are_both_found() {
    let story = Story::begin();
    // Of one length, so that only what is in them tells.
    let (one, other) = (bytes(3, 700_000), bytes(4, 700_000));
    for blob in [&one, &other] {
        story.admin.push_blob("acme/app", blob);
    }
    let swap = || {
        let (one, other) = (story.file(&one), story.file(&other));
        let between = one.with_extension("between");
        for (from, to) in [(&one, &between), (&other, &one), (&between, &other)] {
            std::fs::rename(from, to).unwrap();
        }
    };
    swap();
    // Known to be wrong even before somebody reads them.
    let found = fsck(&story.server, 3);
    assert_eq!(found.matches("blob-damaged").count(), 2, "{found}");
    for blob in [&one, &other] {
        let answer = story.admin.call("GET", &format!("/v2/acme/app/blobs/{}", sha256(blob))).attempt();
        assert!(answer.is_none_or(|answer| answer.status == 500));
        story.admin.head(&format!("/v2/acme/app/blobs/{}", sha256(blob))).expect(404);
    }
    let found = fsck(&story.server, 3);
    assert_eq!(found.matches("blob-set-aside").count(), 2, "{found}");
    for blob in [&one, &other] {
        story.admin.push_blob("acme/app", blob);
        assert_eq!(
            story.admin.get(&format!("/v2/acme/app/blobs/{}", sha256(blob))).expect(200).body,
            *blob
        );
    }
    fsck(&story.server, 0);
}

#[test]
fn what_rots_while_the_server_is_stopped_is_found_when_it_runs_again() {
    let story = Story::begin();
    story.damaged_and_repaired(&story.large, || {
        story.server.stop();
        flip(&story.file(&story.large), 2_000_000);
        let found = fsck(&story.server, 3);
        assert!(found.contains("blob-damaged") && found.contains(&sha256(&story.large)), "{found}");
        story.server.start_again();
    });
}

#[test]
fn an_image_with_a_damaged_layer_is_pulled_again_after_it_is_pushed_again() {
    let story = Story::begin();
    let image = story.admin.push("acme/app", "1.0", "an image");
    flip(&story.file(&image.layer), 3);
    let path = format!("/v2/acme/app/blobs/{}", sha256(&image.layer));
    assert!(story.admin.call("GET", &path).attempt().is_none_or(|answer| answer.status == 500));
    story.admin.get(&path).refused(404, "BLOB_UNKNOWN");
    let another = crate::support::Manifest::new(
        crate::support::OCI_IMAGE,
        serde_json::json!({"annotations": {"of": "the damaged layer"}, "schemaVersion": 2,
            "config": image.manifest.json()["config"], "layers": image.manifest.json()["layers"]}),
    );
    let refused = story.admin.put_manifest("acme/app", "2.0", &another);
    assert!(
        refused.status == 400 || refused.status == 404,
        "a manifest of what is not there: {refused}"
    );

    story.admin.push_image("acme/app", "1.0", &image);
    assert_eq!(story.admin.get(&path).expect(200).body, image.layer);
    story.admin.put_manifest("acme/app", "2.0", &another).expect(201);
    fsck(&story.server, 0);
}
