//! Settings: where they come from, which wins, and what is said about mistakes.

use crate::support::{Ran, granary};
use std::path::PathBuf;
use tempfile::TempDir;

/// A configuration file of this text.
fn file(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("granary.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

/// Runs a command that only looks at the configuration, with an environment.
fn look(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = granary(arguments);
    Ran::of(command.envs(environment.iter().copied()), "")
}

/// The value and the origin that `config show --origin` gives for a key.
fn shown(ran: &Ran, key: &str) -> (String, String) {
    let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap();
    let text = |field: &str| row[field].as_str().unwrap().to_owned();
    (text("value"), text("origin"))
}

#[test]
fn a_key_that_does_not_exist_is_refused_with_the_one_that_was_meant() {
    let (_folder, path) = file("[server]\nlisten_on = \"127.0.0.1:0\"\n");

    let ran = look(&["serve", "--config", &path], &[]).expect(2);

    assert_eq!(
        ran.stderr,
        format!("{path}: there is no setting server.listen_on; did you mean server.listen?\n")
    );
    assert!(ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn a_variable_that_does_not_exist_is_refused_with_the_one_that_was_meant() {
    let ran = look(&["config", "check"], &[("GRANARY_STORAGE__PAHT", "/tmp")]).expect(2);

    assert_eq!(
        ran.stderr,
        "there is no setting for GRANARY_STORAGE__PAHT; did you mean GRANARY_STORAGE__PATH?\n"
    );
}

#[test]
fn every_mistake_is_named_at_once_with_its_key_value_origin_and_rule() {
    let (_folder, path) = file("[limits]\nmanifest_bytes = \"4 megs\"\n[auth]\nanonymous = \"perhaps\"\n");
    let environment = [("GRANARY_AUTH__TOKEN_LIFETIME", "1s"), ("GRANARY_SERVER__LISTEN", "everywhere")];

    let ran = look(&["config", "check", "--config", &path], &environment).expect(2);

    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{ran:?}");
    for (key, rest) in [
        (
            "server.listen",
            "\"everywhere\" (env GRANARY_SERVER__LISTEN): must be an address and a port",
        ),
        (
            "auth.token_lifetime",
            "\"1s\" (env GRANARY_AUTH__TOKEN_LIFETIME): must be between 60s and 1h",
        ),
        ("auth.anonymous", "must be true or false"),
        ("limits.manifest_bytes", "must be a number of bytes, or a number with a unit"),
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(key) && line.contains(rest)),
            "{key} in {ran:?}"
        );
    }
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let (_folder, path) = file("[server]\nlisten = \"127.0.0.1:1\"\nworkers = 3\n[storage]\npath = \"/from/the/file\"\n");
    let environment = [
        ("GRANARY_SERVER__LISTEN", "127.0.0.1:2"),
        ("GRANARY_STORAGE__PATH", "/from/the/environment"),
    ];
    let arguments = [
        "config",
        "show",
        "--origin",
        "--output",
        "json",
        "--config",
        &path,
        "--listen",
        "127.0.0.1:3",
    ];

    let ran = look(&arguments, &environment).expect(0);

    assert_eq!(shown(&ran, "server.listen"), ("127.0.0.1:3".into(), "flag --listen".into()));
    assert_eq!(
        shown(&ran, "storage.path"),
        ("/from/the/environment".into(), "env GRANARY_STORAGE__PATH".into())
    );
    assert_eq!(shown(&ran, "server.workers"), ("3".into(), format!("file {path}")));
    assert_eq!(shown(&ran, "auth.service"), ("granary".into(), "default".into()));
}

#[test]
fn a_secret_is_never_shown_not_even_when_it_is_wrong() {
    let secret = "postgres://granary:hunter2@db/granary";
    let ran = look(&["config", "show", "--origin"], &[("GRANARY_DATABASE__URL", secret)]).expect(0);
    assert!(ran.stdout.contains("(secret)") && !ran.stdout.contains("hunter2"), "{ran:?}");

    let ran = look(
        &["config", "check"],
        &[("GRANARY_DATABASE__URL", "mysql://granary:hunter2@db/granary")],
    )
    .expect(2);
    assert!(
        ran.stderr.contains("must begin with postgres://") && !ran.stderr.contains("hunter2"),
        "{ran:?}"
    );
}

#[test]
fn a_secret_may_stand_in_a_file_that_a_variable_names() {
    let (_folder, path) = file("postgres://granary:hunter2@db/granary\n");
    let ran = look(
        &["config", "show", "--origin", "--output", "json"],
        &[("GRANARY_DATABASE__URL_FILE", &path)],
    )
    .expect(0);
    assert_eq!(
        shown(&ran, "database.url"),
        ("(secret)".into(), "env GRANARY_DATABASE__URL_FILE".into())
    );
    assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
}

#[test]
fn the_default_configuration_is_a_file_that_changes_nothing() {
    let defaults = look(&["config", "default"], &[]).expect(0).stdout;
    let (_folder, path) = file(&defaults);

    look(&["config", "check", "--config", &path], &[]).expect(0);

    let values = |ran: Ran| ran.expect(0).stdout;
    assert_eq!(
        values(look(&["config", "show", "--config", &path], &[])),
        values(look(&["config", "show"], &[]))
    );
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_a_mistake_of_usage() {
    let ran = look(&["serve", "--config", "/nowhere/granary.toml"], &[]).expect(2);
    assert!(ran.stderr.starts_with("/nowhere/granary.toml: "), "{ran:?}");

    let (_folder, path) = file("[server\nlisten = ");
    let ran = look(&["serve", "--config", &path], &[]).expect(2);
    assert!(ran.stderr.starts_with(&path), "{ran:?}");
}

#[test]
fn a_log_level_that_cannot_be_read_is_a_mistake_of_usage() {
    let ran = look(&["config", "check"], &[("GRANARY_LOG__LEVEL", "granary=loud")]).expect(2);
    assert!(ran.stderr.contains("log.level"), "{ran:?}");
}

#[test]
fn a_command_line_that_is_not_understood_is_a_mistake_of_usage() {
    for arguments in [
        &["nonsense"][..],
        &["--default"],
        &["user", "create", "ci"],
        &["user", "create", "ci", "a-password-on-the-line"],
        &["project", "grant", "acme"],
        &["user", "list", "--output", "yaml"],
    ] {
        let ran = look(arguments, &[]).expect(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{arguments:?} {ran:?}");
    }
}
