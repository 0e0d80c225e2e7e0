//! Archives as helm packs them, and as nobody should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::inspect::Reader;
use super::{Inspected, Inspection};
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
pub(super) const MODIFIED: u64 = 1_700_000_000;

/// A Chart.yaml with these lines behind what every chart needs.
pub(super) fn chart_yaml(name: &str, version: &str, more: &str) -> String {
    format!("apiVersion: v2\nname: {name}\nversion: {version}\n{more}")
}

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Packed(pub(super) Vec<u8>);

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

    /// One more entry.
    pub(crate) fn entry(mut self, kind: EntryType, path: &[u8], content: &[u8]) -> Self {
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

    /// Bytes as they are.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The last entry, whose content is empty, with another header.
    pub(super) fn with_header(mut self, change: impl FnOnce(&mut Header)) -> Self {
        let start = self.0.len() - 512;
        let mut header = Header::from_byte_slice(&self.0[start..]).clone();
        change(&mut header);
        header.set_cksum();
        self.0.truncate(start);
        self.raw(header.as_bytes())
    }

    /// The archive, compressed.
    pub(crate) fn pack(mut self) -> Bytes {
        self.0.extend([0; 1024]);
        gzip(&self.0)
    }
}

/// One attribute (POSIX pax), which begins with its own length.
pub(super) fn attributes(text: &str) -> Vec<u8> {
    let rest = text.len() + 2;
    let digits = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap();
    format!("{} {text}\n", rest + digits).into_bytes()
}

pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap().into()
}

pub(super) fn read_with(bytes: &[u8], limits: Limits) -> Result<Inspected> {
    let mut reader = Reader::new(Arc::new(limits), None);
    reader.push(bytes)?;
    reader.finish()
}

pub(super) fn read(bytes: &[u8]) -> Result<Inspected> {
    read_with(bytes, Limits::default())
}

#[track_caller]
pub(super) fn refused(bytes: &[u8], why: &str) {
    let error = read(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.message().contains(why), "{error}");
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
        .entry(EntryType::XGlobalHeader, b"pax_global_header", &attributes("comment=0123456789"))
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
    let packed = Packed::default()
        .entry(EntryType::GNULongName, b"././@LongLink", format!("{long}\0").as_bytes())
        .file("web/cut", "long")
        .entry(EntryType::XHeader, b"web/PaxHeaders/1", &attributes("path=web/Chart.yaml"))
        .file("web/other", chart_yaml("web", "1.0.0", ""))
        .pack();
    assert_eq!(read(&packed).unwrap().metadata.version, "1.0.0");
}

#[test]
fn every_fault_of_an_archive_has_a_sentence() {
    let chart = || Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
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
fn a_field_in_another_spelling_is_refused() {
    for (line, field) in [
        ("Version: 9.9.9", "version"),
        ("\"ver\u{17f}ion\": 9.9.9", "version"),
        ("\"\u{212a}eywords\": [a]", "keywords"),
        ("AppVersion: \"7\"", "appVersion"),
        ("maintainers: [{Name: x}]", "name"),
        ("dependencies: [{name: x, Alias: y}]", "alias"),
    ] {
        refused(&Packed::chart("web", "1.2.3", line), &format!("must be written {field}"));
    }
    assert!(read(&Packed::chart("web", "1.2.3", "versions: 1\n")).is_ok());
}

#[test]
fn what_yaml_does_not_print_is_escaped_for_an_index() {
    let text = "a\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}ü\u{1f600}b";
    let more = format!("annotations: {{\"k\\u2028\": {}}}\n", serde_json::to_string("v").unwrap());
    let more = format!("{more}description: \"a\\x7f\\x85\\u2028\\uFEFF\\uFFFFü\\U0001F600b\"\n");
    let found = read(&Packed::chart("web", "1.2.3", &more)).unwrap();
    let json = found.metadata.to_json();
    assert!(json.contains(r"a\u007f\u0085\u2028\ufeff\uffffü"), "{json}");
    let back: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(back["description"], text);
    assert_eq!(back["annotations"]["k\u{2028}"], "v");
    let long = format!("annotations: {{? {} : v}}\n", "k".repeat(1001));
    refused(&Packed::chart("web", "1.2.3", &long), "longer than 1000 bytes");
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
    for number in 0..10_001 {
        many = many.file(&format!("web/{number}"), "");
    }
    refused(&many.pack(), "more than 10000 entries");
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
}
