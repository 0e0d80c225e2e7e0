//! The process dies between the name of a blob's file and its row, and the client sends everything again to the same session.

use super::{expect_clean, expect_clean_after_crash};
use crate::support::{Client, TestServer, bytes, sha256};

/// Deaths, before a try that is left alone.
const DEATHS: usize = 2;

#[test]
fn a_blob_that_is_sent_again_after_a_death_before_its_row_is_taken_at_once() {
    for failpoint in ["blob.renamed", "blob.folder_synced", "blob.linked"] {
        let server = TestServer::start();
        let admin = server.admin().meets_faults();
        let blob = bytes(1, 20_000);
        let digest = sha256(&blob);
        let session = admin.open_session("acme/app");
        for death in 1..=DEATHS {
            server.kill();
            assert!(server.start_with_failpoint(failpoint));
            let answer = admin.call("PUT", &session.finish_path(&digest)).attempt_body(&blob);
            assert!(answer.is_none(), "{failpoint}");
            assert_eq!(server.ended(), -1, "not by a signal");
            // What nobody names is left as it is: another process might be about to name it.
            assert_eq!(server.blob_files(&digest).len(), death, "{failpoint}");
            expect_clean_after_crash(&server, &[]);
            server.start_again();
            assert_eq!(admin.blob_status("acme/app", &digest), 404);
        }

        session.finish(&blob, &digest).expect(201);

        assert_eq!(read(&admin, &digest), blob);
        assert_eq!(server.blob_files(&digest).len(), DEATHS + 1);
        expect_clean(&server);
        server.restart();
        assert_eq!(read(&admin, &digest), blob);
    }
}

#[track_caller]
fn read(client: &Client, digest: &str) -> Vec<u8> {
    client.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body
}
