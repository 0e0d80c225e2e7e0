//! What was given is taken away: with the very next request, whatever the client holds.

use crate::support::{Answer, Client, TestServer, password_of};

/// Everything that an account can come with.
struct Held {
    basic: Client,
    token: Client,
    refresh: String,
    nobody: Client,
}

impl Held {
    fn by_dev(server: &TestServer) -> Self {
        server.project("acme");
        let basic = server.member("dev", "acme", "developer");
        basic.push("acme/app", "1.0", "an image");
        let body = basic.ask_token("offline_token=true").expect(200).json();
        let held = Self {
            token: basic.with_token("repository:acme/app:pull,push"),
            refresh: body["refresh_token"].as_str().unwrap().to_owned(),
            nobody: server.anonymous(),
            basic,
        };
        // Warm every cache there may be.
        held.basic.get("/v2/acme/app/tags/list").expect(200);
        held.token.get("/v2/acme/app/tags/list").expect(200);
        held.refreshed().expect(200);
        held
    }

    fn refreshed(&self) -> Answer {
        let form = format!("grant_type=refresh_token&refresh_token={}", self.refresh);
        self.nobody.call("POST", "/token").body(form.as_bytes())
    }

    #[track_caller]
    fn token_and_refresh_are_dead(&self) {
        let answer = self.token.get("/v2/acme/app/tags/list");
        answer.refused(401, "UNAUTHORIZED");
        assert!(answer.header("www-authenticate").ends_with(",error=\"invalid_token\""), "{answer}");
        self.refreshed().refused(401, "UNAUTHORIZED");
    }
}

#[test]
fn a_disabled_account_is_out_with_its_next_request() {
    let server = TestServer::start();
    let held = Held::by_dev(&server);

    server.cli(&["user", "disable", "dev"]).expect(0);

    held.basic.get("/v2/").refused(401, "UNAUTHORIZED");
    held.basic.ask_token("service=granary").refused(401, "UNAUTHORIZED");
    held.token_and_refresh_are_dead();
}

#[test]
fn an_account_that_is_enabled_again_has_its_password_but_none_of_its_old_tokens() {
    let server = TestServer::start();
    let held = Held::by_dev(&server);
    server.cli(&["user", "disable", "dev"]).expect(0);

    server.cli(&["user", "enable", "dev"]).expect(0);

    held.basic.get("/v2/acme/app/tags/list").expect(200);
    held.token_and_refresh_are_dead();
}

#[test]
fn a_new_password_ends_the_old_one_and_every_token() {
    let server = TestServer::start();
    let held = Held::by_dev(&server);

    server
        .cli_with(&["user", "passwd", "dev", "--password-stdin"], "another-password")
        .expect(0);

    held.basic.get("/v2/").refused(401, "UNAUTHORIZED");
    held.token_and_refresh_are_dead();
    held.nobody
        .basic("dev", "another-password")
        .get("/v2/acme/app/tags/list")
        .expect(200);
}

#[test]
fn a_role_that_is_taken_away_counts_at_once_whatever_the_token_says() {
    let server = TestServer::start();
    let held = Held::by_dev(&server);

    server.cli(&["project", "grant", "acme", "dev", "viewer"]).expect(0);
    for client in [&held.basic, &held.token] {
        client.get("/v2/acme/app/tags/list").expect(200);
        client.post("/v2/acme/app/blobs/uploads/").refused(403, "DENIED");
    }

    server.cli(&["project", "revoke", "acme", "dev"]).expect(0);
    for client in [&held.basic, &held.token] {
        client.get("/v2/acme/app/tags/list").refused(403, "DENIED");
    }

    server.cli(&["project", "grant", "acme", "dev", "developer"]).expect(0);
    held.token.post("/v2/acme/app/blobs/uploads/").expect(202);
}

#[test]
fn an_upload_begun_with_a_right_does_not_outlive_it() {
    let server = TestServer::start();
    let held = Held::by_dev(&server);
    let session = held.basic.open_session("acme/app");
    session.append(b"half of ").expect(202);
    let digest = crate::support::sha256(b"half of it");

    server.cli(&["project", "revoke", "acme", "dev"]).expect(0);

    session.append(b"it").refused(403, "DENIED");
    session.finish(b"it", &digest).refused(403, "DENIED");
    assert_eq!(server.admin().blob_status("acme/app", &digest), 404);
}

#[test]
fn a_session_survives_the_end_of_the_token_it_was_begun_with() {
    // A push may take longer than a token lives; clients fetch another and go on.
    let server = TestServer::start();
    let held = Held::by_dev(&server);
    let session = held.token.open_session("acme/app");
    session.append(b"half of ").expect(202);
    held.nobody.session_at(&session.location).append(b"it").refused(401, "UNAUTHORIZED");

    let next = held
        .nobody
        .basic("dev", &password_of("dev"))
        .with_token("repository:acme/app:pull,push");

    let digest = crate::support::sha256(b"half of it");
    next.session_at(&session.location).finish(b"it", &digest).expect(201);
}

#[test]
fn an_expired_token_is_told_from_a_forged_one_by_nobody() {
    // What the server knows about why a token is bad is for its log alone.
    let server = TestServer::start();
    let admin = server.admin();
    let token = admin.with_token("repository:acme/app:pull");
    server.cli(&["user", "disable", "admin"]).expect(0);
    let revoked = token.get("/v2/");
    let forged = server.anonymous().bearer("a.b.c").get("/v2/");
    assert_eq!((revoked.status, forged.status), (401, 401));
    assert_eq!(revoked.header("www-authenticate"), forged.header("www-authenticate"));
}
