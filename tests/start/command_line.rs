//! Accounts and projects from the command line, through a running server and on a stopped store.

use crate::support::{Ran, TestServer, granary};
use serde_json::{Value, json};

/// What a command prints as JSON.
fn output(ran: Ran) -> Value {
    let ran = ran.expect(0);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in {ran:?}"))
}

/// The administrator's whole day, by command line. The same must work on both roads to the store.
fn manage(server: &TestServer) {
    let ran = server
        .cli_with(&["user", "create", "jo", "--password-stdin"], "first-password\n")
        .expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "created account jo\n"));
    server.cli(&["project", "create", "acme", "--public"]).expect(0);
    server.cli(&["project", "grant", "acme", "jo", "maintainer"]).expect(0);

    assert_eq!(
        output(server.cli(&["user", "list", "--output", "json"])),
        json!([
            {"name": "admin", "admin": "yes", "state": "enabled"},
            {"name": "jo", "admin": "no", "state": "enabled"},
        ])
    );
    assert_eq!(
        output(server.cli(&["project", "list", "--output", "json"])),
        json!([{"name": "acme", "public": "yes", "mutable_versions": "no", "immutable_files": "no"}])
    );
    assert_eq!(
        output(server.cli(&["project", "members", "acme", "--output", "json"])),
        json!([{"account": "jo", "role": "maintainer"}])
    );

    server.cli(&["project", "public", "acme", "off"]).expect(0);
    server.cli(&["user", "disable", "jo"]).expect(0);
    let table = server.cli(&["user", "list"]).expect(0);
    assert_eq!(table.stdout, "NAME   ADMIN  STATE\nadmin  yes    enabled\njo     no     disabled\n");
    server.cli(&["user", "enable", "jo"]).expect(0);
    server.cli(&["project", "revoke", "acme", "jo"]).expect(0);
    let set = ["project", "set", "acme", "--mutable-versions", "on", "--immutable-files", "on"];
    assert_eq!(
        server.cli(&set).expect(0).stderr,
        "published versions in project acme now may be replaced by force\nfiles in project acme now keep their content\n"
    );
    let nothing = server.cli(&["project", "set", "acme"]).expect(2);
    assert!(nothing.stderr.contains("--immutable-files"), "{}", nothing.stderr);
    assert_eq!(output(server.cli(&["project", "members", "acme", "--output", "json"])), json!([]));
    server
        .cli_with(&["user", "passwd", "jo", "--password-stdin"], "second-password")
        .expect(0);
    assert_eq!(
        output(server.cli(&["project", "list", "--output", "json"])),
        json!([{"name": "acme", "public": "no", "mutable_versions": "yes", "immutable_files": "yes"}])
    );
}

#[test]
fn accounts_and_projects_are_managed_through_the_running_server() {
    let server = TestServer::start();
    manage(&server);
    let nobody = server.anonymous();
    nobody.basic("jo", "second-password").get("/v2/").expect(200);
    nobody.basic("jo", "first-password").get("/v2/").refused(401, "UNAUTHORIZED");
}

#[test]
fn accounts_and_projects_are_managed_on_a_stopped_store() {
    let server = TestServer::start();
    server.admin().get("/v2/").expect(200);
    server.stop();
    manage(&server);
    server.start_again();
    server.anonymous().basic("jo", "second-password").get("/v2/").expect(200);
}

#[test]
fn a_killed_servers_socket_does_not_stand_in_the_way() {
    let server = TestServer::start();
    server.kill();
    assert!(server.data().join("granary.sock").try_exists().unwrap());
    server.cli(&["project", "create", "acme"]).expect(0);
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence_and_changes_nothing() {
    let server = TestServer::start();
    server.project("acme");
    let users = server.cli(&["user", "list"]).expect(0).stdout;
    for (arguments, input, sentence) in [
        (
            &["user", "create", "admin", "--password-stdin"][..],
            "long-enough",
            "the account admin exists already",
        ),
        (
            &["user", "create", "jo", "--password-stdin"],
            "short",
            "a password has at least 8 characters",
        ),
        (
            &["user", "create", "Jo", "--password-stdin"],
            "long-enough",
            "an account name is at most 128 lower-case letters",
        ),
        (
            &["user", "create", "anonymous", "--password-stdin"],
            "long-enough",
            "'anonymous' stands for nobody",
        ),
        (
            &["user", "passwd", "nobody", "--password-stdin"],
            "long-enough",
            "there is no account nobody",
        ),
        (&["user", "disable", "nobody"], "", "there is no account nobody"),
        (&["project", "create", "acme"], "", "the project acme exists already"),
        (
            &["project", "create", "acme/api"],
            "",
            "a project name is lower-case letters and digits",
        ),
        (&["project", "grant", "acme", "nobody", "viewer"], "", "there is no account nobody"),
        (
            &["project", "grant", "nowhere", "admin", "viewer"],
            "",
            "there is no project nowhere",
        ),
        (&["project", "grant", "acme", "admin", "king"], "", "king"),
        (&["project", "revoke", "acme", "admin"], "", "admin has no role in acme"),
        (&["project", "members", "nowhere"], "", "there is no project nowhere"),
    ] {
        let ran = server.cli_with(arguments, input).expect(1);
        assert!(ran.stderr.contains(sentence) && ran.stdout.is_empty(), "{arguments:?} {ran:?}");
    }
    assert_eq!(server.cli(&["user", "list"]).expect(0).stdout, users);
    assert_eq!(
        server.cli(&["project", "list"]).expect(0).stdout,
        "NAME  PUBLIC  MUTABLE_VERSIONS  IMMUTABLE_FILES\nacme  no      no                no\n"
    );
}

#[test]
fn a_password_may_end_with_a_line_and_hold_anything_else() {
    let server = TestServer::start();
    let password = " ünï cödé: with spaces and a colon ";
    server
        .cli_with(&["user", "create", "jo", "--password-stdin"], &format!("{password}\r\n"))
        .expect(0);
    server.anonymous().basic("jo", password).get("/v2/").expect(200);
    server
        .anonymous()
        .basic("jo", password.trim())
        .get("/v2/")
        .refused(401, "UNAUTHORIZED");
}

#[test]
fn without_a_data_folder_there_is_nothing_to_manage() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");

    let ran = Ran::of(&mut granary(&["user", "list", "--data", &data.display().to_string()]), "").expect(1);

    assert!(ran.stderr.contains("there is no data folder"), "{ran:?}");
    assert!(!data.try_exists().unwrap(), "a command that failed made a folder");
}

#[test]
fn scripts_can_ask_for_the_version_and_for_completions() {
    let version = Ran::of(&mut granary(&["version"]), "").expect(0).stdout;
    assert_eq!(version, format!("granary {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let script = Ran::of(&mut granary(&["completions", shell]), "").expect(0).stdout;
        assert!(script.contains("granary"), "{shell}");
    }
    let help = Ran::of(&mut granary(&["--help"]), "").expect(0).stdout;
    assert!(help.contains("Usage: granary"), "{help}");
}
