//! In and out: what was stored comes back, whole and in parts, with everything that clients look for.

use super::{names, with_developer};
use crate::support::{bytes, sha256, sha512};

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

#[test]
fn a_file_of_many_pieces_comes_back_as_it_went_in() {
    let (_server, dev) = with_developer();
    let file = bytes(1, 3_000_000);
    let stored = dev.call("PUT", FW).body(&file).expect(201);
    assert_eq!(stored.header("etag"), format!("\"{}\"", sha256(&file)));
    assert_eq!(stored.header("location"), FW);

    let read = dev.get(FW).expect(200);
    assert!(read.body == file);
    assert_eq!(read.header("content-length"), "3000000");
    assert_eq!(read.header("x-checksum-sha256"), &sha256(&file)[7..]);
    assert_eq!(read.header("x-checksum-sha512"), &sha512(&file)[7..]);
    let head = dev.head(FW).expect(200);
    assert_eq!(head.fingerprint().1, read.fingerprint().1);
    assert!(head.body.is_empty());

    // A download that broke off goes on where it stood.
    let rest = dev
        .call("GET", FW)
        .header("Range", "bytes=1234567-")
        .header("If-Range", read.header("etag"))
        .send()
        .expect(206);
    assert!(rest.body == file[1_234_567..]);
    assert_eq!(rest.header("content-range"), "bytes 1234567-2999999/3000000");
    let complete = dev.call("GET", FW).header("Range", "bytes=3000000-").send();
    assert_eq!(complete.expect(416).header("content-range"), "bytes */3000000");
}

#[test]
fn a_file_of_unknown_length_and_one_of_nothing_are_files() {
    let (_server, dev) = with_developer();
    let file = bytes(2, 700_000);
    let stored = dev.call("PUT", FW).stream(&file[..]).expect(201);
    assert_eq!(stored.json()["size"], 700_000);
    assert!(dev.get(FW).expect(200).body == file);
    let nothing = "/generic/acme/firmware/1.2/empty";
    dev.call("PUT", nothing).body(b"").expect(201);
    assert_eq!(dev.get(nothing).expect(200).header("content-length"), "0");
    let empty = dev.get(&format!("{nothing}.md5")).expect(200).text();
    assert_eq!(empty, "d41d8cd98f00b204e9800998ecf8427e  empty\n");
    assert_eq!(names(&dev, "/generic/acme/firmware/1.2/"), ["empty", "fw.bin"]);
}

#[test]
fn sixty_four_files_at_once_in_one_new_folder_of_a_new_repository_are_all_stored() {
    let (_server, dev) = with_developer();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..64)
            .map(|number| {
                let dev = dev.clone();
                scope.spawn(move || {
                    let path = format!("/generic/acme/new/1.0/deep/{number:02}");
                    dev.call("PUT", &path).body(&bytes(number, 10_000)).status
                })
            })
            .collect();
        pushers.into_iter().map(|pusher| pusher.join().unwrap()).collect()
    });
    assert_eq!(statuses, [201; 64]);
    let all: Vec<String> = (0..64).map(|number| format!("{number:02}")).collect();
    assert_eq!(names(&dev, "/generic/acme/new/1.0/deep/?n=10"), all);
    for number in 0..64 {
        let read = dev.get(&format!("/generic/acme/new/1.0/deep/{number:02}")).expect(200);
        assert!(read.body == bytes(number, 10_000));
    }
}

#[test]
fn a_repository_of_files_is_none_of_the_container_clients() {
    let (server, dev) = with_developer();
    dev.call("PUT", FW).body(b"abc").expect(201);
    let admin = server.admin();
    let listed = admin.get("/v2/_catalog").expect(200).json();
    assert_eq!(listed["repositories"].as_array().unwrap().len(), 0);
    admin.get("/v2/acme/firmware/tags/list").refused(404, "NAME_UNKNOWN");
    let digest = sha256(b"abc");
    admin.get(&format!("/v2/acme/firmware/blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
    admin.post("/v2/acme/firmware/blobs/uploads/").refused(409, "DENIED");
}
