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
const MODIFIED: u64 = 1_700_000_000;

/// A Chart.yaml with these lines behind what every chart needs.
pub(super) fn chart_yaml(name: &str, version: &str, more: &str) -> String {
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
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The last entry, whose content is empty, with another header.
    fn with_header(mut self, change: impl FnOnce(&mut Header)) -> Self {
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
fn attributes(text: &str) -> Vec<u8> {
    let rest = text.len() + 2;
    let digits = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap();
    format!("{} {text}\n", rest + digits).into_bytes()
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

/// What helm makes of each of these is another chart than the one that is listed: Go's reader decides otherwise.
#[test]
fn an_archive_that_helm_would_read_otherwise_is_refused() {
    let chart = || Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
    let (path, mtime) = (attributes("path=web/other"), attributes("mtime=1"));
    let twice = "more than once";
    refused(
        &chart()
            .entry(EntryType::GNULongName, b"x", b"web/Chart.yaml\0")
            .entry(EntryType::XHeader, b"x", &path)
            .file("web/y", "")
            .pack(),
        twice,
    );
    refused(
        &chart()
            .entry(EntryType::XHeader, b"x", &path)
            .entry(EntryType::XHeader, b"x", &mtime)
            .file("web/y", "")
            .pack(),
        twice,
    );
    refused(
        &chart()
            .entry(EntryType::XHeader, b"x", &path)
            .entry(EntryType::XGlobalHeader, b"x", &mtime)
            .file("web/y", "")
            .pack(),
        twice,
    );
    refused(&chart().file("web/x\\Chart.yaml", "").pack(), "both slashes and backslashes");
    refused(
        &chart().entry(EntryType::XGlobalHeader, b"x", &path).file("web/y", "").pack(),
        "one name",
    );
    refused(
        &chart().entry(EntryType::XGlobalHeader, b"x", b"no attributes").pack(),
        "cannot be read",
    );
    // The target of a link, which no chart holds, and which would stand between a name and its entry.
    refused(
        &chart()
            .entry(EntryType::GNULongName, b"x", b"web/a\0")
            .entry(EntryType::GNULongLink, b"x", b"web/b\0")
            .file("web/y", "")
            .pack(),
        "neither a file nor a folder",
    );
    // What lies in the chart's folder is looked at without that folder.
    refused(&chart().file("web/..data", "").pack(), "leads out of the chart");
    refused(&chart().file("web/..data/x", "").pack(), "leads out of the chart");
    refused(&chart().file("web/c:/x", "").pack(), "is absolute");
    refused(
        &Packed::default()
            .file("Chart.yaml/Chart.yaml", chart_yaml("web", "1.2.3", ""))
            .pack(),
        "which is a file",
    );
    // A file by its type, and a folder by its mode or by its name.
    refused(
        &chart().file("web/x", "").with_header(|header| header.set_mode(0o040_755)).pack(),
        "half a file and half a folder",
    );
    refused(&chart().file("web/values.yaml/", "").pack(), "half a file and half a folder");
    // A part of the name where only some look for it.
    let differently = "programs read differently";
    refused(
        &chart()
            .file("web/x", "")
            .with_header(|header| header.as_gnu_mut().unwrap().atime = *b"web/template")
            .pack(),
        differently,
    );
    let mut ustar = Header::new_ustar();
    ustar.set_path("web/x").unwrap();
    ustar.set_size(0);
    for (at, bytes) in [(263, &b"01"[..]), (508, b"tar\0")] {
        let mut header = ustar.clone();
        header.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
        header.set_cksum();
        refused(&chart().raw(header.as_bytes()).pack(), differently);
    }
    for seconds in ["yesterday", "1.5.", "0x10"] {
        let odd = attributes(&format!("mtime={seconds}"));
        refused(
            &chart().entry(EntryType::XHeader, b"x", &odd).file("web/y", "").pack(),
            "cannot be read",
        );
    }
    // One for each entry, and one of the whole archive, are what git and Go write.
    let usual = Packed::default()
        .entry(EntryType::XGlobalHeader, b"x", &mtime)
        .entry(EntryType::XHeader, b"x", &attributes("path=web/Chart.yaml"))
        .file("x", chart_yaml("web", "1.2.3", ""))
        .entry(EntryType::XHeader, b"x", &path)
        .file("x", "")
        .pack();
    assert_eq!(read(&usual).unwrap().metadata.name, "web");
}

/// Two empty blocks end an archive, and Go's reader takes nothing but the end of the file for the second.
#[test]
fn an_archive_ends_where_helm_ends_it() {
    let chart = || Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
    let ends = |rest: &[u8]| gzip(&[chart().0.as_slice(), rest].concat());
    let (one, two) = ([0; 512], [0; 1024]);
    let behind = Packed::default().file("web/Chart.yaml", chart_yaml("api", "9.9.9", "")).0;
    for rest in [&[][..], &one, &two, &[two, two].concat(), &[&two[..], &behind].concat()] {
        assert_eq!(read(&ends(rest)).unwrap().metadata.name, "web");
    }
    refused(&ends(&[&one[..], &behind].concat()), "goes on behind an empty block");
    refused(&ends(&[&one[..], b"x"].concat()), "in the middle of an entry");
    refused(&ends(&[0; 100]), "in the middle of an entry");
}

#[test]
fn a_chart_that_was_last_changed_before_the_calendar_began_is_a_chart() {
    for (said, meant) in [
        ("-99999999999999.5", -99_999_999_999_999),
        ("-62167219201", -62_167_219_201),
        ("9223372036854775807", i64::MAX),
        ("", MODIFIED as i64),
    ] {
        let packed = Packed::default()
            .entry(EntryType::XHeader, b"x", &attributes(&format!("mtime={said}")))
            .file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""))
            .pack();
        assert_eq!(read(&packed).unwrap().modified, meant);
    }
}

#[test]
fn members_of_an_archive_are_counted() {
    let packed = Packed::chart("web", "1.2.3", "");
    let empty = gzip(b"");
    let of = |count: usize| [&packed[..], &empty.repeat(count)].concat();
    let few = || Limits {
        chart_members: 3,
        ..Limits::default()
    };
    assert_eq!(read_with(&of(2), few()).unwrap().size, of(2).len() as u64);
    let error = read_with(&of(3), few()).unwrap_err();
    assert!(error.message().contains("more than 3 gzip members"), "{error}");
    refused(&of(10_000), "more than 10000 gzip members");
    // A chart in two members is one, as it is to helm, and what is no member is none.
    let whole = Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", "")).0;
    let halves = [gzip(&whole[..700]), gzip(&[&whole[700..], &[0; 1024]].concat())].concat();
    assert_eq!(read(&halves).unwrap().metadata.name, "web");
    refused(&[&packed[..], b"x"].concat(), "damaged or cut off");
    let mut wrong = [&packed[..], &packed].concat();
    wrong[packed.len() - 8] ^= 1;
    refused(&wrong, "damaged or cut off");
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
    for _ in 0..10_001 {
        many = many.file("web/x", "");
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
