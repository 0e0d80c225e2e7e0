//! Chart.yaml as Helm reads it, and as a stranger may write it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::Metadata;
use super::tests::chart_yaml;
use granary_storage::Result;
use granary_storage::limits::Limits;
use proptest::prelude::*;

fn metadata(more: &str) -> Result<Metadata> {
    Metadata::read(chart_yaml("web", "1.2.3", more).as_bytes(), &Limits::default())
}

#[test]
fn yaml_that_a_stranger_nests_or_repeats_is_refused() {
    let why = |yaml: &str| Metadata::read(yaml.as_bytes(), &Limits::default()).unwrap_err().to_string();
    // What can be told in one line the scanner itself stops first.
    assert!(why(&"[".repeat(100_000)).contains("recursion limit"));
    assert!(why(&"{a: ".repeat(100_000)).contains("recursion limit"));
    assert!(why(&"[".repeat(100)).contains("levels deep"));
    assert!(why(&"- ".repeat(100_000)).contains("levels deep"));
    let lines: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(why(&lines).contains("levels deep"));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let alias = format!("*a{},", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{alias}]\n");
    }
    assert!(why(&bomb).contains("with its aliases resolved"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));
    assert!(why(&long).contains("with its aliases resolved"));
    assert!(why("a: &a [*a]\n").contains("part of"));
    assert!(why("a: *b\n").contains("not valid YAML"));
    assert!(why("a: 1\na: 2\n").contains("stands twice"));
    assert!(why("a: &a {b: c}\n<<: *a\n").contains("merge key"));
    assert!(why("[a]: b\n").contains("key that is no text"));
    assert!(why("a: !!binary abc\n").contains("the tag binary"));
    assert!(why("a: [\n").contains("not valid YAML"));
    for nothing in ["", "# only a remark\n", "---\n..."] {
        assert!(!why(nothing).is_empty(), "{nothing:?}");
    }
    assert!(why("just text").contains("no mapping"));
    assert!(
        Metadata::read(b"a: \xff", &Limits::default())
            .unwrap_err()
            .to_string()
            .contains("UTF-8")
    );
}

#[test]
fn every_fault_of_a_chart_yaml_has_a_sentence() {
    let why = |yaml: &str| Metadata::read(yaml.as_bytes(), &Limits::default()).unwrap_err().to_string();
    for (yaml, sentence) in [
        ("name: web\nversion: 1.0.0\n", "no apiVersion"),
        ("apiVersion: v9\nname: web\nversion: 1.0.0\n", "apiVersion in Chart.yaml is v9"),
        ("apiVersion: v2\nversion: 1.0.0\n", "no name"),
        ("apiVersion: v2\nname: Web\nversion: 1.0.0\n", "the chart's name, \"Web\""),
        ("apiVersion: v2\nname: a/b\nversion: 1.0.0\n", "the chart's name"),
        ("apiVersion: v2\nname: ..\nversion: 1.0.0\n", "the chart's name"),
        ("apiVersion: v2\nname: web\n", "no version"),
        ("apiVersion: v2\nname: web\nversion: latest\n", "the chart's version, \"latest\""),
        ("apiVersion: v2\nname: web\nversion: 1.10\n", "without them 1.10 means 1.1"),
        ("apiVersion: v2\nname: yes\nversion: 1.0.0\n", "without them yes means true"),
        ("apiVersion: v2\nname: [web]\nversion: 1.0.0\n", "name in Chart.yaml must be text"),
    ] {
        assert!(why(yaml).contains(sentence), "{yaml}: {}", why(yaml));
    }
    for (more, sentence) in [
        ("type: plugin\n", "must be application or library"),
        ("maintainers: [~]\n", "a maintainer in Chart.yaml is empty"),
        ("maintainers:\n- name: Anna\n-\n", "a maintainer in Chart.yaml is empty"),
        ("maintainers: Anna\n", "maintainers in Chart.yaml must be a list"),
        ("keywords: a\n", "keywords in Chart.yaml must be a list"),
        ("keywords: [{a: b}]\n", "keywords in Chart.yaml must be text"),
        ("deprecated: perhaps\n", "true or false"),
        ("annotations: [a]\n", "annotations in Chart.yaml must be a mapping"),
        ("dependencies: [~]\n", "a dependency in Chart.yaml is empty"),
        ("dependencies: [{version: 1.0.0}]\n", "has no name"),
        ("dependencies: [{name: db, alias: a b}]\n", "a dependency's alias"),
    ] {
        let error = metadata(more).unwrap_err().to_string();
        assert!(error.contains(sentence), "{more}: {error}");
    }
}

#[test]
fn versions_that_helm_takes_are_kept_as_written() {
    for version in ["1.2", "v1.2.3", "2026.08.1", "\"1.10\"", "1.2.3-rc.1+build.7", "1"] {
        let yaml = chart_yaml("web", version, "");
        let found = Metadata::read(yaml.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(found.version, version.trim_matches('"'));
    }
}

#[test]
fn every_field_has_the_type_that_helm_gives_it() {
    let found = metadata(
        "appVersion: 1.16\ndeprecated: yes\nannotations: {n: 1, b: true, z: ~}\nicon: ~\nunknown: [1, 2]\nkubeVersion: '>=1.20'\n\
         maintainers: [{name: Anna, email: a@b.c, age: 7}]\nsources: [https://example.com]\nkeywords: [a, 1]\ntype: library\n\
         dependencies:\n- name: db\n  version: 1.x\n  alias: store\n  tags: [x]\n  enabled: true\n  import-values: [data, {child: a, n: 1.5, b: no}]\n",
    )
    .unwrap();
    assert_eq!(
        found.to_json(),
        r#"{"name":"web","sources":["https://example.com"],"version":"1.2.3","keywords":["a","1"],"maintainers":[{"name":"Anna","email":"a@b.c"}],"apiVersion":"v2","appVersion":"1.16","deprecated":true,"annotations":{"b":"true","n":"1","z":""},"kubeVersion":">=1.20","dependencies":[{"name":"db","version":"1.x","repository":"","tags":["x"],"enabled":true,"import-values":["data",{"b":false,"child":"a","n":1.5}],"alias":"store"}],"type":"library"}"#
    );
}

#[test]
fn a_number_where_helm_wants_text_is_the_text_that_helm_makes_of_it() {
    for (written, meant) in [
        ("1.10", "1.1"),
        ("\"1.10\"", "1.10"),
        ("yes", "true"),
        ("010", "8"),
        ("-010", "-8"),
        ("09", "9"),
        ("08.5", "8.5"),
        ("0x1F", "31"),
        ("-0x1F", "-31"),
        ("0o14", "12"),
        ("0o9", "0o9"),
        ("0b11", "3"),
        ("0b2", "0b2"),
        ("1_000", "1000"),
        ("_1", "_1"),
        ("+1", "1"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-0.0", "-0"),
        ("00", "0"),
        ("12e03", "12000"),
        ("1e6", "1e+06"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("1234567.5", "1.2345675e+06"),
        ("7.123456789", "7.123457"),
        ("18446744073709551615", "18446744073709551615"),
        ("123456789012345678901234", "1.2345679e+23"),
        ("1e39", "+Inf"),
        ("1e400", "1e400"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("0x", "0x"),
    ] {
        let found = metadata(&format!("appVersion: {written}\n")).unwrap();
        assert_eq!(found.app_version, meant, "{written}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_as_text_is_read_as_that_text(text in "[^\\p{C}]{0,40}") {
        let quoted = serde_json::to_string(&text).unwrap();
        let found = metadata(&format!("description: {quoted}\n")).unwrap();
        prop_assert_eq!(found.description, text);
    }

    #[test]
    fn no_yaml_makes_the_reader_panic(text in "([a-z]|[-:?,{}&*!|>'\"%@#\\[\\]]|[ \n]|[0-9]){0,80}") {
        let _ = metadata(&text);
        let _ = Metadata::read(text.as_bytes(), &Limits::default());
    }
}
