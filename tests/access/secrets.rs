//! Secrets are in no log and in no file in the clear, however much is logged.

use crate::support::TestServer;
use std::path::Path;

/// Whether any file under `folder` holds `secret`.
fn holds(folder: &Path, secret: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            holds(&entry.path(), secret)
        } else {
            kind.is_file() && String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(secret)
        }
    })
}

#[test]
fn passwords_and_tokens_are_in_no_log_and_in_no_file() {
    let server = TestServer::with(&[("log.level", "debug")]);
    server.project("acme");
    let password = "a-canary-among-passwords";
    server.cli_with(&["user", "create", "dev", "--password-stdin"], password).expect(0);
    server.cli(&["project", "grant", "acme", "dev", "developer"]).expect(0);
    let dev = server.anonymous().basic("dev", password);
    dev.push("acme/app", "1.0", "an image");
    let body = dev
        .ask_token("offline_token=true&scope=repository:acme/app:pull")
        .expect(200)
        .json();
    let (token, refresh) = (body["token"].as_str().unwrap(), body["refresh_token"].as_str().unwrap());
    dev.bearer(token).get("/v2/acme/app/tags/list").expect(200);
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    dev.call("POST", "/token").body(form.as_bytes()).expect(200);
    // Refusals are what gets logged with their reasons.
    let wrong = "another-canary-among-passwords";
    server.anonymous().basic("dev", wrong).get("/v2/").refused(401, "UNAUTHORIZED");
    dev.bearer(&format!("{token}x")).get("/v2/").refused(401, "UNAUTHORIZED");
    dev.call("POST", "/token")
        .body(format!("{form}x").as_bytes())
        .refused(401, "UNAUTHORIZED");
    server.cli_with(&["user", "passwd", "dev", "--password-stdin"], wrong).expect(0);
    server.stop();

    let log = server.log();
    assert!(log.contains("request refused"), "the log is not the one that was asked for: {log}");
    let basic = dev.authorization().unwrap().trim_start_matches("Basic ");
    for secret in [password, wrong, basic, token, token.rsplit('.').next().unwrap(), refresh] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!holds(&server.data(), secret), "{secret} is in a file");
    }
}

#[test]
fn what_a_client_writes_cannot_forge_a_line_of_the_log() {
    let server = TestServer::with(&[("log.level", "debug")]);
    let admin = server.admin();
    admin
        .get("/v2/acme/a%0A%7B%22level%22:%22ERROR%22%7D/tags/list")
        .refused(400, "NAME_INVALID");
    admin.get("/v2/acme/app/manifests/%1B%5B31mred").refused(404, "MANIFEST_UNKNOWN");
    server.stop();

    for line in server.log().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["timestamp"].is_string(), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}
