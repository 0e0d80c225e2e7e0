//! Probes, metrics, and the paths that are nobody's.

use crate::support::{TestServer, by_hand};

#[test]
fn a_running_server_is_alive_and_ready_for_whoever_asks() {
    let server = TestServer::start();
    let nobody = server.anonymous();
    assert_eq!(nobody.get("/livez").expect(200).text(), "ok\n");
    assert_eq!(nobody.get("/readyz").expect(200).text(), "ready\n");
}

#[test]
fn a_server_whose_database_is_away_is_alive_but_not_ready() {
    // Only a database of its own can be taken away.
    let server = TestServer::start();
    let Some(database) = server.database() else {
        println!("skipped: no PostgreSQL named by GRANARY_TEST_POSTGRES");
        return;
    };
    server.expects_errors();
    server.anonymous().get("/readyz").expect(200);
    database.forbid();
    let nobody = server.anonymous();
    crate::support::wait_for("the server to notice", || (nobody.get("/readyz").status == 503).then_some(()));
    nobody.get("/livez").expect(200);
    database.allow();
    crate::support::wait_for("the server to recover", || (nobody.get("/readyz").status == 200).then_some(()));
}

#[test]
fn metrics_count_requests_by_method_and_status_and_nothing_that_clients_make_up() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    admin.get("/v2/acme/app/manifests/1.0").expect(200);
    admin.get("/v2/acme/app/manifests/nothing").refused(404, "MANIFEST_UNKNOWN");
    by_hand(&admin, "MADEUP", "/v2/acme/app/tags/list", &[]).refused(405, "UNSUPPORTED");

    let answer = server.anonymous().get("/metrics").expect(200);

    assert!(
        answer.header("content-type").starts_with("application/openmetrics-text"),
        "{answer}"
    );
    let text = answer.text();
    for line in [
        r#"granary_http_requests_total{format="oci",method="GET",status="200"} 1"#,
        r#"granary_http_requests_total{format="oci",method="GET",status="404"} 1"#,
        r#"granary_http_requests_total{format="oci",method="other",status="405"} 1"#,
        r#"granary_http_requests_total{format="oci",method="PUT",status="201"} 3"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains("granary_http_request_seconds_bucket"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(!text.contains("acme") && !text.contains("MADEUP"), "{text}");
}

#[test]
fn what_is_nobodys_is_not_found() {
    let server = TestServer::start();
    let admin = server.admin();
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/livez/"),
        ("GET", "/LIVEZ"),
        ("GET", "/v3/"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd"),
        ("GET", "/../../../../etc/passwd"),
        ("GET", "//etc/passwd"),
        ("GET", "/.git/config"),
        ("GET", "/granary.db"),
        ("POST", "/nothing"),
    ] {
        let answer = by_hand(&admin, method, path, &["Content-Length: 0"]);
        assert_eq!(answer.status, 404, "{method} {path}: {answer}");
        assert!(!answer.text().contains("root:"), "{answer}");
    }
}

#[test]
fn a_method_that_a_fixed_path_does_not_know_is_refused() {
    let server = TestServer::start();
    let nobody = server.anonymous();
    for (method, path) in [("POST", "/livez"), ("DELETE", "/metrics"), ("PUT", "/token"), ("DELETE", "/token")] {
        let answer = by_hand(&nobody, method, path, &["Content-Length: 0"]);
        assert_eq!(answer.status, 405, "{method} {path}: {answer}");
        assert!(answer.header("allow").contains("GET"), "{answer}");
    }
}
