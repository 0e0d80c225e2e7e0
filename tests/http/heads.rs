//! HEAD exists wherever GET does, and says the same.

use crate::support::{TestServer, sha256};

#[test]
fn head_has_the_headers_of_get_wherever_there_is_a_get() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let session = admin.open_session("acme/app");
    session.append(b"some bytes").expect(202);
    let digest = image.digest();
    for path in [
        "/v2/".to_owned(),
        "/v2".into(),
        "/v2/_catalog".into(),
        "/v2/_catalog?n=0".into(),
        "/v2/acme/app/tags/list".into(),
        "/v2/acme/app/tags/list?n=1".into(),
        "/v2/acme/app/manifests/1.0".into(),
        format!("/v2/acme/app/manifests/{digest}"),
        format!("/v2/acme/app/blobs/{}", sha256(&image.layer)),
        format!("/v2/acme/app/referrers/{digest}"),
        session.location,
        // Refusals, too.
        "/v2/acme/app/manifests/nothing".into(),
        format!("/v2/acme/app/blobs/{}", sha256(b"nothing")),
        "/v2/acme/nothing/tags/list".into(),
        "/v2/BAD/tags/list".into(),
        "/v2/_catalog?n=x".into(),
        "/v2/acme/app/blobs/uploads/".into(),
    ] {
        let (get, head) = (admin.get(&path), admin.head(&path));
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.fingerprint().1, get.fingerprint().1, "{path}");
        if get.status != 204 {
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        }
        assert!(head.body.is_empty(), "{path}");
    }
    let nobody = server.anonymous();
    assert_eq!(nobody.head("/v2/").fingerprint().1, nobody.get("/v2/").fingerprint().1);
}

#[test]
fn probes_and_pages_answer_head_as_get() {
    let server = TestServer::start();
    let nobody = server.anonymous();
    for path in ["/livez", "/readyz", "/metrics", "/nothing/here"] {
        let (get, head) = (nobody.get(path), nobody.head(path));
        assert_eq!(head.status, get.status, "{path}: {head}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert!(head.body.is_empty());
    }
}
