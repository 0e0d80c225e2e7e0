//! Uploads in numbered chunks, which must come in order.

use crate::support::{Answer, Client, Session, TestServer, bytes, sha256};

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    (server, admin)
}

/// A chunk that does not fit must be answered with where the session stands.
#[track_caller]
fn out_of_order(answer: &Answer, session: &Session<'_>, range: &str) {
    answer.refused(416, "RANGE_INVALID");
    assert_eq!(answer.header("range"), range);
    assert_eq!(answer.header("location"), session.location);
}

#[test]
fn chunks_in_order_are_an_upload() {
    let (_server, admin) = scene();
    let blob = bytes(1, 30_000);
    let session = admin.open_session("acme/app");
    for (number, chunk) in blob.chunks(10_000).enumerate() {
        let answer = session.chunk(number * 10_000, chunk).expect(202);
        assert_eq!(answer.header("range"), format!("0-{}", number * 10_000 + 9999));
        assert_eq!(answer.header("content-length"), "0");
        assert_eq!(session.offset(), number * 10_000 + 10_000);
    }
    session.finish(b"", &sha256(&blob)).expect(201);
    let read = admin.get(&format!("/v2/acme/app/blobs/{}", sha256(&blob))).expect(200);
    assert_eq!(read.body, blob);
}

#[test]
fn the_last_chunk_may_come_with_the_put() {
    let (_server, admin) = scene();
    let blob = bytes(2, 2500);
    let session = admin.open_session("acme/app");
    session.chunk(0, &blob[..1000]).expect(202);
    let path = session.finish_path(&sha256(&blob));
    admin
        .call("PUT", &path)
        .header("Content-Range", "1000-2499")
        .body(&blob[1000..])
        .expect(201);
}

#[test]
fn a_chunk_that_leaves_a_gap_or_overlaps_is_refused_with_where_to_go_on() {
    let (_server, admin) = scene();
    let blob = bytes(3, 3000);
    let session = admin.open_session("acme/app");

    out_of_order(&session.chunk(1, &blob[1..10]), &session, "0-0");
    session.chunk(0, &blob[..1000]).expect(202);
    // A gap, the same again, an overlap, all from the start.
    out_of_order(&session.chunk(1500, &blob[1500..2000]), &session, "0-999");
    out_of_order(&session.chunk(0, &blob[..1000]), &session, "0-999");
    out_of_order(&session.chunk(999, &blob[999..2000]), &session, "0-999");
    out_of_order(&session.chunk(0, &blob), &session, "0-999");
    assert_eq!(session.status().expect(204).header("range"), "0-999");

    session.chunk(1000, &blob[1000..2000]).expect(202);
    session.finish(&blob[2000..], &sha256(&blob)).expect(201);
}

#[test]
fn a_put_out_of_order_is_refused_and_the_session_goes_on() {
    let (_server, admin) = scene();
    let blob = bytes(4, 3000);
    let digest = sha256(&blob);
    let session = admin.open_session("acme/app");
    session.chunk(0, &blob[..1000]).expect(202);
    let finish = |range: &str, bytes: &[u8]| {
        let path = session.finish_path(&digest);
        admin.call("PUT", &path).header("Content-Range", range).body(bytes)
    };

    out_of_order(&finish("2000-2999", &blob[2000..]), &session, "0-999");
    out_of_order(&finish("0-2999", &blob), &session, "0-999");

    assert_eq!(admin.blob_status("acme/app", &digest), 404);
    finish("1000-2999", &blob[1000..]).expect(201);
}

#[test]
fn a_chunk_whose_length_is_not_that_of_its_range_counts_for_nothing() {
    let (_server, admin) = scene();
    let blob = bytes(5, 2000);
    let session = admin.open_session("acme/app");
    session.chunk(0, &blob[..1000]).expect(202);
    let patch = |range: &str| admin.call("PATCH", &session.location).header("Content-Range", range);

    patch("1000-1999").body(&blob[1000..1500]).refused(400, "SIZE_INVALID");
    patch("1000-1099").body(&blob[1000..1500]).refused(400, "SIZE_INVALID");
    // Without a length beforehand, it shows only at the end.
    patch("1000-1999").stream(&blob[1000..1500]).refused(400, "SIZE_INVALID");
    patch("1000-1099").stream(&blob[1000..1500]).refused(400, "SIZE_INVALID");

    assert_eq!(session.offset(), 1000);
    session.chunk(1000, &blob[1000..]).expect(202);
    session.finish(b"", &sha256(&blob)).expect(201);
}

#[test]
fn a_range_that_is_none_is_refused_and_the_session_goes_on() {
    let (_server, admin) = scene();
    let session = admin.open_session("acme/app");
    for range in [
        "",
        "0",
        "-",
        "0-",
        "-3",
        "3-0",
        "a-b",
        "0-1-2",
        "0x0-0x3",
        "0-99999999999999999999",
        "bytes */3",
        "+0-3",
    ] {
        let answer = admin.call("PATCH", &session.location).header("Content-Range", range).body(b"abcd");
        answer.refused(400, "SIZE_INVALID");
    }
    assert_eq!(session.offset(), 0);
    session.finish(b"abcd", &sha256(b"abcd")).expect(201);
}

#[test]
fn the_unit_that_http_has_and_the_specification_has_not_is_accepted() {
    let (_server, admin) = scene();
    let session = admin.open_session("acme/app");
    let answer = admin
        .call("PATCH", &session.location)
        .header("Content-Range", "bytes 0-3/8")
        .body(b"abcd");
    assert_eq!(answer.expect(202).header("range"), "0-3");
}

#[test]
fn a_single_byte_is_told_from_none() {
    let (_server, admin) = scene();
    let session = admin.open_session("acme/app");
    session.chunk(0, b"a").expect(202);
    // "0-0" says both; what counts is that the next chunk begins at one.
    out_of_order(&session.chunk(0, b"a"), &session, "0-0");
    session.chunk(1, b"b").expect(202);
    session.finish(b"", &sha256(b"ab")).expect(201);
}

#[test]
fn a_thousand_small_chunks_are_as_good_as_a_large_one() {
    let (_server, admin) = scene();
    let blob = bytes(6, 4000);
    let session = admin.open_session("acme/app");
    for (number, chunk) in blob.chunks(40).enumerate() {
        session.chunk(number * 40, chunk).expect(202);
    }
    session.finish(b"", &sha256(&blob)).expect(201);
}
