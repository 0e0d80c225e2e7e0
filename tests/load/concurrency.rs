//! Many clients at the same thing at the same time.

use crate::support::{Client, Image, TestServer, bytes, sha256};
use serde_json::json;
use std::sync::Barrier;

const CROWD: usize = 64;

/// Runs `act` on as many threads as the crowd has, all let go at once; gives what each came to.
fn crowd<T: Send>(act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(CROWD);
    let run = |number: usize| {
        start.wait();
        act(number)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CROWD).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A server whose caches know the administrator, so that what follows is about the store and not about passwords.
fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    admin.get("/v2/").expect(200);
    (server, admin)
}

#[test]
fn a_crowd_pushes_one_blob_and_it_is_stored_once() {
    let (server, admin) = scene();
    let blob = bytes(1, 200_000);
    let digest = sha256(&blob);

    // Half as one request, half by a session, into few repositories that do not exist yet.
    let statuses = crowd(|number| {
        let repository = format!("acme/app-{}", number % 4);
        if number % 2 == 0 {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
            admin.call("POST", &path).body(&blob).status
        } else {
            admin.open_session(&repository).finish(&blob, &digest).status
        }
    });

    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    assert_eq!(server.blob_files(&digest).len(), 1);
    assert!(server.files("uploads").is_empty());
    for number in 0..4 {
        let read = admin.get(&format!("/v2/acme/app-{number}/blobs/{digest}")).expect(200);
        assert_eq!(read.body, blob);
    }
}

#[test]
fn a_crowd_pushes_one_image_to_one_tag() {
    let (server, admin) = scene();
    let image = Image::new("what everybody pushes");

    crowd(|_| admin.push_image("acme/app", "1.0", &image));

    assert_eq!(admin.get("/v2/acme/app/manifests/1.0").expect(200).body, image.manifest.bytes);
    assert_eq!(admin.get("/v2/acme/app/tags/list").json()["tags"], json!(["1.0"]));
    for part in [&image.config, &image.layer] {
        assert_eq!(server.blob_files(&sha256(part)).len(), 1);
    }
}

#[test]
fn a_crowd_pushes_different_images_to_one_tag_and_one_of_them_is_there() {
    let (_server, admin) = scene();
    let images: Vec<Image> = (0..CROWD).map(|number| Image::new(&format!("contender {number}"))).collect();

    crowd(|number| admin.push_image("acme/app", "latest", &images[number]));

    let tagged = admin.tag_digest("acme/app", "latest").unwrap();
    let winner = images.iter().find(|image| image.digest() == tagged);
    let winner = winner.unwrap_or_else(|| panic!("{tagged} was pushed by nobody"));
    let served = admin.get("/v2/acme/app/manifests/latest").expect(200);
    assert_eq!(served.body, winner.manifest.bytes);
    // Nobody's image was lost: each had its 201.
    for image in &images {
        admin.get(&format!("/v2/acme/app/manifests/{}", image.digest())).expect(200);
    }
}

#[test]
fn a_tag_that_moves_is_never_absent_for_those_who_read_it() {
    let (_server, admin) = scene();
    let images: Vec<Image> = (0..4).map(|number| Image::new(&format!("turn {number}"))).collect();
    for image in &images {
        admin.push_image("acme/app", "moving", image);
    }
    let seen = crowd(|number| {
        if number < 8 {
            let image = &images[number % 4];
            return vec![(
                admin.put_manifest("acme/app", "moving", &image.manifest).expect(201).status,
                String::new(),
            )];
        }
        let read = || {
            let answer = admin.get("/v2/acme/app/manifests/moving");
            // The digest that the answer names is that of the bytes it brings.
            assert_eq!(answer.header("docker-content-digest"), sha256(&answer.body));
            (answer.status, sha256(&answer.body))
        };
        (0..3).map(|_| read()).collect()
    });
    for (status, digest) in seen.into_iter().flatten() {
        assert!(matches!(status, 200 | 201));
        assert!(digest.is_empty() || images.iter().any(|image| image.digest() == digest), "{digest}");
    }
}

#[test]
fn pushes_and_removals_of_one_image_leave_it_whole_or_gone() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "now here, now gone");
    let path = format!("/v2/acme/app/manifests/{}", image.digest());

    crowd(|number| {
        if number % 2 == 0 {
            let status = admin.put_manifest("acme/app", "1.0", &image.manifest).status;
            assert_eq!(status, 201);
        } else {
            let status = admin.delete(&path).status;
            assert!(matches!(status, 202 | 404), "{status}");
        }
    });

    match admin.tag_digest("acme/app", "1.0") {
        Some(digest) => assert_eq!(digest, image.digest()),
        None => assert_eq!(admin.get(&path).status, 404),
    }
    admin.push_image("acme/app", "1.0", &image);
    assert_eq!(admin.get("/v2/acme/app/manifests/1.0").expect(200).body, image.manifest.bytes);
}

#[test]
fn a_crowd_that_finishes_one_session_commits_it_once() {
    let (server, admin) = scene();
    let blob = bytes(3, 400_000);
    let digest = sha256(&blob);
    let session = admin.open_session("acme/app");
    session.append(&blob).expect(202);

    let statuses = crowd(|_| session.finish(b"", &digest).status);

    let created = statuses.iter().filter(|status| **status == 201).count();
    assert!(created >= 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 404 | 409)), "{statuses:?}");
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
    assert_eq!(server.blob_files(&digest).len(), 1);
}
