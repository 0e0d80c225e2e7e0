//! Archives that are made to hurt: refused with their fault, and at no cost.

use super::{archive, chart};
use crate::support::TestServer;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};

/// A gzip archive (RFC 1952) of `first` and then `again`, which is compressed once and stands there many times.
fn repeated(first: &[u8], again: &[u8], times: usize) -> Vec<u8> {
    let packed = |bytes: &[u8]| {
        let mut packer = Compress::new(Compression::best(), false);
        let mut packed = Vec::with_capacity(bytes.len() / 8 + 1024);
        packer.compress_vec(bytes, &mut packed, FlushCompress::Full).unwrap();
        assert_eq!(packer.total_in(), bytes.len() as u64);
        packed
    };
    let mut archive = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    archive.extend(packed(first));
    archive.extend(packed(again).repeat(times));
    // An empty last block, and a sum that nobody comes to.
    archive.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    archive
}

#[test]
fn ten_gigabytes_of_zeros_in_ten_megabytes_are_refused_and_cost_no_memory() {
    let server = TestServer::start();
    let admin = server.admin();
    admin
        .call("POST", "/helm/acme/api/charts")
        .body(&chart("web", "1.0.0", ""))
        .expect(201);
    let header = |size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_path("bomb/x").unwrap();
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let stated = repeated(&header(10 << 30), &vec![0; 4 << 20], 2560);
    // The same without saying so: files of a size that is allowed, one after the other.
    let unstated = repeated(&[], &[header(4 << 20), vec![0; 4 << 20]].concat(), 2560);
    let before = server.peak_memory();
    // Nothing can be repeated so well but a file of one name, which ends the second at the latest.
    for (bomb, why) in [(stated, "when it is unpacked"), (unstated, "stands twice")] {
        assert!(bomb.len() < 12 << 20, "{} bytes", bomb.len());
        let answer = admin.call("POST", "/helm/acme/api/charts").body(&bomb).expect(400);
        let sentence = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(sentence.contains(why), "{sentence}");
    }
    let grown = server.peak_memory() - before;
    assert!(grown < 16 << 20, "{grown} bytes");
    assert_eq!(server.files("uploads"), [""; 0]);
}

#[test]
fn what_costs_more_than_its_bytes_is_counted() {
    let server = TestServer::start();
    let admin = server.admin();
    let archive = chart("web", "1.0.0", "");
    let member = GzEncoder::new(Vec::new(), Compression::fast()).finish().unwrap();
    let members = [archive.clone(), member.repeat(200_000)].concat();
    let part = b"--b\r\n\r\n\r\n".repeat(400_000);
    let form = [&part[..], b"--b--\r\n"].concat();
    let before = server.files("blobs");
    for (body, kind, why) in [
        (members, "application/gzip", "more than 10000 gzip members"),
        (form, "multipart/form-data; boundary=b", "more than 100 parts"),
    ] {
        let call = admin.call("POST", "/helm/acme/api/charts").header("Content-Type", kind);
        let answer = call.body(&body).expect(400);
        assert!(answer.json()["error"].as_str().unwrap().contains(why), "{answer}");
    }
    assert_eq!(server.files("blobs"), before);
    assert_eq!(server.files("uploads"), [""; 0]);
    // What was refused is no bar to what is right.
    admin.call("POST", "/helm/acme/api/charts").body(&archive).expect(201);
}

#[test]
fn what_is_nested_or_repeated_without_end_is_refused() {
    let server = TestServer::start();
    let admin = server.admin();
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{},", level - 1).repeat(10);
        aliases += &format!("a{level}: &a{level} [{alias}]\n");
    }
    let many: Vec<(String, &[u8])> = (0..100_001).map(|number| (format!("x{number}"), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(path, content)| (path.as_str(), *content)).collect();
    for (bomb, why) in [
        (chart("web", "1.0.0", &format!("x: {}", "- ".repeat(100_000))), ""),
        (archive(&[("Chart.yaml", "- ".repeat(100_000).as_bytes())], "web"), "levels deep"),
        (chart("web", "1.0.0", &aliases), "aliases resolved"),
        (archive(&many, "web"), "more than 10000 entries"),
    ] {
        let answer = admin.call("POST", "/helm/acme/api/charts").body(&bomb).expect(400);
        let sentence = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(sentence.contains(why) && !sentence.is_empty(), "{sentence}");
    }
    let nothing = admin.get("/helm/acme/index.yaml").expect(200).json();
    assert_eq!(nothing["entries"], serde_json::json!({}));
    assert_eq!((server.files("blobs").len(), server.files("uploads").len()), (0, 0));
}
