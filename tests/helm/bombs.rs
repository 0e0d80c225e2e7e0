//! Archives that are made to hurt: refused with their fault, and at no cost.

use super::{archive, chart};
use crate::support::TestServer;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

#[test]
fn a_gigabyte_of_zeros_in_a_megabyte_is_refused_and_costs_no_memory() {
    let server = TestServer::start();
    let admin = server.admin();
    admin
        .call("POST", "/helm/acme/api/charts")
        .body(&chart("web", "1.0.0", ""))
        .expect(201);
    let mut header = tar::Header::new_gnu();
    header.set_size(1 << 30);
    header.set_path("bomb/x").unwrap();
    header.set_cksum();
    let mut stated = GzEncoder::new(Vec::new(), Compression::default());
    stated.write_all(header.as_bytes()).unwrap();
    // The same without saying so: files of a size that is allowed, one after the other.
    let mut unstated = GzEncoder::new(Vec::new(), Compression::default());
    header.set_size(4 << 20);
    header.set_cksum();
    let zeros = vec![0; 4 << 20];
    for packer in [&mut stated, &mut unstated] {
        for _ in 0..256 {
            packer.write_all(header.as_bytes()).unwrap();
            packer.write_all(&zeros).unwrap();
        }
    }
    let before = server.peak_memory();
    for bomb in [stated, unstated] {
        let answer = admin
            .call("POST", "/helm/acme/api/charts")
            .body(&bomb.finish().unwrap())
            .expect(400);
        let sentence = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(sentence.contains("when it is unpacked"), "{sentence}");
    }
    let grown = server.peak_memory() - before;
    assert!(grown < 16 << 20, "{grown} bytes");
    assert_eq!(server.files("uploads"), [""; 0]);
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
