//! What is no HTTP is answered as HTTP or not at all, and harms nobody else.

use crate::support::{TestServer, Wire};

/// What the server says to these bytes until it hangs up.
fn say(server: &TestServer, bytes: &[u8]) -> String {
    // What it writes into its log about them has a test of its own.
    server.expects_errors();
    let mut wire = Wire::connect(&server.anonymous());
    // The server may hang up before it has read everything.
    let _ = wire.try_send(bytes);
    wire.end_sending();
    wire.rest()
}

#[test]
fn a_request_that_is_none_is_a_bad_request() {
    let server = TestServer::start();
    let long_method = format!("{} /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "A".repeat(5000));
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /v2/\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/ FTP/1.1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n: empty name\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nBad Name: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"GET \x01\x02 HTTP/1.1\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PUT /v2/acme/app/manifests/1 HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"PUT /v2/acme/app/manifests/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT /v2/acme/app/manifests/1 HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
        b"PUT /v2/acme/app/manifests/1 HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        long_method.as_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let said = say(&server, bytes);
        assert!(said.starts_with("HTTP/1.1 4"), "{shown:?}: {said:?}");
        assert_eq!(said.matches("HTTP/1.").count(), 1, "{shown:?}: {said:?}");
    }
    server.admin().get("/v2/").expect(200);
}

#[test]
fn a_request_whose_end_two_readers_could_see_in_two_places_is_refused() {
    // Request smuggling (RFC 9112, section 11.2).
    let server = TestServer::start();
    let second = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Content-Length : 5",
        "Transfer-Encoding:\x0bchunked",
    ] {
        let request = format!("PUT /v2/acme/app/manifests/1 HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n0\r\n\r\n{second}");
        let said = say(&server, request.as_bytes());
        assert!(said.starts_with("HTTP/1.1 4"), "{headers:?}: {said:?}");
        assert!(!said.contains("200 OK"), "{headers:?} let a second request through: {said:?}");
    }
}

#[test]
fn a_chunked_body_that_is_malformed_is_refused_and_stores_nothing() {
    let server = TestServer::start();
    let admin = server.admin();
    for framing in [
        "x\r\nabc\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\na\r\n0\r\n\r\n",
        "3abc\r\n",
    ] {
        let mut wire = Wire::connect(&admin);
        let digest = crate::support::sha256(b"abc");
        wire.request(
            &format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
            &["Transfer-Encoding: chunked"],
        );
        let _ = wire.try_send(framing.as_bytes());
        wire.end_sending();
        let said = wire.rest();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{framing:?}: {said:?}");
        assert_eq!(admin.blob_status("acme/app", &digest), 404, "{framing:?}");
    }
    assert!(server.files("uploads").is_empty());
}

#[test]
fn a_client_that_speaks_tls_to_the_plain_port_gets_an_answer_it_can_show() {
    let server = TestServer::start();
    // The beginning of a ClientHello, as curl and docker send it when they are told https.
    let mut hello = vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    hello.extend((0..501u32).map(|number| (number * 37 % 251) as u8));
    let said = say(&server, &hello);
    assert!(said.starts_with("HTTP/1.1 400"), "{said:?}");
}

#[test]
fn what_strangers_send_is_no_error_of_the_server() {
    // Whoever reads the log for errors must find those that somebody has to mend.
    let server = TestServer::start();
    for bytes in [&b"nonsense\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"] {
        let mut wire = Wire::connect(&server.anonymous());
        wire.send(bytes).end_sending();
        wire.rest();
    }
    server.stop();
    assert!(!server.log().contains("\"level\":\"ERROR\""), "{}", server.log());
}

#[test]
fn headers_without_end_are_cut_off() {
    let server = TestServer::start();
    let long_value = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(2_000_000));
    let many = (0..5000).map(|number| format!("X-{number}: y\r\n")).collect::<String>();
    let many = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    let long_line = format!("GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(2_000_000));
    let before = server.peak_memory();
    server.expects_errors();
    for request in [&long_value, &many, &long_line] {
        for _ in 0..3 {
            let mut wire = Wire::connect(&server.anonymous());
            let _ = wire.try_send(request.as_bytes());
            let said = wire.rest();
            // Either an answer, or the connection closed while the client still wrote.
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said:?}");
        }
    }
    assert!(server.peak_memory() - before < 32 * 1024 * 1024, "headers were collected");
    server.admin().get("/v2/").expect(200);
}

#[test]
fn an_old_client_is_answered_too() {
    let server = TestServer::start();
    let said = say(&server, b"GET /livez HTTP/1.0\r\n\r\n");
    assert!(said.starts_with("HTTP/1.0 200") || said.starts_with("HTTP/1.1 200"), "{said:?}");
    assert!(said.ends_with("ok\n"), "{said:?}");
    // Without a Host the challenge names the address that the server listens on.
    let said = say(&server, b"GET /v2/ HTTP/1.0\r\n\r\n");
    assert!(
        said.contains(&format!("Bearer realm=\"http://{}/token\"", server.address())),
        "{said:?}"
    );
}

#[test]
fn an_old_client_reads_no_chunks_in_what_has_no_length() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.call("PUT", "/generic/acme/firmware/fw.bin").body(b"abc").expect(201);
    let login = admin.authorization().unwrap();
    let sums = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  fw.bin\n";
    for keep in ["", "Connection: keep-alive\r\n"] {
        let get = format!("GET /generic/acme/firmware/SHA256SUMS HTTP/1.0\r\nAuthorization: {login}\r\n{keep}\r\n");
        let said = say(&server, get.as_bytes());
        let (head, content) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{said:?}");
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("transfer-encoding") && !head.contains("keep-alive"), "{said:?}");
        assert_eq!(content, sums);
    }
}

#[test]
fn a_host_that_would_break_out_of_the_challenge_is_not_echoed() {
    let server = TestServer::start();
    let address = format!("Bearer realm=\"http://{}/token\"", server.address());
    for host in [
        "evil\",service=\"other",
        "a b",
        "a/../b",
        "user@evil.example",
        "<script>",
        "\u{e9}",
        "",
    ] {
        let said = say(
            &server,
            format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(said.starts_with("HTTP/1.1 400") || said.contains(&address), "{host:?}: {said:?}");
    }
}
