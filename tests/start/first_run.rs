//! The first start of all, and the second.

use crate::support::{Client, Ran, TestServer, granary, wait_for};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The permission bits of a file or folder.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A server whose operator gave no password.
fn without_password() -> TestServer {
    TestServer::with_environment(Vec::new())
}

/// What the server printed, once the line that ends the greeting is there.
fn greeting(server: &TestServer, last: &str) -> String {
    wait_for("the greeting", || Some(server.printed()).filter(|printed| printed.contains(last)))
}

#[test]
fn the_first_start_says_where_things_are_and_what_to_try() {
    let server = without_password();
    let address = server.address();

    let printed = greeting(&server, "/v2/_catalog");

    assert!(printed.starts_with(&format!("Granary is at http://{address}\n")), "{printed}");
    for line in [
        format!("data in   {}", server.data().display()),
        format!("docker login {address} --username admin"),
        format!("docker push {address}/demo/hello:1.0"),
        format!("helm registry login {address} --plain-http --username admin"),
        format!("echo hello | curl --user admin -T - http://{address}/generic/demo/files/hello.txt"),
        format!("curl --user admin http://{address}/v2/_catalog"),
    ] {
        assert!(printed.contains(&line), "{line} in {printed}");
    }
}

#[test]
fn without_a_terminal_the_password_is_in_a_file_for_its_owner_only_and_it_works() {
    let server = without_password();
    let file = server.data().join("initial-admin-password");
    let printed = greeting(&server, "/v2/_catalog");

    assert!(
        printed.contains(&format!("admin's first password is in   {}", file.display())),
        "{printed}"
    );
    assert_eq!(mode(&file), 0o600);
    let password = std::fs::read_to_string(&file).unwrap();
    let password = password.trim_end();
    assert!(password.len() >= 20, "{password}");

    server.anonymous().basic("admin", password).get("/v2/").expect(200);
    assert!(!printed.contains(password), "standard output may end up in a log");
    assert!(!server.log().contains(password));
}

#[test]
fn no_password_is_known_beforehand() {
    let server = without_password();
    for password in ["admin", "password", "granary", "changeme", "12345678", ""] {
        server.anonymous().basic("admin", password).get("/v2/").refused(401, "UNAUTHORIZED");
    }
}

#[test]
fn two_instances_have_two_passwords() {
    let password = |server: &TestServer| std::fs::read_to_string(server.data().join("initial-admin-password")).unwrap();
    assert_ne!(password(&without_password()), password(&without_password()));
}

#[test]
fn the_second_start_keeps_the_accounts_and_prints_no_password() {
    let server = without_password();
    let file = server.data().join("initial-admin-password");
    let password = std::fs::read_to_string(&file).unwrap().trim_end().to_owned();

    server.anonymous().basic("admin", &password).get("/v2/").expect(200);
    server.restart();

    let printed = greeting(&server, "data in");
    assert!(!printed.contains("password") && !printed.contains("Try:"), "{printed}");
    server.anonymous().basic("admin", &password).get("/v2/").expect(200);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), password);
}

#[test]
fn a_password_from_the_operator_is_taken_and_not_written_down() {
    let secret = "what-the-operator-chose";
    let server = TestServer::with_environment(vec![("GRANARY_ADMIN_PASSWORD".into(), secret.into())]);

    server.anonymous().basic("admin", secret).get("/v2/").expect(200);
    assert!(!server.data().join("initial-admin-password").try_exists().unwrap());
    assert!(!greeting(&server, "/v2/_catalog").contains(secret));
}

#[test]
fn a_password_from_the_operator_may_stand_in_a_file() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "from-a-mounted-secret\n").unwrap();
    let path = secret.path().display().to_string();
    let server = TestServer::with_environment(vec![("GRANARY_ADMIN_PASSWORD_FILE".into(), path)]);

    server.anonymous().basic("admin", "from-a-mounted-secret").get("/v2/").expect(200);
}

#[test]
fn a_password_that_is_too_short_stops_the_first_start_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let mut command = granary(&["--data", &data, "--listen", "127.0.0.1:0"]);
    command.env("GRANARY_ADMIN_PASSWORD", "short");

    let ran = Ran::of(&mut command, "").expect(1);

    assert!(ran.stderr.contains("a password has at least 8 characters"), "{ran:?}");
    assert!(!ran.stderr.contains("short"), "{ran:?}");
}

#[test]
fn the_data_folder_is_for_its_owner_only() {
    let server = TestServer::start();
    let data = server.data();

    assert_eq!(mode(&data), 0o700);
    for inside in ["store", "store/uploads", "store/blobs/sha256/00"] {
        assert_eq!(mode(&data.join(inside)), 0o700, "{inside}");
    }
    assert_eq!(mode(&data.join("granary.sock")), 0o600);
    server.admin().push_blob("acme/app", b"some bytes");
    let blob = server.blob_files(&crate::support::sha256(b"some bytes"));
    let hex = blob[0].split('.').next().unwrap();
    assert_eq!(mode(&data.join("store/blobs/sha256").join(&hex[..2]).join(&blob[0])), 0o600);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let server = TestServer::start();

    let ran = server.cli(&["serve", "--listen", "127.0.0.1:0"]).expect(1);

    assert!(ran.stderr.contains("another granary process uses this data folder"), "{ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    server.admin().get("/v2/").expect(200);
}

#[test]
fn an_address_in_use_is_refused_with_a_sentence() {
    let server = TestServer::start();
    let other = tempfile::tempdir().unwrap();
    let (data, address) = (other.path().join("data").display().to_string(), server.address().to_string());

    let ran = Ran::of(&mut granary(&["--data", &data, "--listen", &address]), "").expect(1);

    assert!(ran.stderr.contains(&format!("cannot listen on {address}")), "{ran:?}");
}

#[test]
fn a_killed_server_starts_again_on_the_same_folder() {
    let server = TestServer::start();
    let image = server.admin().push("acme/app", "1.0", "before the kill");

    server.kill();
    server.start_again();

    assert_eq!(server.admin().tag_digest("acme/app", "1.0"), Some(image.digest()));
}

#[test]
fn nothing_listens_beyond_the_loopback_unless_told_to() {
    let ran = Ran::of(&mut granary(&["config", "show"]), "").expect(0);
    let listen = ran.stdout.lines().find(|line| line.starts_with("server.listen")).unwrap();
    let address: SocketAddr = listen.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(address.ip().is_loopback(), "{listen}");
    // And the address of a server that is told nothing is where it says it is.
    let server = TestServer::start();
    Client::new(Arc::new(Mutex::new(server.address()))).get("/livez").expect(200);
}

#[test]
fn the_data_folder_may_lie_deep() {
    // Deeper than the address of a Unix socket is long.
    let deep = format!("{}/data", "a-folder-with-a-long-name/".repeat(5));
    let server = TestServer::in_folder(&deep, &[]);
    server.admin().get("/v2/").expect(200);
    server.project("acme");
    assert_eq!(
        server.cli(&["project", "list"]).expect(0).stdout,
        "NAME  PUBLIC  MUTABLE_VERSIONS  IMMUTABLE_FILES\nacme  no      no                no\n"
    );
}

#[test]
fn a_data_folder_that_cannot_be_is_refused_with_a_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_path_buf(), file.path().join("below")] {
        let data = path.display().to_string();
        let ran = Ran::of(&mut granary(&["--data", &data, "--listen", "127.0.0.1:0"]), "").expect(1);
        assert!(ran.stderr.contains(&data), "{ran:?}");
    }
}

#[test]
fn without_any_setting_the_data_is_beside_where_the_server_was_started() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let mut command = granary(&["--listen", &address]);

    // It fails at the address, by when the folder is made.
    Ran::of(command.current_dir(folder.path()), "").expect(1);

    assert_eq!(mode(&folder.path().join("granary-data")), 0o700);
}
