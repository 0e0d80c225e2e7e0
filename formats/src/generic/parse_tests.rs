//! What clients send, and what it means.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::op::{Act, Op};
use super::parse::parse;
use super::path::file_address;
use crate::contract::request::Request;
use crate::handler::Head;
use granary_storage::limits::Limits;
use granary_storage::name::FilePath;
use granary_storage::{Error, ErrorKind, Result, What};
use proptest::prelude::*;

fn parsed(request: &Request) -> Result<Op> {
    let (path, query) = request.split();
    let head = Head {
        method: &request.method,
        path,
        query,
        headers: request,
        length_unknown: false,
    };
    parse(&head, &Limits::default())
}

fn refusal(request: &Request) -> Error {
    parsed(request).err().unwrap_or_else(|| panic!("{request:?} was understood"))
}

/// The repository and the file that a path is about.
fn file(path: &str) -> (String, String) {
    let op = parsed(&Request::get(path)).unwrap();
    let Act::ReadFile { path, .. } = op.act else {
        panic!("{path} is no file")
    };
    (op.repository.to_string(), path.to_string())
}

#[test]
fn two_segments_name_the_repository_and_the_rest_the_file() {
    for (path, repository, name) in [
        ("/acme/firmware/fw.bin", "acme/firmware", "fw.bin"),
        ("/acme/firmware/1.2/fw.bin", "acme/firmware", "1.2/fw.bin"),
        ("/acme/firmware/a/b/c/d", "acme/firmware", "a/b/c/d"),
        ("/acme/firmware/%2Ehidden", "acme/firmware", ".hidden"),
        ("/acme/firmware/a%20b+c", "acme/firmware", "a b+c"),
        ("/acme/firmware/gr%C3%B6%C3%9Fe", "acme/firmware", "größe"),
        ("/acme/firmware/gro%CC%88%C3%9Fe", "acme/firmware", "größe"),
        ("/acme/firmware/100%25.txt", "acme/firmware", "100%.txt"),
        ("/acme/firmware/%252F", "acme/firmware", "%2F"),
        ("/acme/firmware/a%3Bb=c", "acme/firmware", "a;b=c"),
        ("/%61cme/firmwar%65/A", "acme/firmware", "A"),
    ] {
        assert_eq!(file(path), (repository.to_owned(), name.to_owned()), "{path}");
    }
    let folder = |path: &str| match parsed(&Request::get(path)).unwrap().act {
        Act::ListFiles { folder, .. } => folder.map(|folder| folder.to_string()),
        _ => panic!("{path} is no folder"),
    };
    for root in ["/acme/firmware", "/acme/firmware/", "/acme/firmware/?n=3"] {
        assert_eq!(folder(root), None, "{root}");
    }
    assert_eq!(folder("/acme/firmware/1.2/x/").as_deref(), Some("1.2/x"));
}

#[test]
fn paths_that_lead_elsewhere_or_nowhere_are_refused_with_a_sentence() {
    let long = format!("/acme/firmware/{}", "a".repeat(2049));
    for path in [
        "",
        "/",
        "/acme",
        "/acme/",
        "//fw.bin",
        "/acme//fw.bin",
        "/Acme/firmware/x",
        "/acme/firm%2Fware/x",
        "/acme/firmware//x",
        "/acme/firmware/x//",
        "/acme/firmware/./x",
        "/acme/firmware/../x",
        "/acme/firmware/%2e%2e/x",
        "/acme/firmware/a%2Fb",
        "/acme/firmware/a%5Cb",
        "/acme/firmware/a%00",
        "/acme/firmware/a%0Ab",
        "/acme/firmware/a%7F",
        "/acme/firmware/%FF",
        "/acme/firmware/%",
        "/acme/firmware/%4",
        "/acme/firmware/%zz",
        "/acme/firmware/a;b=c",
        &long,
    ] {
        let error = refusal(&Request::get(path));
        assert_eq!((error.kind(), error.what()), (ErrorKind::Invalid, What::Name), "{path}");
    }
    let longer = format!("/acme/firmware/{}", "a".repeat(8192));
    assert_eq!(refusal(&Request::get(longer)).kind(), ErrorKind::UriTooLong);
}

#[test]
fn nothing_is_stored_or_deleted_by_the_name_of_a_folder() {
    for request in [
        Request::put("/acme/firmware/1.2/"),
        Request::put("/acme/firmware/"),
        Request::put("/acme/firmware"),
        Request::delete("/acme/firmware/1.2/"),
        Request::delete("/acme/firmware"),
    ] {
        let error = refusal(&request);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{request:?}");
        assert!(error.message().contains("slash"), "{error}");
    }
    for (request, allowed) in [
        (Request::patch("/acme/firmware/"), "GET, HEAD, POST, OPTIONS"),
        (Request::post("/acme/firmware/1.2/"), "GET, HEAD"),
        (Request::post("/acme/firmware/x"), "GET, HEAD, PUT, PATCH, DELETE"),
        (Request::patch("/acme/firmware/x/"), "GET, HEAD"),
    ] {
        assert_eq!(refusal(&request).what(), What::Method(allowed));
    }
}

#[test]
fn what_would_be_misunderstood_is_refused_rather_than_stored() {
    let put = Request::put("/acme/firmware/x");
    for (header, value, kind) in [
        ("content-range", "bytes 0-3/10", ErrorKind::Invalid),
        ("x-explode-archive", "true", ErrorKind::Invalid),
        ("x-checksum-deploy", "maybe", ErrorKind::Invalid),
        ("x-checksum-sha256", "abc", ErrorKind::Invalid),
        ("x-checksum-md5", "not hexadecimal at all, no!", ErrorKind::Invalid),
        ("content-md5", "900150983cd24fb0d6963f7d28e17f72", ErrorKind::Invalid),
        ("content-digest", "sha-256=abc", ErrorKind::Invalid),
        ("repr-digest", "sha-256=:AAAA:", ErrorKind::Invalid),
        ("repr-digest", "unixsum=30637", ErrorKind::Invalid),
        ("repr-digest", "sha-256", ErrorKind::Invalid),
        ("content-digest", "other=\"a, sha-256=:AAAA:", ErrorKind::Invalid),
        ("digest", "SHA-256=AAAA", ErrorKind::Invalid),
        ("digest", "crc32c=AAAA", ErrorKind::Invalid),
        ("x-checksum", "abc", ErrorKind::Invalid),
        ("content-encoding", "gzip", ErrorKind::Unsupported),
        ("x-explode-archive-atomic", "true", ErrorKind::Invalid),
        ("content-length", "many", ErrorKind::Invalid),
    ] {
        assert_eq!(refusal(&put.clone().header(header, value)).kind(), kind, "{header}: {value}");
    }
}

#[test]
fn checksums_are_understood_wherever_a_client_puts_them() {
    let put = Request::put("/acme/firmware/x");
    let promises = |request: &Request| {
        let Act::PutFile(file) = parsed(request).unwrap().act else {
            panic!()
        };
        file.promises.promised(&[]).sums.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(promises(&put), Vec::<String>::new());
    // Those of "abc".
    let (md5, sha1) = (
        "md5:900150983cd24fb0d6963f7d28e17f72",
        "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
    );
    let sha256 = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let base64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    for (header, value, expected) in [
        ("x-checksum-md5", "900150983CD24FB0D6963F7D28E17F72".to_owned(), vec![md5]),
        ("x-checksum-sha1", sha1[5..].to_owned(), vec![sha1]),
        ("x-checksum-sha256", format!(" {} ", &sha256[7..]), vec![sha256]),
        ("content-md5", "kAFQmDzST7DWlj99KOF/cg==".to_owned(), vec![md5]),
        ("content-digest", format!("sha-256=:{base64}:"), vec![sha256]),
        (
            "repr-digest",
            format!("unknown=:AA==:, md5=:kAFQmDzST7DWlj99KOF/cg==:,sha-256=:{base64}:;q=1"),
            vec![md5, sha256],
        ),
        ("content-digest", format!("SHA-256=:{base64}:"), vec![sha256]),
        ("content-digest", format!("other=\"a, \\\" b=\", sha-256=:{base64}:"), vec![sha256]),
        ("digest", format!("SHA-256={base64}"), vec![sha256]),
        (
            "digest",
            format!("UNIXsum=30637, id-sha-256={base64},md5=kAFQmDzST7DWlj99KOF/cg=="),
            vec![sha256, md5],
        ),
        ("x-checksum", sha1[5..].to_owned(), vec![sha1]),
        ("x-checksum", sha256[7..].to_owned(), vec![sha256]),
        ("repr-digest", String::new(), vec![]),
    ] {
        assert_eq!(promises(&put.clone().header(header, value)), expected, "{header}");
    }
    // None of several lines or values is passed over.
    for header in [
        "x-checksum-sha1",
        "x-checksum",
        "x-checksum-md5",
        "content-md5",
        "digest",
        "repr-digest",
    ] {
        let (first, second) = match header {
            "x-checksum-sha1" | "x-checksum" => (sha1[5..].to_owned(), "a".repeat(40)),
            "x-checksum-md5" => (md5[4..].to_owned(), "a".repeat(32)),
            "content-md5" => ("kAFQmDzST7DWlj99KOF/cg==".to_owned(), "AAAAAAAAAAAAAAAAAAAAAA==".to_owned()),
            "digest" => ("md5=kAFQmDzST7DWlj99KOF/cg==".to_owned(), "md5=AAAAAAAAAAAAAAAAAAAAAA==".to_owned()),
            _ => (
                "md5=:kAFQmDzST7DWlj99KOF/cg==:".to_owned(),
                "md5=:AAAAAAAAAAAAAAAAAAAAAA==:".to_owned(),
            ),
        };
        let mut lines = put.clone();
        lines.headers.extend([(header, first.clone()), (header, second.clone())]);
        let values = put.clone().header(header, format!("{first}, {second}"));
        for request in [&lines, &values] {
            assert_eq!(promises(request).len(), 2, "{request:?}");
        }
        lines.headers.push((header, "md5".into()));
        assert_eq!(refusal(&lines).what(), What::Digest, "{lines:?}");
    }
}

#[test]
fn http_1_0_has_to_say_where_a_file_ends_unless_no_file_comes() {
    let ask = |request: &Request, length_unknown| {
        let (path, query) = request.split();
        let head = Head {
            method: &request.method,
            path,
            query,
            headers: request,
            length_unknown,
        };
        parse(&head, &Limits::default())
    };
    let put = Request::put("/acme/firmware/x");
    let refused = ask(&put, true).unwrap_err();
    assert_eq!((refused.kind(), refused.what()), (ErrorKind::LengthRequired, What::Size));
    ask(&put, false).unwrap();
    ask(&put.header("x-checksum-deploy", "true"), true).unwrap();
    ask(&Request::get("/acme/firmware/x"), true).unwrap();
}

proptest! {
    #[test]
    fn any_digest_field_is_read_or_refused(header in "content-digest|repr-digest|digest", text in "(sha|md5|sha-256|[a-z0-9\",=:;\\\\ -]){0,12}|[ -~]{0,60}") {
        let header = ["content-digest", "repr-digest", "digest"].into_iter().find(|known| *known == header).unwrap();
        if let Err(error) = parsed(&Request::put("/acme/firmware/x").header(header, text)) {
            prop_assert_eq!(error.what(), What::Digest);
        }
    }

    #[test]
    fn the_address_that_an_answer_names_leads_to_the_file(text in "[a-z/.%;?# é\u{301}]{1,20}|.{1,60}") {
        if let Ok(path) = text.parse::<FilePath>() {
            let address = file_address(&"acme/firmware".parse().unwrap(), &path);
            prop_assert!(address.bytes().all(|byte| byte.is_ascii_graphic()), "{}", address);
            let rest = address.strip_prefix("/generic").unwrap();
            prop_assert_eq!(file(rest), ("acme/firmware".to_owned(), path.to_string()));
        }
    }
}
