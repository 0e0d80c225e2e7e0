//! Archives as helm packs them, and as nobody should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::inspect::Reader;
use super::{Inspected, Inspection, Metadata};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use granary_storage::limits::Limits;
use granary_storage::{Digest, ErrorKind, Result};
use proptest::prelude::*;
use std::io::Write as _;
use std::sync::Arc;
use tar::{EntryType, Header};

/// When every file of an archive here was changed.
const MODIFIED: u64 = 1_700_000_000;

/// A Chart.yaml with these lines behind what every chart needs.
fn chart_yaml(name: &str, version: &str, more: &str) -> String {
    format!("apiVersion: v2\nname: {name}\nversion: {version}\n{more}")
}

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Packed(Vec<u8>);

impl Packed {
    /// A chart with a template, values and these lines in its Chart.yaml.
    pub(crate) fn chart(name: &str, version: &str, more: &str) -> Bytes {
        Self::default()
            .file(&format!("{name}/Chart.yaml"), chart_yaml(name, version, more))
            .file(&format!("{name}/values.yaml"), "greeting: hello\n")
            .file(&format!("{name}/templates/config.yaml"), "kind: ConfigMap\n")
            .pack()
    }

    /// One more file.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path.as_bytes(), content.as_ref())
    }

    fn entry(mut self, kind: EntryType, path: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mtime(MODIFIED);
        header.set_mode(0o644);
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        let padding = content.len().next_multiple_of(512) - content.len();
        self.0.extend(std::iter::repeat_n(0, padding));
        self
    }

    /// The archive, compressed.
    pub(crate) fn pack(mut self) -> Bytes {
        self.0.extend([0; 1024]);
        gzip(&self.0)
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap().into()
}

fn read_with(bytes: &[u8], limits: Limits) -> Result<Inspected> {
    let mut reader = Reader::new(Arc::new(limits), None);
    reader.push(bytes)?;
    reader.finish()
}

fn read(bytes: &[u8]) -> Result<Inspected> {
    read_with(bytes, Limits::default())
}

#[track_caller]
fn refused(bytes: &[u8], why: &str) {
    let error = read(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.message().contains(why), "{error}");
}

fn metadata(more: &str) -> Result<Metadata> {
    Metadata::read(chart_yaml("web", "1.2.3", more).as_bytes(), &Limits::default())
}

#[test]
fn a_chart_tells_what_it_is() {
    let packed = Packed::chart("web", "1.2.3", "appVersion: \"2.0\"\ndescription: A chart\n");
    let found = read(&packed).unwrap();
    assert_eq!((found.digest, found.size), (Digest::sha256(&packed), packed.len() as u64));
    assert_eq!(found.modified, MODIFIED as i64);
    assert_eq!(
        found.metadata.to_json(),
        r#"{"name":"web","version":"1.2.3","description":"A chart","apiVersion":"v2","appVersion":"2.0"}"#
    );
}

#[test]
fn chart_yaml_may_lie_anywhere_and_bear_a_mark_of_its_encoding() {
    let yaml = format!("\u{feff}{}", chart_yaml("web", "1.2.3+build.5", ""));
    let packed = Packed::default()
        .entry(EntryType::XGlobalHeader, b"pax_global_header", b"52 comment=0123456789\n")
        .entry(EntryType::Directory, b"web/", b"")
        .file("web/charts/db/Chart.yaml", chart_yaml("db", "9.9.9", ""))
        .file("web/templates/Chart.yaml", "not: a chart")
        .file("web/Chart.yaml", yaml)
        .pack();
    let found = read(&packed).unwrap();
    assert_eq!(
        (found.metadata.name.as_str(), found.metadata.version.as_str()),
        ("web", "1.2.3+build.5")
    );
    assert_eq!(found.metadata.tag().unwrap().as_str(), "1.2.3_build.5");
}

#[test]
fn names_and_attributes_that_stand_before_an_entry_count() {
    let long = format!("web/{}.txt", "x".repeat(150));
    let attributes = |text: &str| format!("{} {text}\n", text.len() + 4);
    let packed = Packed::default()
        .entry(EntryType::GNULongName, b"././@LongLink", format!("{long}\0").as_bytes())
        .file("web/cut", "long")
        .entry(
            EntryType::XHeader,
            b"web/PaxHeaders/1",
            attributes("path=web/Chart.yaml").as_bytes(),
        )
        .file("web/other", chart_yaml("web", "1.0.0", ""))
        .pack();
    assert_eq!(read(&packed).unwrap().metadata.version, "1.0.0");
}

#[test]
fn every_fault_of_an_archive_has_a_sentence() {
    let chart = || Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
    let attributes = |text: &str| format!("{} {text}\n", text.len() + 4).into_bytes();
    refused(b"", "its body is empty");
    refused(b"no archive", "no gzip archive");
    refused(
        &gzip(b"no tar, but long enough to fill a block of five hundred and twelve bytes").slice(..20),
        "damaged or cut off",
    );
    refused(&gzip(&[b'x'; 2048]), "the sum of a header is wrong");
    refused(&gzip(&[0; 1024]), "no Chart.yaml");
    refused(&Packed::default().file("web/values.yaml", "").pack(), "no Chart.yaml");
    refused(&Packed::default().file("web/charts/Chart.yaml", "").pack(), "no Chart.yaml");
    refused(&Packed::default().file("Chart.yaml", "").pack(), "outside of the chart's folder");
    refused(&chart().file("web/../../etc/passwd", "").pack(), "leads out of the chart");
    refused(&chart().file("..\\x", "").pack(), "leads out of the chart");
    refused(&chart().file("/etc/passwd", "").pack(), "is absolute");
    refused(&chart().file("C:\\x\\y", "").pack(), "is absolute");
    refused(&chart().file("web//x", "").pack(), "not written plainly");
    refused(&chart().file("./web/x", "").pack(), "not written plainly");
    refused(&chart().entry(EntryType::Regular, b"web/\xff", b"").pack(), "not UTF-8");
    refused(&chart().file("web/a\nb", "").pack(), "control characters");
    refused(&chart().file("other/x", "").pack(), "two top folders, web and other");
    refused(&chart().file("web/Chart.yaml", "").pack(), "stands twice");
    refused(
        &chart().entry(EntryType::Directory, b"web/x/", b"content").pack(),
        "with content of its own",
    );
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
    ] {
        refused(&chart().entry(kind, b"web/x", b"").pack(), "neither a file nor a folder");
    }
    refused(
        &chart()
            .entry(EntryType::XHeader, b"x", &attributes("size=10"))
            .file("web/x", "")
            .pack(),
        "whose size stands twice",
    );
    refused(
        &chart()
            .entry(EntryType::XHeader, b"x", &attributes("path=../x"))
            .file("web/x", "")
            .pack(),
        "leads out of the chart",
    );
    refused(
        &chart()
            .entry(EntryType::XHeader, b"x", b"garbage without a length")
            .file("web/x", "")
            .pack(),
        "cannot be read",
    );
    let whole = chart().pack();
    refused(&whole[..whole.len() - 1], "damaged or cut off");
    let mut flipped = whole.to_vec();
    let middle = flipped.len() - 6;
    flipped[middle] ^= 1;
    refused(&flipped, "damaged or cut off");
    let mut cut = Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", "")).0;
    cut.truncate(520);
    refused(&gzip(&cut), "ends in the middle");
}

#[test]
fn every_limit_holds() {
    let few = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        read_with(&Packed::chart("web", "1.2.3", "keywords: [a, [b]]\n"), limits)
            .unwrap_err()
            .to_string()
    };
    assert!(few(&|limits| limits.chart_bytes = 2000).contains("larger than 2000 bytes when it is unpacked"));
    assert!(few(&|limits| limits.chart_bytes = 50).contains("larger than the limit of 50 bytes"));
    assert!(few(&|limits| limits.chart_file_bytes = 10).contains("web/Chart.yaml"));
    assert!(few(&|limits| limits.chart_entries = 2).contains("more than 2 entries"));
    assert!(few(&|limits| limits.chart_metadata_bytes = 30).contains("larger than 30 bytes"));
    assert!(few(&|limits| limits.chart_metadata_depth = 2).contains("more than 2 levels"));
    assert!(few(&|limits| limits.chart_metadata_values = 4).contains("more than 4 values"));
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    // 10 GiB of zeros would be 10 MB; a tenth of the limit more is enough to see where it stops.
    let zeros = vec![0; 1 << 20];
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..110 {
        packer.write_all(&zeros).unwrap();
    }
    refused(&packer.finish().unwrap(), "when it is unpacked");
    let mut header = Header::new_gnu();
    header.set_size(10 << 30);
    header.as_old_mut().name[..5].copy_from_slice(b"web/x");
    header.set_cksum();
    refused(&gzip(header.as_bytes()), "when it is unpacked");
    let mut many = Packed::default();
    for _ in 0..10_001 {
        many = many.file("web/x", "");
    }
    refused(&many.pack(), "more than 10000 entries");
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

#[tokio::test]
async fn it_is_all_the_same_in_which_pieces_an_archive_comes() {
    let packed = Packed::chart("web", "1.2.3", "");
    let limits = Arc::new(Limits::default());
    for piece in [1, 7, packed.len()] {
        let mut inspection = Inspection::new(limits.clone());
        for chunk in packed.chunks(piece) {
            inspection = inspection.push(&Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let found = inspection.finish().await.unwrap();
        assert_eq!((found.digest, found.metadata.name.as_str()), (Digest::sha256(&packed), "web"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_archive_is_refused_or_read_and_never_anything_else(at in any::<proptest::sample::Index>(), with in any::<u8>(), cut in any::<proptest::sample::Index>()) {
        let packed = Packed::chart("web", "1.2.3", "keywords: [a, b]\n");
        let mut bytes = packed.to_vec();
        let place = at.index(bytes.len());
        bytes[place] = with;
        if let Ok(found) = read(&bytes) {
            prop_assert_eq!(found.metadata.name, "web");
        }
        let short = cut.index(packed.len());
        prop_assert!(read(&packed[..short]).is_err());
    }

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
