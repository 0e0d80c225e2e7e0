//! Files that depend on what is there, and checksums that must hold.

use super::{refused, with_developer};
use crate::support::sha256;

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

#[test]
fn of_many_who_create_a_file_one_does() {
    let (_server, dev) = with_developer();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let creators: Vec<_> = (0..16)
            .map(|number| {
                let dev = dev.clone();
                scope.spawn(move || {
                    let own = format!("of {number}");
                    let put = dev.call("PUT", FW).header("If-None-Match", "*");
                    put.body(own.as_bytes()).status
                })
            })
            .collect();
        creators.into_iter().map(|creator| creator.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[412; 15][..]));
}

#[test]
fn a_file_is_changed_only_by_who_knows_what_it_holds() {
    let (_server, dev) = with_developer();
    let first = dev.call("PUT", FW).body(b"one").expect(201);
    let etag = first.header("etag");
    let changed = dev.call("PUT", FW).header("If-Match", etag).body(b"two").expect(200);
    let sentence = refused(&dev.call("PUT", FW).header("If-Match", etag).body(b"three"), 412);
    assert_eq!(sentence, "the condition on what the path holds does not hold");
    assert_eq!(dev.get(FW).text(), "two");
    let fresh = dev.call("GET", FW).header("If-None-Match", changed.header("etag")).send();
    assert!(fresh.expect(304).body.is_empty());
    let since = dev.get(FW);
    let fresh = dev.call("GET", FW).header("If-Modified-Since", since.header("last-modified"));
    // Only if both changes fell into one second does the date prove nothing.
    assert!([200, 304].contains(&fresh.send().status));
    let never = dev.call("GET", FW).header("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(refused(&never.send(), 412), "the condition on what is there does not hold");
    let other = dev.call("GET", FW).header("If-Match", etag).header("Range", "bytes=0-0");
    refused(&other.send(), 412);
}

#[test]
fn a_checksum_that_does_not_hold_is_refused_and_what_is_there_stays() {
    let (server, dev) = with_developer();
    dev.call("PUT", FW).body(b"one").expect(201);
    for (header, value) in [
        ("X-Checksum-Sha256", sha256(b"other")[7..].to_owned()),
        ("X-Checksum-Md5", "900150983cd24fb0d6963f7d28e17f72".into()),
        ("Content-MD5", "kAFQmDzST7DWlj99KOF/cg==".into()),
        ("Digest", "MD5=kAFQmDzST7DWlj99KOF/cg==".into()),
        ("X-Checksum", "900150983cd24fb0d6963f7d28e17f72".into()),
        ("Content-Digest", "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:".into()),
    ] {
        let answer = dev.call("PUT", FW).header(header, &value).body(b"broken on its way");
        let sentence = refused(&answer, 422);
        assert!(sentence.starts_with("the bytes received have the digest "), "{sentence}");
    }
    assert_eq!(dev.get(FW).text(), "one");
    dev.call("PUT", FW)
        .header("Content-MD5", "kAFQmDzST7DWlj99KOF/cg==")
        .body(b"abc")
        .expect(200);
    assert_eq!(server.files("uploads"), Vec::<String>::new());
    assert_eq!(server.files("blobs").len(), 2, "what was there first, and what took its place");
}

#[test]
fn the_same_file_again_is_as_good_as_the_first() {
    let (_server, dev) = with_developer();
    let first = dev.call("PUT", FW).body(b"one").expect(201);
    let again = dev.call("PUT", FW).body(b"one").expect(200);
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!((&first.json()["changed"], &again.json()["changed"]), (&true.into(), &false.into()));
}
