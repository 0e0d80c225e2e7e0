//! Uploads by tus over a line that is reset, which ends the request in the server at once, and what a client learns that
//! asks afterwards: it goes on from the answer, and forgets the upload for any other than 200 and 423.

use super::tus::{FW, begin, create, offset, piece, tus};
use super::with_developer;
use crate::support::{Client, bytes};
use std::time::Duration;

/// What the server has of it once the line is reset after so many bytes.
fn cut(dev: &Client, at: &str, file: &[u8], stands: usize, sent: usize) -> usize {
    let wire = begin(dev, at, file, stands, sent);
    std::thread::sleep(Duration::from_millis(300));
    wire.reset();
    std::thread::sleep(Duration::from_millis(300));
    offset(dev, at)
}

#[test]
fn a_file_completes_over_a_line_that_is_reset_again_and_again() {
    let (server, dev) = with_developer();
    let file = bytes(11, 8_000_000);
    let at = create(&dev, "1.2/fw.bin", file.len()).expect(201).header("location").to_owned();
    let mut stands = 0;
    for sent in [2_000_000, 1_500_000, 3_000_000] {
        let then = cut(&dev, &at, &file, stands, sent);
        // Never as much as the server acknowledges by itself: it is kept because it came.
        assert!(
            (stands + sent - 256 * 1024..=stands + sent).contains(&then),
            "{stands} {sent} {then}"
        );
        stands = then;
    }
    piece(&dev, &at, stands, &file[stands..]).expect(204);
    assert!(dev.get(FW).expect(200).body == file);
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn a_reset_behind_the_last_byte_loses_no_upload() {
    let (server, dev) = with_developer();
    let file = bytes(14, 1_000_000);
    for wait in [0, 1, 2, 4, 8, 16, 32, 64] {
        let path = format!("1.2/fw-{wait}.bin");
        let at = create(&dev, &path, file.len()).expect(201).header("location").to_owned();
        let wire = begin(&dev, &at, &file, 0, file.len());
        std::thread::sleep(Duration::from_millis(wait));
        wire.reset();
        // What the server had not read when the line broke is sent again. Where it began to read only after it was
        // asked, a client is sent back to ask once more.
        let mut stands = offset(&dev, &at);
        for _ in 0..4 {
            if stands == file.len() || piece(&dev, &at, stands, &file[stands..]).status == 204 {
                break;
            }
            stands = offset(&dev, &at);
        }
        assert!(dev.get(&format!("/generic/acme/firmware/{path}")).expect(200).body == file);
    }
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn who_asks_in_any_moment_after_the_last_byte_is_told_of_all_of_it() {
    let (_server, dev) = with_developer();
    let file = bytes(12, 1_000_000);
    for wait in [0, 1, 2, 4, 8, 16, 32] {
        let path = format!("1.2/fw-{wait}.bin");
        let at = create(&dev, &path, file.len()).expect(201).header("location").to_owned();
        let mut wire = begin(&dev, &at, &file, 0, file.len());
        std::thread::sleep(Duration::from_millis(wait));
        let stands = offset(&dev, &at);
        // The question came before the bytes, or in between and stopped them, or once they were all there.
        match wire.answer().status {
            204 => assert!([0, file.len()].contains(&stands), "{stands} after {wait} ms"),
            409 => drop(piece(&dev, &at, stands, &file[stands..]).expect(204)),
            status => panic!("{status} after {wait} ms"),
        }
        assert!(dev.get(&format!("/generic/acme/firmware/{path}")).expect(200).body == file);
    }
}

#[test]
fn where_an_upload_stands_is_told_at_once_after_a_restart_and_on_a_full_disk() {
    let (server, dev) = with_developer();
    let file = bytes(13, 3_000_000);
    let at = create(&dev, "1.2/fw.bin", file.len()).expect(201).header("location").to_owned();
    piece(&dev, &at, 0, &file[..2_000_000]).expect(204);
    server.kill();
    let full = server.again_with(&[("storage.reserve", "1000000TiB")]);
    full.expects_errors();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(offset(&dev, &at), 2_000_000));
        }
    });
    assert_eq!(piece(&dev, &at, 2_000_000, &file[2_000_000..]).status, 507);
    full.kill();
    let _server = full.again_with(&[("storage.reserve", "64MiB")]);
    piece(&dev, &at, 2_000_000, &file[2_000_000..]).expect(204);
    assert!(dev.get(FW).expect(200).body == file);
}

#[test]
fn a_client_without_patch_says_it_within_a_post() {
    let (server, dev) = with_developer();
    let at = create(&dev, "1.2/fw.bin", 6).expect(201).header("location").to_owned();
    let within = |client: &Client, offset: &str| {
        tus(client, "POST", &at)
            .header("X-HTTP-Method-Override", "PATCH")
            .header("Content-Type", "application/offset+octet-stream")
            .header("Upload-Offset", offset)
            .body(b"abc")
    };
    within(&dev, "0").expect(204);
    // It opens no door that PATCH does not.
    let other = server.member("other", "acme", "developer");
    within(&other, "3").expect(404);
    within(&server.anonymous(), "3").expect(401);
    within(&dev, "3").expect(204);
    assert!(dev.get(FW).expect(200).body == b"abcabc");
}
