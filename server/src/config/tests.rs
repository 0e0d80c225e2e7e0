//! What an operator writes, and what comes of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::load::load;
use super::*;

fn with(flags: &Flags, env: &[(&str, &str)], file: &str) -> Result<Loaded, Vec<String>> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(flags, env, Some(&(PathBuf::from("granary.toml"), file.to_owned())))
}

fn origin_of(loaded: &Loaded, key: &str) -> (String, String) {
    let row = loaded.show(true).into_iter().find(|row| row[0] == key).unwrap();
    (row[1].clone(), row[2].clone())
}

#[test]
fn the_defaults_are_valid_and_every_setting_is_read() {
    let loaded = with(&Flags::default(), &[], "").unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(loaded.config.limits.manifest_bytes, 4 * 1024 * 1024);
    // A setting that no struct reads would take any nonsense; each must refuse something or be free text.
    let free = ["storage.path", "tls.cert", "tls.key"];
    for setting in settings::SETTINGS.iter().filter(|setting| !free.contains(&setting.key)) {
        let variable = format!("GRANARY_{}", setting.key.to_ascii_uppercase().replacen('.', "__", 1));
        let nonsense = with(&Flags::default(), &[(&variable, "\" non sense")], "");
        assert!(nonsense.is_err(), "{} takes nonsense", setting.key);
    }
}

#[test]
fn the_default_file_is_the_defaults() {
    let loaded = with(&Flags::default(), &[], &default_toml()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let defaults = with(&Flags::default(), &[], "").unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(loaded.show(false), defaults.show(false));
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file() {
    let file = "[server]\nlisten = \"1.1.1.1:1\"\nworkers = 3\n[storage]\npath = \"/file\"";
    let env = [("GRANARY_SERVER__LISTEN", "2.2.2.2:2"), ("GRANARY_STORAGE__PATH", "/env")];
    let flags = Flags {
        listen: Some("3.3.3.3:3".into()),
        ..Flags::default()
    };
    let loaded = with(&flags, &env, file).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(origin_of(&loaded, "server.listen"), ("3.3.3.3:3".into(), "flag --listen".into()));
    assert_eq!(
        origin_of(&loaded, "storage.path"),
        ("/env".into(), "env GRANARY_STORAGE__PATH".into())
    );
    assert_eq!(origin_of(&loaded, "server.workers"), ("3".into(), "file granary.toml".into()));
}

#[test]
fn a_misspelt_key_is_refused_with_the_likely_one() {
    let problems = with(&Flags::default(), &[("GRANARY_LIMITS__BLOB_BYTE", "1")], "[server]\nlistne = \"x\"")
        .err()
        .unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("granary.toml") && problems[0].contains("did you mean server.listen?"),
        "{problems:?}"
    );
    assert!(problems[1].contains("did you mean GRANARY_LIMITS__BLOB_BYTES?"), "{problems:?}");
}

#[test]
fn every_problem_is_told_at_once_with_key_value_and_origin() {
    let file = "[auth]\ntoken_lifetime = \"5\"\nanonymous = \"maybe\"\n[limits]\npage_max = 0";
    let problems = with(&Flags::default(), &[], file).err().unwrap();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems[0].contains("auth.token_lifetime = \"5\" (file granary.toml)"),
        "{problems:?}"
    );
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "postgres://u:hidden@h/d\n").unwrap();
    let loaded = with(&Flags::default(), &[("GRANARY_DATABASE__URL_FILE", path.to_str().unwrap())], "");
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(loaded.config.database.url, "postgres://u:hidden@h/d");
    assert_eq!(origin_of(&loaded, "database.url").0, "(secret)");
    assert!(!format!("{:?}", loaded.config).contains("hidden"));
    let problems = with(&Flags::default(), &[("GRANARY_DATABASE__URL", "mysql://u:hidden@h/d")], "")
        .err()
        .unwrap();
    assert!(problems.iter().all(|problem| !problem.contains("hidden")), "{problems:?}");
}

#[test]
fn proxies_are_trusted_by_address_and_network() {
    let loaded = with(&Flags::default(), &[], "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]");
    let server = loaded.unwrap_or_else(|problems| panic!("{problems:?}")).config.server;
    for (address, trusted) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("11.0.0.1", false),
        ("::1", true),
        ("::2", false),
    ] {
        assert_eq!(server.trusts(address.parse().unwrap()), trusted, "{address}");
    }
}

#[test]
fn the_page_of_limits_is_current() {
    let page = include_str!("../../../docs/limits.md");
    assert!(
        page == limits_page(),
        "docs/limits.md is stale: run `granary config limits > docs/limits.md`"
    );
}
