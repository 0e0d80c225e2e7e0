//! What an upload may not exceed.

use crate::support::{TestServer, Wire, bytes, sha256};

#[test]
fn a_blob_over_the_limit_is_refused_in_every_way_of_sending_it_and_leaves_nothing() {
    let server = TestServer::with(&[("limits.blob_bytes", "1000")]);
    let admin = server.admin();
    let (fits, over) = (bytes(1, 1000), bytes(2, 1001));
    let digest = sha256(&over);
    admin.push_blob("acme/app", &fits);

    let path = format!("/v2/acme/app/blobs/uploads/?digest={digest}");
    admin.call("POST", &path).body(&over).refused(413, "SIZE_INVALID");
    admin.call("POST", &path).stream(&over[..]).refused(413, "SIZE_INVALID");
    admin.open_session("acme/app").finish(&over, &digest).refused(413, "SIZE_INVALID");
    let session = admin.open_session("acme/app");
    session.append(&over[..600]).expect(202);
    session.append(&over[600..]).refused(413, "SIZE_INVALID");
    session.chunk(600, &over[600..]).refused(413, "SIZE_INVALID");

    assert_eq!(session.offset(), 600, "what was taken before stands");
    session.append(&over[600..1000]).expect(202);
    session.finish(&over[1000..], &digest).refused(413, "SIZE_INVALID");
    assert_eq!(admin.blob_status("acme/app", &digest), 404);
    assert!(server.blob_files(&digest).is_empty());
}

#[test]
fn a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent() {
    let server = TestServer::with(&[("limits.blob_bytes", "1MiB"), ("limits.body_idle", "2s")]);
    let admin = server.admin();
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={}", sha256(b"huge")),
        &["Content-Length: 1099511627776"],
    );
    wire.oci_answer().refused(413, "SIZE_INVALID");
}

#[test]
fn a_caller_with_too_many_open_uploads_waits_while_others_go_on() {
    let server = TestServer::with(&[("limits.uploads_per_principal", "3")]);
    server.project("acme");
    let (jo, sam) = (server.member("jo", "acme", "developer"), server.member("sam", "acme", "developer"));
    let sessions: Vec<_> = (0..3).map(|_| jo.open_session("acme/app")).collect();

    let answer = jo.post("/v2/acme/other/blobs/uploads/");

    let sentence = answer.refused(429, "TOOMANYREQUESTS");
    assert!(sentence.contains("3 uploads open"), "{sentence}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer}");
    sam.open_session("acme/app");
    // An upload of one request needs no session.
    let digest = sha256(b"abc");
    jo.call("POST", &format!("/v2/acme/app/blobs/uploads/?digest={digest}"))
        .body(b"abc")
        .expect(201);
    // One that is finished or cancelled makes room.
    sessions[0].finish(b"", &sha256(b"")).expect(201);
    jo.open_session("acme/app");
    jo.post("/v2/acme/app/blobs/uploads/").refused(429, "TOOMANYREQUESTS");
    jo.delete(&sessions[1].location).expect(204);
    jo.open_session("acme/app");
}

#[test]
fn without_room_nothing_is_taken_and_everything_is_still_read() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let session_path = admin.open_session("acme/app").location;
    server.stop();
    // More is to be kept free than any disk has.
    let full = server.again_with(&[("storage.reserve", "1000000TiB")]);
    full.expects_errors();

    let refused = Wire::connect(&full.admin())
        .request("POST /v2/acme/app/blobs/uploads/", &["Content-Length: 0"])
        .answer();
    assert_eq!(refused.status, 507, "{refused}");
    assert_eq!(refused.json()["errors"][0]["code"], "STORAGE_FULL");
    let refused = Wire::connect(&full.admin())
        .request(
            &format!("POST /v2/acme/app/blobs/uploads/?digest={}", sha256(b"")),
            &["Content-Length: 0"],
        )
        .answer();
    assert_eq!(refused.status, 507, "{refused}");

    let admin = full.admin();
    assert_eq!(admin.get("/v2/acme/app/manifests/1.0").expect(200).body, image.manifest.bytes);
    admin.session_at(&session_path).status().expect(204);
    admin.delete("/v2/acme/app/manifests/1.0").expect(202);
}
