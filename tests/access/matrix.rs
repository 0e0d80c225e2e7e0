//! Every route of the formats for everybody: one table of expected answers, tried with passwords and
//! with tokens.

use crate::support::{Answer, Client, Image, Manifest, Session, TestServer, sha256};

/// The callers, in the order of the table's columns.
const CALLERS: [&str; 6] = ["nobody", "outsider", "viewer", "developer", "maintainer", "admin"];

/// Rights that routes need, as rows of expected statuses; `ok` stands for the route's own success.
type Row = [Expected; 6];

#[derive(Clone, Copy)]
enum Expected {
    Ok,
    Unauthorized,
    Denied,
}
use Expected::{Denied, Ok, Unauthorized};

const LOGIN: Row = [Unauthorized, Ok, Ok, Ok, Ok, Ok];
const PULL: Row = [Unauthorized, Denied, Ok, Ok, Ok, Ok];
const PUSH: Row = [Unauthorized, Denied, Denied, Ok, Ok, Ok];
const DELETE: Row = [Unauthorized, Denied, Denied, Denied, Ok, Ok];

/// What one caller finds in a repository of their own: what one of them changes, no other sees.
struct Place {
    name: String,
    /// A repository with a file.
    files: String,
    image: Image,
    /// Uploaded, and in no manifest.
    loose: String,
    other: Manifest,
    /// A session of the caller's own where there can be one.
    session: String,
}

impl Place {
    fn of(caller: &str, client: &Client, admin: &Client) -> Self {
        let name = format!("acme/for-{caller}");
        let image = admin.push(&name, "1.0", caller);
        let other = Image::new(&format!("another of {caller}"));
        admin.push_parts(&name, &other);
        admin.push_manifest(&name, &other.manifest);
        let loose = admin.push_blob(&name, format!("loose, of {caller}").as_bytes());
        admin.push_blob("acme/base", b"to be mounted");
        let files = format!("{name}-files");
        admin
            .call("PUT", &format!("/generic/{files}/1.0/fw.bin"))
            .body(b"the firmware")
            .expect(201);
        let own = client.post(&format!("/v2/{name}/blobs/uploads/"));
        let session = match own.status {
            202 => own.header("location").to_owned(),
            _ => admin.open_session(&name).location,
        };
        Self {
            other: other.manifest,
            name,
            files,
            image,
            loose,
            session,
        }
    }

    fn call(&self, client: &Client, method: &str, rest: &str) -> Answer {
        client.call(method, &format!("/v2/{}/{rest}", self.name)).send()
    }

    fn file(&self, client: &Client, method: &str, rest: &str) -> Answer {
        client.call(method, &format!("/generic/{}/{rest}", self.files)).send()
    }

    fn session<'c>(&self, client: &'c Client) -> Session<'c> {
        client.session_at(&self.session)
    }
}

/// A route: its name, what it needs, its success, and how it is asked.
type Route = (&'static str, Row, u16, fn(&Place, &Client) -> Answer);

/// All of them; those that destroy stand last, so that the others find what they need.
const ROUTES: &[Route] = &[
    ("base", LOGIN, 200, |_, client| client.get("/v2/")),
    ("base, HEAD", LOGIN, 200, |_, client| client.head("/v2/")),
    ("base without a slash", LOGIN, 200, |_, client| client.get("/v2")),
    ("catalog", LOGIN, 200, |_, client| client.get("/v2/_catalog")),
    ("tags", PULL, 200, |place, client| place.call(client, "GET", "tags/list")),
    ("tags, HEAD", PULL, 200, |place, client| place.call(client, "HEAD", "tags/list")),
    ("manifest by tag", PULL, 200, |place, client| {
        place.call(client, "GET", "manifests/1.0")
    }),
    ("manifest by tag, HEAD", PULL, 200, |place, client| {
        place.call(client, "HEAD", "manifests/1.0")
    }),
    ("manifest by digest", PULL, 200, |place, client| {
        place.call(client, "GET", &format!("manifests/{}", place.image.digest()))
    }),
    ("manifest that is not there", PULL, 404, |place, client| {
        place.call(client, "GET", "manifests/2.0")
    }),
    ("blob", PULL, 200, |place, client| {
        place.call(client, "GET", &format!("blobs/{}", sha256(&place.image.layer)))
    }),
    ("blob, HEAD", PULL, 200, |place, client| {
        place.call(client, "HEAD", &format!("blobs/{}", sha256(&place.image.layer)))
    }),
    ("blob that is not there", PULL, 404, |place, client| {
        place.call(client, "GET", &format!("blobs/{}", sha256(b"not there")))
    }),
    ("part of a blob", PULL, 206, |place, client| {
        let path = format!("/v2/{}/blobs/{}", place.name, sha256(&place.image.layer));
        client.call("GET", &path).header("Range", "bytes=0-3").send()
    }),
    ("referrers", PULL, 200, |place, client| {
        place.call(client, "GET", &format!("referrers/{}", place.image.digest()))
    }),
    ("start of an upload", PUSH, 202, |place, client| {
        place.call(client, "POST", "blobs/uploads/")
    }),
    ("start of an upload without a slash", PUSH, 202, |place, client| {
        place.call(client, "POST", "blobs/uploads")
    }),
    ("upload in one request", PUSH, 201, |place, client| {
        let digest = sha256(b"in one request");
        client
            .call("POST", &format!("/v2/{}/blobs/uploads/?digest={digest}", place.name))
            .body(b"in one request")
    }),
    ("mount", PUSH, 201, |place, client| {
        let digest = sha256(b"to be mounted");
        place.call(client, "POST", &format!("blobs/uploads/?mount={digest}&from=acme/base"))
    }),
    ("mount without a source", PUSH, 201, |place, client| {
        place.call(client, "POST", &format!("blobs/uploads/?mount={}", sha256(b"to be mounted")))
    }),
    ("upload status", PUSH, 204, |place, client| place.session(client).status()),
    ("append", PUSH, 202, |place, client| place.session(client).append(b"some")),
    ("append at an offset", PUSH, 202, |place, client| {
        place.session(client).chunk(4, b" bytes")
    }),
    ("finish", PUSH, 201, |place, client| {
        place.session(client).finish(b"", &sha256(b"some bytes"))
    }),
    ("cancel", PUSH, 204, |place, client| {
        let own = client.post(&format!("/v2/{}/blobs/uploads/", place.name));
        let session = own.find("location").unwrap_or(&place.session).to_owned();
        client.delete(&session)
    }),
    ("manifest under a new tag", PUSH, 201, |place, client| {
        client.put_manifest(&place.name, "new", &place.image.manifest)
    }),
    ("manifest under a tag that moves", PUSH, 201, |place, client| {
        client.put_manifest(&place.name, "1.0", &place.other)
    }),
    ("manifest by its digest", PUSH, 201, |place, client| {
        client.put_manifest(&place.name, &place.other.digest(), &place.other)
    }),
    ("manifest by its digest with tags", PUSH, 201, |place, client| {
        client.put_manifest(&place.name, &format!("{}?tag=a&tag=b", place.other.digest()), &place.other)
    }),
    ("file", PULL, 200, |place, client| place.file(client, "GET", "1.0/fw.bin")),
    ("file, HEAD", PULL, 200, |place, client| place.file(client, "HEAD", "1.0/fw.bin")),
    ("file that is not there", PULL, 404, |place, client| {
        place.file(client, "GET", "1.0/absent")
    }),
    ("checksum of a file", PULL, 200, |place, client| {
        place.file(client, "GET", "1.0/fw.bin.sha256")
    }),
    ("folder", PULL, 200, |place, client| place.file(client, "GET", "1.0/")),
    ("all files", PULL, 200, |place, client| place.file(client, "GET", "")),
    ("new file", PUSH, 201, |place, client| {
        client.call("PUT", &format!("/generic/{}/1.1/fw.bin", place.files)).body(b"newer")
    }),
    ("file in another's place", PUSH, 200, |place, client| {
        client.call("PUT", &format!("/generic/{}/1.0/fw.bin", place.files)).body(b"other")
    }),
    ("removal of a file", DELETE, 204, |place, client| {
        place.file(client, "DELETE", "1.0/fw.bin")
    }),
    ("removal of a blob", DELETE, 202, |place, client| {
        place.call(client, "DELETE", &format!("blobs/{}", place.loose))
    }),
    ("removal of a tag", DELETE, 202, |place, client| {
        place.call(client, "DELETE", "manifests/1.0")
    }),
    ("removal of a manifest", DELETE, 202, |place, client| {
        place.call(client, "DELETE", &format!("manifests/{}", place.image.digest()))
    }),
];

/// Goes through the table. `dress` gives a caller what they call with.
fn walk(server: &TestServer, dress: impl Fn(&Client, &Place) -> Client, login_by_token: bool) {
    server.project("acme");
    let admin = server.admin();
    let clients = [
        server.anonymous(),
        server.account("outsider"),
        server.member("viewer", "acme", "viewer"),
        server.member("developer", "acme", "developer"),
        server.member("maintainer", "acme", "maintainer"),
        server.admin(),
    ];
    for (column, (caller, client)) in CALLERS.iter().zip(&clients).enumerate() {
        let place = Place::of(caller, client, &admin);
        let dressed = dress(client, &place);
        let before = state(&admin, &place);
        let mut changed = false;
        for (name, row, success, ask) in ROUTES {
            let answer = ask(&place, &dressed);
            // A token that says "nobody" is a login of a kind, though one that reaches nothing.
            let by_nobody = login_by_token && column == 0 && matches!(*name, "base" | "base, HEAD" | "base without a slash" | "catalog");
            let expected = match row[column] {
                Unauthorized if !by_nobody => 401,
                Denied => 403,
                _ => *success,
            };
            assert_eq!(answer.status, expected, "{name} for {caller}: {answer}");
            changed |= answer.status < 300 && !matches!(answer.asked.split(' ').next(), Some("GET" | "HEAD"));
        }
        if !changed {
            assert_eq!(state(&admin, &place), before, "{caller} may change nothing and has");
        }
    }
}

/// What there is to see of a place.
fn state(admin: &Client, place: &Place) -> String {
    let tags = admin.get(&format!("/v2/{}/tags/list", place.name)).text();
    let upload = admin.get(&place.session).find("range").map(str::to_owned);
    let blobs = [&place.loose, &sha256(b"in one request"), &sha256(b"to be mounted")].map(|digest| admin.blob_status(&place.name, digest));
    let tagged = admin.tag_digest(&place.name, "1.0");
    let files = ["", "1.0/", "1.0/fw.bin"].map(|path| place.file(admin, "GET", path).text());
    format!("{tags} {upload:?} {blobs:?} {tagged:?} {files:?}")
}

#[test]
fn every_route_answers_everybody_by_role_with_a_password() {
    let server = TestServer::start();
    walk(&server, |client, _| client.clone(), false);
}

#[test]
fn every_route_answers_everybody_by_role_with_a_token_that_asks_for_everything() {
    let server = TestServer::start();
    let everything = |client: &Client, place: &Place| {
        let name = &place.name;
        client.with_token(&format!(
            "repository:{name}:pull,push,delete repository:{}:pull,push,delete repository:acme/base:pull registry:catalog:*",
            place.files
        ))
    };
    walk(&server, everything, true);
}

#[test]
fn a_token_narrows_even_the_administrator() {
    let server = TestServer::start();
    let admin = server.admin();
    let place = Place::of("admin", &admin, &admin);
    let before = state(&admin, &place);
    let pull = admin.with_token(&format!("repository:{}:pull repository:{}:pull", place.name, place.files));
    for (name, row, success, ask) in ROUTES {
        let expected = match (row[2], *name) {
            (_, "catalog") => 401,
            // The viewer's column: a token for pulling makes a viewer of anybody.
            (Ok, _) => *success,
            _ => 401,
        };
        let answer = ask(&place, &pull);
        assert_eq!(answer.status, expected, "{name}: {answer}");
    }
    assert_eq!(state(&admin, &place), before);
}

#[test]
fn a_role_in_one_project_is_none_in_another() {
    let server = TestServer::start();
    let admin = server.admin();
    for project in ["acme", "other"] {
        server.project(project);
    }
    let dev = server.member("dev", "acme", "maintainer");
    let place = Place {
        name: "other/app".into(),
        files: "other/files".into(),
        ..Place::of("stranger", &admin, &admin)
    };
    admin.push_image("other/app", "1.0", &place.image);
    for (name, row, success, ask) in ROUTES {
        // Sessions and mounts of the place stand in acme; what counts is the repository in the path.
        if place.session.contains("acme") && matches!(*name, "upload status" | "append" | "append at an offset" | "finish") {
            continue;
        }
        let expected = if matches!(row[1], Ok) { *success } else { 403 };
        let answer = ask(&place, &dev);
        assert!(
            answer.status == expected || (*name == "cancel" && answer.status == 404),
            "{name}: {answer}"
        );
    }
}
