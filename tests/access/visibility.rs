//! What is deduplicated in the store is not thereby visible: knowing a digest is not holding the bytes
//! (zot CVE-2024-39897). Whoever may not read a repository cannot tell whether something is in it.

use crate::support::{Answer, Client, DOCKER_LIST, Image, Manifest, TestServer, bytes, descriptor, sha256};
use serde_json::json;

/// A vault that Eve may not read, and her own project.
struct Scene {
    server: TestServer,
    admin: Client,
    eve: Client,
    /// An image in the vault.
    secret: Image,
    /// One that exists nowhere, with digests and sizes alike.
    nowhere: Image,
}

impl Scene {
    fn new() -> Self {
        let server = TestServer::start();
        server.project("vault");
        server.project("acme");
        let admin = server.admin();
        let eve = server.member("eve", "acme", "maintainer");
        let secret = admin.push("vault/app", "1.0", "the secret of vault");
        eve.push("acme/app", "1.0", "what eve has");
        Self {
            admin,
            eve,
            secret,
            nowhere: Image::new("what is nowhere yet"),
            server,
        }
    }

    /// Asks the same about what is in the vault and about what is nowhere; the answers must be alike but for the digest.
    #[track_caller]
    fn alike(&self, ask: impl Fn(&Client, &Image) -> Answer) -> Answer {
        let told = |image: &Image| {
            let answer = ask(&self.eve, image);
            let (status, headers, text) = answer.fingerprint();
            (status, headers, without_digests(&text))
        };
        assert_eq!(told(&self.secret), told(&self.nowhere));
        ask(&self.eve, &self.secret)
    }
}

/// The text with every digest in it made the same.
fn without_digests(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        format!("{text}<digest>{rest}")
    })
}

#[test]
fn a_blob_of_the_vault_is_a_404_in_another_project() {
    let scene = Scene::new();
    for method in ["GET", "HEAD", "DELETE"] {
        let answer = scene.alike(|eve, image| eve.call(method, &format!("/v2/acme/app/blobs/{}", sha256(&image.layer))).send());
        assert_eq!(answer.status, 404, "{answer}");
    }
    let ranged = scene.alike(|eve, image| {
        let path = format!("/v2/acme/app/blobs/{}", sha256(&image.layer));
        eve.call("GET", &path).header("Range", "bytes=0-0").send()
    });
    ranged.refused(404, "BLOB_UNKNOWN");
    let conditional = scene.alike(|eve, image| {
        let digest = sha256(&image.layer);
        let path = format!("/v2/acme/app/blobs/{digest}");
        eve.call("GET", &path).header("If-None-Match", &format!("\"{digest}\"")).send()
    });
    conditional.refused(404, "BLOB_UNKNOWN");
}

#[test]
fn a_manifest_of_the_vault_is_a_404_in_another_project() {
    let scene = Scene::new();
    for method in ["GET", "HEAD", "DELETE"] {
        let answer = scene.alike(|eve, image| eve.call(method, &format!("/v2/acme/app/manifests/{}", image.digest())).send());
        assert_eq!(answer.status, 404, "{answer}");
    }
}

#[test]
fn nothing_is_mounted_out_of_the_vault_with_or_without_saying_from_where() {
    let scene = Scene::new();
    let layer = |image: &Image| sha256(&image.layer);
    let files = scene.server.blob_files(&layer(&scene.secret));
    for source in ["", "&from=vault/app", "&from=vault/other", "&from=acme/app", "&from=..%2Fvault"] {
        let answer = scene.alike(|eve, image| eve.post(&format!("/v2/acme/app/blobs/uploads/?mount={}{source}", layer(image))));
        // As for any mount that cannot be: a session to upload the bytes by.
        assert_eq!(answer.status, 202, "{source}: {answer}");
        assert!(answer.find("docker-content-digest").is_none(), "{answer}");
    }
    assert_eq!(scene.eve.blob_status("acme/app", &layer(&scene.secret)), 404);
    assert_eq!(scene.server.blob_files(&layer(&scene.secret)), files);
}

#[test]
fn a_token_for_the_vault_gives_no_more_than_the_password() {
    let scene = Scene::new();
    let token = scene
        .eve
        .with_token("repository:acme/app:pull,push repository:vault/app:pull registry:catalog:*");
    let path = format!("/v2/acme/app/blobs/uploads/?mount={}&from=vault/app", sha256(&scene.secret.layer));
    token.post(&path).expect(202);
    token.get("/v2/vault/app/manifests/1.0").refused(403, "DENIED");
}

#[test]
fn an_upload_needs_the_bytes_whatever_the_store_holds() {
    let scene = Scene::new();
    let by_post = scene.alike(|eve, image| eve.post(&format!("/v2/acme/app/blobs/uploads/?digest={}", sha256(&image.layer))));
    by_post.refused(400, "DIGEST_INVALID");
    let by_put = scene.alike(|eve, image| eve.open_session("acme/app").finish(b"", &sha256(&image.layer)));
    by_put.refused(400, "DIGEST_INVALID");
    let almost = scene.alike(|eve, image| {
        let most = &image.layer[..image.layer.len() - 1];
        eve.open_session("acme/app").finish(most, &sha256(&image.layer))
    });
    assert_eq!(almost.status, 400, "{almost}");
    assert_eq!(scene.eve.blob_status("acme/app", &sha256(&scene.secret.layer)), 404);
}

#[test]
fn who_has_the_bytes_uploads_them_and_sees_that_much() {
    let scene = Scene::new();
    let digest = scene.eve.push_blob("acme/app", &scene.secret.layer);

    let read = scene.eve.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200);

    assert_eq!(read.body, scene.secret.layer);
    assert_eq!(scene.server.blob_files(&digest).len(), 1, "stored once");
    let answer = scene.alike(|eve, image| eve.head(&format!("/v2/acme/app/blobs/{}", sha256(&image.config))));
    assert_eq!(answer.status, 404);
}

#[test]
fn a_crafted_manifest_does_not_reach_into_the_vault() {
    let scene = Scene::new();
    let by_tag = scene.alike(|eve, image| eve.put_manifest("acme/app", "stolen", &image.manifest));
    by_tag.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let by_digest = scene.alike(|eve, image| eve.put_manifest("acme/app", &image.digest(), &image.manifest));
    by_digest.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let as_child = scene.alike(|eve, image| eve.put_manifest("acme/app", "stolen", &Manifest::index(&[&image.manifest])));
    as_child.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let as_blob = scene.alike(|eve, image| {
        let layer = descriptor("application/octet-stream", &image.layer);
        let index = Manifest::new(DOCKER_LIST, json!({"schemaVersion": 2, "manifests": [layer]}));
        eve.put_manifest("acme/app", "stolen", &index)
    });
    as_blob.refused(400, "MANIFEST_BLOB_UNKNOWN");

    let tags = scene.eve.get("/v2/acme/app/tags/list").json();
    assert_eq!(tags["tags"], json!(["1.0"]));
}

#[test]
fn a_foreign_layer_or_a_subject_may_be_missing_but_opens_nothing() {
    let scene = Scene::new();
    let empty = scene.eve.push_blob("acme/app", b"{}");
    let digest = sha256(&scene.secret.layer);
    let mut image = Manifest::about(&scene.secret.manifest, "application/x.note", "about the vault").json();
    image["layers"] = json!([{
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "digest": digest, "size": 1, "urls": ["https://x.example/layer"],
    }]);
    let manifest = Manifest::new(crate::support::OCI_IMAGE, image);

    scene.eve.put_manifest("acme/app", "note", &manifest).expect(201);

    assert_eq!(scene.eve.blob_status("acme/app", &empty), 200);
    assert_eq!(scene.eve.blob_status("acme/app", &digest), 404);
    let subject = scene.secret.digest();
    scene
        .eve
        .get(&format!("/v2/acme/app/manifests/{subject}"))
        .refused(404, "MANIFEST_UNKNOWN");
    // And in the vault nobody sees the note.
    let referrers = scene.admin.get(&format!("/v2/vault/app/referrers/{subject}")).json();
    assert_eq!(referrers["manifests"], json!([]));
}

#[test]
fn even_where_manifests_may_be_sparse_naming_a_blob_does_not_show_it() {
    let server = TestServer::with(&[("oci.allow_missing", "true")]);
    let admin = server.admin();
    let secret = admin.push("vault/app", "1.0", "the secret of vault");
    server.project("acme");
    let eve = server.member("eve", "acme", "maintainer");

    eve.put_manifest("acme/app", "sparse", &secret.manifest).expect(201);

    for part in [&secret.layer, &secret.config] {
        assert_eq!(eve.blob_status("acme/app", &sha256(part)), 404);
        eve.post(&format!("/v2/acme/other/blobs/uploads/?mount={}&from=acme/app", sha256(part)))
            .expect(202);
    }
}

#[test]
fn referrers_tags_and_catalog_say_nothing_of_the_vault() {
    let scene = Scene::new();
    scene.admin.push_blob("vault/app", b"{}");
    let signature = Manifest::about(&scene.secret.manifest, "application/x.signature", "signed");
    scene.admin.push_manifest("vault/app", &signature);

    let elsewhere = scene.alike(|eve, image| eve.get(&format!("/v2/acme/app/referrers/{}", image.digest())));
    assert_eq!(elsewhere.expect(200).json()["manifests"], json!([]));
    let there = scene.alike(|eve, image| eve.get(&format!("/v2/vault/app/referrers/{}", image.digest())));
    there.refused(403, "DENIED");
    scene.eve.get("/v2/vault/app/tags/list").refused(403, "DENIED");
    for page in ["", "?n=1000", "?last=acme/app", "?last=vault", "?n=1&last=acme/zzz"] {
        let listed = scene.eve.get(&format!("/v2/_catalog{page}")).expect(200);
        assert!(!listed.text().contains("vault") && listed.find("link").is_none(), "{listed}");
    }
}

#[test]
fn repositories_that_one_may_not_read_are_like_those_that_do_not_exist_on_every_route() {
    let scene = Scene::new();
    let digest = scene.secret.digest();
    for (method, rest) in [
        ("GET", "tags/list".to_owned()),
        ("GET", "manifests/1.0".into()),
        ("HEAD", format!("manifests/{digest}")),
        ("PUT", "manifests/1.0".into()),
        ("DELETE", "manifests/1.0".into()),
        ("GET", format!("blobs/{}", sha256(&scene.secret.layer))),
        ("DELETE", format!("blobs/{}", sha256(&scene.secret.layer))),
        ("GET", format!("referrers/{digest}")),
        ("POST", "blobs/uploads/".into()),
        ("POST", format!("blobs/uploads/?mount={digest}&from=acme/app")),
        ("GET", "blobs/uploads/00000000-0000-4000-8000-000000000000".into()),
    ] {
        let told = |name: &str| scene.eve.call(method, &format!("/v2/{name}/{rest}")).send().fingerprint();
        let there = told("vault/app");
        assert_eq!(there.0, 403, "{method} {rest}");
        assert_eq!(there, told("vault/nothing"), "{method} {rest}");
        assert_eq!(there, told("nowhere/nothing"), "{method} {rest}");
    }
}

#[test]
fn a_blob_that_was_removed_here_does_not_come_back_because_somebody_reads_it_there() {
    // distribution CVE-2026-35172: a shared cache brought it back.
    let scene = Scene::new();
    let blob = bytes(7, 2000);
    let digest = scene.eve.push_blob("acme/app", &blob);
    scene.admin.push_blob("vault/app", &blob);

    scene.eve.delete(&format!("/v2/acme/app/blobs/{digest}")).expect(202);

    let there = format!("/v2/vault/app/blobs/{digest}");
    assert_eq!(scene.admin.get(&there).expect(200).body, blob);
    assert_eq!(scene.eve.blob_status("acme/app", &digest), 404);
    scene.eve.get(&format!("/v2/acme/app/blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
    assert_eq!(scene.admin.get(&there).expect(200).body, blob);
}

#[test]
fn an_upload_session_is_nobody_elses() {
    let scene = Scene::new();
    scene.server.cli(&["project", "grant", "acme", "admin", "maintainer"]).expect(0);
    let session = scene.admin.open_session("acme/app");
    session.append(b"of the administrator").expect(202);
    let digest = sha256(b"of the administrator");
    let (_, id) = session.location.rsplit_once('/').unwrap();

    // Eve may push here, but this session is not hers; and in another repository it is not even the administrator's.
    let elsewhere = format!("/v2/acme/other/blobs/uploads/{id}");
    scene.admin.push_blob("acme/other", b"{}");
    for session in [scene.eve.session_at(&session.location), scene.admin.session_at(&elsewhere)] {
        session.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
        session.append(b"!").refused(404, "BLOB_UPLOAD_UNKNOWN");
        session.chunk(20, b"!").refused(404, "BLOB_UPLOAD_UNKNOWN");
        session.finish(b"", &digest).refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    scene.eve.delete(&session.location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    scene.admin.delete(&elsewhere).refused(404, "BLOB_UPLOAD_UNKNOWN");

    assert_eq!(session.offset(), 20);
    session.finish(b"", &digest).expect(201);
}
