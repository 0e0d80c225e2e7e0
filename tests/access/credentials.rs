//! Names and passwords.

use crate::support::{Client, TestServer, password_of};

#[test]
fn a_name_and_a_password_open_every_door_that_the_role_opens() {
    // skopeo, curl and helm send them on every request and never ask for a token.
    let server = TestServer::start();
    server.project("acme");
    let dev = server.member("dev", "acme", "developer");

    dev.get("/v2/").expect(200);
    let image = dev.push("acme/app", "1.0", "an image");
    dev.get("/v2/acme/app/manifests/1.0").expect(200);
    dev.get("/v2/acme/app/tags/list").expect(200);
    dev.get("/v2/_catalog").expect(200);
    dev.get(&format!("/v2/acme/app/referrers/{}", image.digest())).expect(200);
}

#[test]
fn the_answer_to_a_wrong_name_is_that_to_a_wrong_password_and_to_a_disabled_account() {
    let server = TestServer::start();
    server.account("jo");
    server.account("gone");
    server.cli(&["user", "disable", "gone"]).expect(0);
    let nobody = server.anonymous();
    let wrong = [
        nobody.basic("jo", "not the password"),
        nobody.basic("nobody-of-that-name", "not the password"),
        nobody.basic("gone", &password_of("gone")),
        nobody.basic("jo", ""),
        nobody.basic("", &password_of("jo")),
        nobody.basic("jo", &"x".repeat(5000)),
        nobody.basic("JO", &password_of("jo")),
        nobody.basic("jo' OR '1'='1", &password_of("jo")),
    ];

    let told: Vec<_> = wrong.iter().map(|client| client.get("/v2/").fingerprint()).collect();

    assert_eq!(told[0].0, 401);
    assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
}

#[test]
fn the_first_colon_ends_the_name_and_the_password_may_hold_more() {
    let server = TestServer::start();
    server
        .cli_with(&["user", "create", "jo", "--password-stdin"], "with:colons:in:it")
        .expect(0);
    server.anonymous().basic("jo", "with:colons:in:it").get("/v2/").expect(200);
}

#[test]
fn schemes_are_compared_without_regard_to_case() {
    let server = TestServer::start();
    let value = server.admin().authorization().unwrap().replacen("Basic", "bAsIc", 1);
    server.anonymous().authorized(value).get("/v2/").expect(200);
}

#[test]
fn many_at_once_with_the_same_password_are_all_let_in_and_a_wrong_one_among_them_is_not() {
    let server = TestServer::start();
    let right = server.account("ci");
    let wrong = server.anonymous().basic("ci", "not the password");
    let status = |client: &Client| client.get("/v2/").status;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..24)
            .map(|number| {
                let client = if number % 3 == 0 { &wrong } else { &right };
                scope.spawn(move || status(client))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, status) in statuses.into_iter().enumerate() {
        assert_eq!(status, if number % 3 == 0 { 401 } else { 200 }, "{number}");
    }
}
