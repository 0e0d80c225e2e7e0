//! Two who want what excludes each other, at the same moment: one of them is refused, or comes second.

use crate::support::{Client, Image, Manifest, TestServer, sha256};
use std::sync::Barrier;

/// Tries at each race; what goes wrong only now and then must have its chance.
const ROUNDS: usize = 24;

/// Lets two acts go at once; gives what both came to.
fn race<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            start.wait();
            one()
        });
        start.wait();
        let second = other();
        (first.join().unwrap(), second)
    })
}

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    admin.get("/v2/").expect(200);
    (server, admin)
}

#[test]
fn an_index_and_the_removal_of_its_child_do_not_both_win() {
    let (_server, admin) = scene();
    for round in 0..ROUNDS {
        let child = Image::new(&format!("child {round}"));
        admin.push_parts("acme/app", &child);
        admin.push_manifest("acme/app", &child.manifest);
        let index = Manifest::index(&[&child.manifest]);
        let path = format!("/v2/acme/app/manifests/{}", child.digest());

        let (pushed, removed) = race(
            || admin.put_manifest("acme/app", &index.digest(), &index).status,
            || admin.delete(&path).status,
        );

        assert!(
            matches!((pushed, removed), (201, 409) | (400, 202)),
            "round {round}: pushed {pushed}, removed {removed}"
        );
        assert_eq!(admin.head(&path).status == 200, pushed == 201, "round {round}");
    }
}

#[test]
fn a_manifest_and_the_removal_of_its_blob_do_not_both_win() {
    let (_server, admin) = scene();
    for round in 0..ROUNDS {
        let image = Image::new(&format!("image {round}"));
        admin.push_parts("acme/app", &image);
        let layer = sha256(&image.layer);

        let (pushed, removed) = race(
            || admin.put_manifest("acme/app", "racing", &image.manifest).status,
            || admin.delete(&format!("/v2/acme/app/blobs/{layer}")).status,
        );

        assert!(
            matches!((pushed, removed), (201, 405) | (400, 202)),
            "round {round}: pushed {pushed}, removed {removed}"
        );
        assert_eq!(admin.blob_status("acme/app", &layer) == 200, pushed == 201, "round {round}");
    }
}

#[test]
fn a_mount_and_the_removal_at_its_source_leave_the_blob_whole_or_unmounted() {
    let (_server, admin) = scene();
    for round in 0..ROUNDS {
        let blob = format!("layer {round}").into_bytes();
        let digest = admin.push_blob("base/os", &blob);

        let (mounted, removed) = race(
            || {
                admin
                    .post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=base/os"))
                    .status
            },
            || admin.delete(&format!("/v2/base/os/blobs/{digest}")).status,
        );

        assert_eq!(removed, 202, "round {round}");
        let read = admin.get(&format!("/v2/acme/app/blobs/{digest}"));
        match mounted {
            201 => assert_eq!(read.expect(200).body, blob, "round {round}"),
            202 => assert_eq!(read.status, 404, "round {round}"),
            other => panic!("round {round}: {other}"),
        }
    }
}

#[test]
fn a_first_push_and_another_first_push_make_one_project_and_both_succeed() {
    let (server, admin) = scene();
    for round in 0..ROUNDS {
        let repository = format!("project-{round}/app");
        let (one, other) = race(
            || admin.post(&format!("/v2/{repository}/blobs/uploads/")).status,
            || admin.post(&format!("/v2/{repository}/blobs/uploads/")).status,
        );
        assert_eq!((one, other), (202, 202), "round {round}");
    }
    let projects = server.cli(&["project", "list"]).expect(0).stdout;
    assert_eq!(projects.lines().count(), ROUNDS + 1, "{projects}");
}

#[test]
fn an_upload_and_its_cancellation_leave_the_blob_whole_or_nothing() {
    let (server, admin) = scene();
    for round in 0..ROUNDS {
        let blob = crate::support::bytes(round as u64 + 1, 300_000);
        let digest = sha256(&blob);
        let session = admin.open_session("acme/app");
        session.append(&blob).expect(202);

        let (finished, cancelled) = race(|| session.finish(b"", &digest).status, || admin.delete(&session.location).status);

        let read = admin.get(&format!("/v2/acme/app/blobs/{digest}"));
        match (finished, cancelled) {
            (201, 404) => assert_eq!(read.expect(200).body, blob, "round {round}"),
            (400 | 404 | 409, 204) => assert_eq!(read.status, 404, "round {round}"),
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert!(server.files("uploads").is_empty());
}

#[test]
fn a_disabled_account_does_not_slip_in_by_a_request_that_was_on_its_way() {
    let (server, _) = scene();
    let jo = server.account("jo");
    for _ in 0..3 {
        let ((), ()) = race(
            || {
                server.cli(&["user", "disable", "jo"]).expect(0);
            },
            || {
                for _ in 0..10 {
                    assert!(matches!(jo.get("/v2/").status, 200 | 401));
                }
            },
        );
        // Whatever was remembered on the way, from now on it is out.
        jo.get("/v2/").refused(401, "UNAUTHORIZED");
        server.cli(&["user", "enable", "jo"]).expect(0);
        jo.get("/v2/").expect(200);
    }
}
