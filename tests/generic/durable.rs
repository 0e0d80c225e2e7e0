//! What was acknowledged is there after the process dies, and what was not is not there by half.

use super::refused;
use super::{names, with_developer};
use crate::support::{Wire, bytes, sha256, wait_for};

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

#[test]
fn files_outlive_the_process_and_the_store_is_whole() {
    let (server, dev) = with_developer();
    let file = bytes(5, 600_000);
    dev.call("PUT", FW).body(&file).expect(201);
    for (path, content) in [("a/same", &b"same"[..]), ("b/same", b"same"), ("gone", b"gone")] {
        dev.call("PUT", &format!("/generic/acme/firmware/{path}")).body(content).expect(201);
    }
    let admin = server.admin();
    admin.delete("/generic/acme/firmware/gone").expect(204);
    admin.delete("/generic/acme/firmware/a/same").expect(204);
    let before = admin.get(FW).fingerprint();
    server.kill();
    server.start_again();
    assert_eq!(admin.get(FW).fingerprint(), before);
    assert!(admin.get(FW).body == file);
    assert_eq!(names(&admin, "/generic/acme/firmware/"), ["1.2/", "b/"]);
    let checked = server.cli(&["fsck"]).expect(0);
    assert!(!checked.stdout.contains("missing"), "{}", checked.stdout);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing_and_the_next_one_succeeds() {
    let (server, dev) = with_developer();
    let mut wire = Wire::connect(&dev);
    wire.request(&format!("PUT {FW}"), &["Content-Length: 1000000"]);
    wire.send(bytes(1, 600_000));
    drop(wire);
    wait_for("the half to go", || server.files("uploads").is_empty().then_some(()));
    dev.get(FW).expect(404);
    dev.get("/generic/acme/firmware/").expect(404);
    let file = bytes(1, 1_000_000);
    dev.call("PUT", FW).body(&file).expect(201);
    assert!(dev.get(FW).body == file);
}

#[test]
fn a_file_that_rots_is_no_absent_one_and_its_owner_mends_it() {
    let (server, dev) = with_developer();
    server.expects_errors();
    let dev = dev.meets_faults();
    dev.call("PUT", FW).body(b"the firmware").expect(201);
    let digest = sha256(b"the firmware");
    let folder = server.data().join("store/blobs/sha256").join(&digest[7..9]);
    let file = folder.join(&server.blob_files(&digest)[0]);
    std::fs::write(&file, b"the firmwarE").unwrap();
    // The first one to read it finds out, and may only see the answer break off.
    let found = dev.call("GET", FW).attempt();
    assert!(found.is_none_or(|answer| answer.status == 500));
    for _ in 0..2 {
        let sentence = refused(&dev.get(FW), 500);
        assert_eq!(
            sentence,
            "the stored bytes of this file are damaged; whoever stores the same file again mends it"
        );
    }
    dev.call("PUT", FW).header("If-None-Match", "*").body(b"other").expect(412);
    dev.call("PUT", FW).header("If-None-Match", "*").body(b"the firmware").expect(200);
    assert_eq!(dev.get(FW).expect(200).text(), "the firmware");
}
