//! Folders over plain HTTP: pages for browsers, and checksums for whoever fetched all of it.

use super::{names, refused, with_developer};
use crate::support::{bytes, sha256};

const BASE: &str = "/generic/acme/firmware/1.2";

#[test]
fn a_browser_gets_a_page_that_leads_to_the_files() {
    let (server, dev) = with_developer();
    dev.call("PUT", &format!("{BASE}/a%20%3Cb%3E")).body(b"abc").expect(201);
    let page = dev.call("GET", &format!("{BASE}/")).header("Accept", "text/html,*/*;q=0.8").send();
    let page = page.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("content-security-policy").starts_with("default-src 'none';"));
    let link = format!("<a href=\"{BASE}/a%20%3Cb%3E\">a &lt;b&gt;</a>");
    assert!(page.text().contains(&link), "{}", page.text());
    assert_eq!(dev.get(&format!("{BASE}/")).expect(200).header("content-type"), "application/json");
    server.anonymous().get(&format!("{BASE}/?format=html")).expect(401);
    server.account("outsider").get(&format!("{BASE}/?format=html")).expect(403);
}

#[test]
fn the_checksums_of_a_folder_of_many_files_come_in_one_answer() {
    let (server, dev) = with_developer();
    let names: Vec<String> = (0..1100).map(|number| format!("{number:04}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(8)) {
            let dev = dev.clone();
            scope.spawn(move || {
                for name in part {
                    dev.call("PUT", &format!("{BASE}/{name}")).body(name.as_bytes()).expect(201);
                }
            });
        }
    });
    let line = |name: &String| format!("{}  {name}\n", &sha256(name.as_bytes())[7..]);
    let expected: String = names.iter().map(line).collect();
    let path = format!("{BASE}/SHA256SUMS");
    let sums = dev.get(&path).expect(200);
    assert_eq!(sums.text(), expected);
    let head = dev.head(&path).expect(200);
    assert_eq!(head.header("content-type"), "text/plain; charset=utf-8");
    assert!(head.body.is_empty());
    server.anonymous().get(&path).expect(401);
    server.account("outsider").get(&path).expect(403);
    // A real one wins.
    let own = bytes(1, 100);
    dev.call("PUT", &path).body(&own).expect(201);
    assert!(dev.get(&path).expect(200).body == own);
}

#[test]
fn a_folder_is_fetched_as_one_archive_of_the_length_that_was_announced() {
    let (server, dev) = with_developer();
    let large = bytes(1, 3_000_000);
    dev.call("PUT", &format!("{BASE}/fw.bin")).body(&large).expect(201);
    dev.call("PUT", &format!("{BASE}/linux/notes.txt")).body(b"notes").expect(201);
    let path = format!("{BASE}/?archive=zip");
    let zip = dev.get(&path).expect(200);
    assert_eq!(zip.header("content-disposition"), "attachment; filename=\"firmware-1.2.zip\"");
    assert_eq!(zip.header("content-length"), zip.body.len().to_string());
    let head = dev.head(&path).expect(200);
    for name in ["content-length", "content-type", "content-disposition", "etag"] {
        assert_eq!(head.header(name), zip.header(name), "{name}");
    }
    dev.call("GET", &path)
        .header("If-None-Match", zip.header("etag"))
        .send()
        .expect(304);
    // It is whole: stored again, each file can be read out of it.
    dev.call("PUT", "/generic/acme/firmware/made.zip").body(&zip.body).expect(201);
    let inside = |name: &str| dev.get(&format!("/generic/acme/firmware/made.zip!/firmware-1.2/{name}"));
    assert!(inside("fw.bin").expect(200).body == large);
    assert_eq!(inside("linux/notes.txt").expect(200).text(), "notes");
    assert_eq!(names(&dev, "/generic/acme/firmware/made.zip!/firmware-1.2/"), ["fw.bin", "linux/"]);
    assert_eq!(names(&dev, &format!("{BASE}/?recursive")), ["fw.bin", "linux/notes.txt"]);
    let packed = dev.get(&format!("{BASE}/linux/?archive=tar.gz")).expect(200);
    assert_eq!(packed.find("content-length"), None);
    dev.call("PUT", "/generic/acme/firmware/made.tgz").body(&packed.body).expect(201);
    let notes = dev.get("/generic/acme/firmware/made.tgz!/firmware-1.2-linux/notes.txt").expect(200);
    assert_eq!(notes.text(), "notes");
    assert_eq!(
        refused(&dev.get(&format!("{BASE}/none/?archive=zip")), 404),
        "there is no such folder"
    );
    let outsider = server.account("outsider");
    for target in [path, "/generic/acme/firmware/made.zip!/".to_owned()] {
        server.anonymous().get(&target).expect(401);
        outsider.get(&target).expect(403);
    }
}

#[test]
fn a_checksum_sent_beside_its_file_is_verified_and_not_kept() {
    let (server, dev) = with_developer();
    let path = format!("{BASE}/fw.bin");
    dev.call("PUT", &path).body(b"abc").expect(201);
    let line = dev.get(&format!("{path}.sha512")).expect(200).text();
    let put = |text: &str| dev.call("PUT", &format!("{path}.sha512")).body(text.as_bytes());
    put(&line).expect(200);
    let sentence = refused(&put(&line.replace("fw.bin", "other.bin")), 422);
    assert!(sentence.starts_with("this is not the sha512 checksum of 1.2/fw.bin"), "{sentence}");
    refused(&put(&"x".repeat(10_000)), 413);
    let viewer = server.member("viewer", "acme", "viewer");
    refused(&viewer.call("PUT", &format!("{path}.sha512")).body(line.as_bytes()), 403);
    assert_eq!(names(&dev, &format!("{BASE}/")), ["fw.bin"]);
}
