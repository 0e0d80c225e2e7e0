//! Connections by the thousand.

use super::{connections, memory};
use crate::support::{PATIENCE, TestServer, Wire, sha256, wait_for};
use std::time::Duration;

/// Connections that are held open and left idle.
const IDLE: usize = 2000;

/// Whether so many connections can be held from here.
fn can_hold(connections: usize) -> bool {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + 1000;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let enough = getrlimit(Resource::Nofile).current.is_none_or(|current| current >= wanted);
    if !enough {
        println!("skipped: too few open files are allowed here");
    }
    enough
}

#[test]
fn thousands_of_idle_connections_cost_little_and_others_work_on() {
    if !can_hold(IDLE) {
        return;
    }
    let server = TestServer::with(&[("limits.header_timeout", "10m")]);
    let admin = server.admin();
    admin.push("acme/app", "0", "before anything else");
    let before = memory(&server);
    let idle: Vec<Wire> = (0..IDLE).map(|_| Wire::connect(&admin)).collect();
    wait_for("all of them", || (connections(&server) >= IDLE).then_some(()));
    for round in 1..=10 {
        let tag = round.to_string();
        let image = admin.push("acme/app", &tag, &format!("image {round}"));
        assert_eq!(
            admin.get(&format!("/v2/acme/app/blobs/{}", sha256(&image.layer))).expect(200).body,
            image.layer
        );
    }
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {IDLE} connections that do nothing");
    drop(idle);
    wait_for("all of them to be gone", || (connections(&server) == 0).then_some(()));
    admin.push("acme/app", "after", "afterwards");
}

#[test]
fn connections_over_the_limit_are_told_so_and_served_when_others_go() {
    let server = TestServer::with(&[
        ("limits.connections", "40"),
        ("limits.connections_refused", "20"),
        ("server.workers", "2"),
        ("limits.header_timeout", "10m"),
    ]);
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let idle: Vec<Wire> = (0..40).map(|_| Wire::connect(&admin)).collect();
    wait_for("the limit", || (connections(&server) >= 40).then_some(()));

    for (line, code) in [
        ("GET /v2/acme/app/tags/list", "UNAVAILABLE"),
        ("GET /v2/", "UNAVAILABLE"),
        ("GET /token?service=granary", "UNAVAILABLE"),
        ("POST /v2/acme/app/blobs/uploads/", "UNAVAILABLE"),
    ] {
        let mut wire = Wire::connect(&admin);
        wire.request(line, &[]);
        let answer = wire.answer();
        assert_eq!(
            (answer.status, answer.header("retry-after"), answer.header("connection")),
            (503, "1", "close")
        );
        assert_eq!(answer.json()["errors"][0]["code"], code, "{line}");
        assert_eq!(wire.rest(), "");
    }
    // Whoever watches over the server is told how it is.
    let mut probe = Wire::connect(&admin);
    probe.request("GET /livez", &[]);
    assert_eq!(probe.answer().status, 200);

    // There is a limit to those who are told, too.
    let silent: Vec<Wire> = (0..40).map(|_| Wire::connect(&admin)).collect();
    wait_for("the rest", || (connections(&server) >= 60).then_some(()));
    let mut late = Wire::connect(&admin);
    late.request("GET /v2/acme/app/tags/list", &["Connection: close"]);
    assert!(!late.has_news(Duration::from_millis(500)), "it was let in over both limits");
    let open = connections(&server);
    assert!(open <= 60, "{open} connections with limits of 40 and 20");

    drop((idle, silent));
    wait_for("a place", || {
        let mut wire = Wire::connect(&admin);
        wire.request("GET /v2/acme/app/tags/list", &["Connection: close"]);
        (wire.answer().status == 200).then_some(())
    });
    // It was accepted as soon as there was room for it to be told something; what depends on who left first.
    assert!([200, 503].contains(&late.answer().status));
    admin.push("acme/app", "2.0", "afterwards");
}

#[test]
fn a_connection_that_is_kept_alive_and_idle_does_not_stay_for_ever() {
    let server = TestServer::with(&[("limits.keep_alive", "1s")]);
    let admin = server.admin();
    let mut wire = Wire::connect(&admin);
    wire.request("GET /v2/", &[]);
    wire.oci_answer().expect(200);
    assert!(wire.has_news(PATIENCE), "still open");
    assert_eq!(wire.rest(), "");
}
