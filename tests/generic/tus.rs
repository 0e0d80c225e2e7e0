//! Uploads by tus 1.0 over a line that breaks, to a server that dies.

use super::{refused, with_developer};
use crate::support::{Answer, Call, Client, Wire, bytes, sha256, sha512, wait_for};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) const ROOT: &str = "/generic/acme/firmware/";
pub(super) const FW: &str = "/generic/acme/firmware/1.2/fw.bin";
const TYPE: (&str, &str) = ("Content-Type", "application/offset+octet-stream");

pub(super) fn tus<'c>(client: &'c Client, method: &str, path: &str) -> Call<'c> {
    client.call(method, path).header("Tus-Resumable", "1.0.0")
}

pub(super) fn create(client: &Client, path: &str, length: usize) -> Answer {
    tus(client, "POST", ROOT)
        .header("Upload-Length", &length.to_string())
        .header("Upload-Metadata", &format!("filename {}", STANDARD.encode(path)))
        .body(b"")
}

/// Where the upload stands.
#[track_caller]
pub(super) fn offset(client: &Client, at: &str) -> usize {
    let answer = tus(client, "HEAD", at).send().expect(200);
    answer.header("upload-offset").parse().unwrap()
}

pub(super) fn piece(client: &Client, at: &str, offset: usize, bytes: &[u8]) -> Answer {
    tus(client, "PATCH", at)
        .header(TYPE.0, TYPE.1)
        .header("Upload-Offset", &offset.to_string())
        .body(bytes)
}

/// Begins to send the rest of a file, and stops after `sent` bytes of it.
pub(super) fn begin(client: &Client, at: &str, file: &[u8], offset: usize, sent: usize) -> Wire {
    let mut wire = Wire::connect(client);
    let headers = [
        "Tus-Resumable: 1.0.0".to_owned(),
        format!("{}: {}", TYPE.0, TYPE.1),
        format!("Upload-Offset: {offset}"),
        format!("Content-Length: {}", file.len() - offset),
    ];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    wire.request(&format!("PATCH {at}"), &headers);
    wire.send(&file[offset..offset + sent]);
    wire
}

#[test]
fn a_file_completes_after_it_was_cut_off_several_times_and_the_server_was_killed() {
    let (server, dev) = with_developer();
    let file = bytes(7, 30_000_000);
    let created = create(&dev, "1.2/fw.bin", file.len()).expect(201);
    let at = created.header("location").to_owned();
    assert!(at.starts_with("/uploads/"), "{at}");
    let mut stands = 0;
    for sent in [1_000_000, 123_457] {
        let mut wire = begin(&dev, &at, &file, stands, sent);
        wire.end_sending();
        assert_eq!(wire.answer().status, 400);
        // What had come and was not yet read when the line broke (a buffer of the connection) is sent again.
        let kept = offset(&dev, &at) - stands;
        assert!((sent.saturating_sub(256 * 1024)..=sent).contains(&kept) && kept > 0, "{kept}");
        stands += kept;
    }
    // In the middle of one long request, of which the server has acknowledged a part to itself.
    let wire = begin(&dev, &at, &file, stands, 20_000_000);
    let folder = server.data().join("store/uploads");
    wait_for("the bytes on the disk", || {
        let lengths = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len());
        Some(lengths.sum()).filter(|length: &u64| *length > 20_000_000)
    });
    server.kill();
    drop(wire);
    server.start_again();
    let after = offset(&dev, &at);
    assert!((stands + 16 * 1024 * 1024..=stands + 20_000_000).contains(&after), "{after}");
    dev.get(FW).expect(404);
    piece(&dev, &at, after, &file[after..]).expect(204);
    let read = dev.get(FW).expect(200);
    assert!(read.body == file);
    assert_eq!(read.header("x-checksum-sha256"), &sha256(&file)[7..]);
    let beside = dev.get(&format!("{FW}.sha512")).expect(200).text();
    assert_eq!(beside, format!("{}  fw.bin\n", &sha512(&file)[7..]));
    // What was answered outlives the process, and who did not hear the answer may ask.
    server.kill();
    server.start_again();
    assert_eq!(offset(&dev, &at), file.len());
    assert!(dev.get(FW).body == file);
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn who_asks_where_an_upload_stands_evicts_who_still_writes_it() {
    let (_server, dev) = with_developer();
    let file = bytes(8, 2_000_000);
    let at = create(&dev, "1.2/fw.bin", file.len()).expect(201).header("location").to_owned();
    piece(&dev, &at, 0, &file[..500_000]).expect(204);
    let mut stale = begin(&dev, &at, &file, 500_000, 600_000);
    // The stale request has the session, or will be refused when it tries to take it.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let stands = offset(&dev, &at);
    assert_eq!(stands, 500_000);
    piece(&dev, &at, stands, &file[stands..]).expect(204);
    let _ = stale.try_send(&file[1_100_000..]);
    assert!(stale.answer().status >= 400);
    assert!(dev.get(FW).expect(200).body == file);
}

#[test]
fn uploads_are_for_who_may_push_and_nobody_elses() {
    let (server, dev) = with_developer();
    let at = create(&dev, "1.2/fw.bin", 3).expect(201).header("location").to_owned();
    let other = server.member("other", "acme", "developer");
    let viewer = server.member("viewer", "acme", "viewer");
    assert_eq!(create(&viewer, "a", 3).status, 403);
    let challenged = create(&server.anonymous(), "a", 3).expect(401);
    assert!(challenged.header("www-authenticate").starts_with("Basic "));
    for client in [&other, &viewer, &server.admin()] {
        refused(&piece(client, &at, 0, b"abc"), 404);
    }
    refused(&piece(&server.anonymous(), &at, 0, b"abc"), 401);
    // A right that is taken away in the middle is gone with the next request.
    piece(&dev, &at, 0, b"ab").expect(204);
    server.cli(&["project", "grant", "acme", "dev", "viewer"]).expect(0);
    refused(&piece(&dev, &at, 2, b"c"), 403);
    server.admin().get(FW).expect(404);
    server.cli(&["project", "grant", "acme", "dev", "developer"]).expect(0);
    piece(&dev, &at, 2, b"c").expect(204);
    assert!(dev.get(FW).expect(200).body == b"abc");
}

#[test]
fn a_piece_with_another_checksum_is_undone_though_the_server_dies_before_the_next_one() {
    let (server, dev) = with_developer();
    let file = bytes(9, 3_000_000);
    let at = create(&dev, "1.2/fw.bin", file.len()).expect(201).header("location").to_owned();
    piece(&dev, &at, 0, &file[..1_000_000]).expect(204);
    let summed = |bytes: &[u8], said: &[u8]| {
        let sum = sha256(said);
        let raw: Vec<u8> = (7..sum.len())
            .step_by(2)
            .map(|digit| u8::from_str_radix(&sum[digit..digit + 2], 16).unwrap())
            .collect();
        tus(&dev, "PATCH", &at)
            .header(TYPE.0, TYPE.1)
            .header("Upload-Offset", "1000000")
            .header("Upload-Checksum", &format!("sha256 {}", STANDARD.encode(raw)))
            .body(bytes)
    };
    let mut damaged = file[1_000_000..].to_vec();
    damaged[1_500_000] ^= 1;
    refused(&summed(&damaged, &file[1_000_000..]), 460);
    server.kill();
    server.start_again();
    assert_eq!(offset(&dev, &at), 1_000_000);
    // And once more, after which the client goes on at once.
    refused(&summed(&damaged, &file[1_000_000..]), 460);
    summed(&file[1_000_000..], &file[1_000_000..]).expect(204);
    assert!(dev.get(FW).expect(200).body == file);
    let beside = dev.get(&format!("{FW}.sha512")).expect(200).text();
    assert_eq!(beside, format!("{}  fw.bin\n", &sha512(&file)[7..]));
}

#[test]
fn parts_that_came_side_by_side_are_one_file_though_the_server_died_in_between() {
    let (server, dev) = with_developer();
    let file = bytes(10, 9_000_000);
    let parts: Vec<&[u8]> = file.chunks(2_500_000).collect();
    let begun: Vec<String> = parts
        .iter()
        .map(|part| {
            let created = tus(&dev, "POST", ROOT)
                .header("Upload-Concat", "partial")
                .header("Upload-Length", &part.len().to_string())
                .body(b"");
            created.expect(201).header("location").to_owned()
        })
        .collect();
    std::thread::scope(|scope| {
        for (at, part) in begun.iter().zip(&parts) {
            scope.spawn(|| piece(&dev, at, 0, &part[..part.len() - 1]).expect(204));
        }
    });
    let join = || {
        tus(&dev, "POST", ROOT)
            .header("Upload-Concat", &format!("final;{}", begun.join(" ")))
            .header("Upload-Metadata", &format!("filename {}", STANDARD.encode("1.2/fw.bin")))
            .body(b"")
    };
    refused(&join(), 412);
    server.kill();
    server.start_again();
    for (at, part) in begun.iter().zip(&parts) {
        let stands = offset(&dev, at);
        assert_eq!(stands, part.len() - 1);
        piece(&dev, at, stands, &part[stands..]).expect(204);
    }
    dev.get(FW).expect(404);
    let at = join().expect(201).header("location").to_owned();
    assert!(dev.get(FW).expect(200).body == file);
    server.kill();
    server.start_again();
    assert_eq!(offset(&dev, &at), file.len());
    assert_eq!(join().expect(201).header("location"), at);
    refused(&piece(&dev, &at, file.len(), b"more"), 403);
    let other = server.member("other", "acme", "developer");
    tus(&other, "HEAD", &at).send().expect(404);
    server.cli(&["fsck"]).expect(0);
}
