//! Archives that Helm reads otherwise than others do, or not to the end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::inspect::Reader;
use super::parts::Part;
use super::tests::{MODIFIED, Packed, attributes, chart_yaml, gzip, read, read_with, refused};
use granary_storage::ErrorKind;
use granary_storage::limits::Limits;
use std::sync::Arc;
use tar::{EntryType, Header};

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
    let in_bits = |header: &mut Header| header.as_old_mut().mode = *b"\x80\0\0\0\0\0\x41\xed";
    refused(
        &chart().file("web/x", "").with_header(in_bits).pack(),
        "half a file and half a folder",
    );
    refused(&chart().file("web/values.yaml/", "").pack(), "half a file and half a folder");
    // A part of the name where only some look for it.
    let differently = "programs read differently";
    for (time, refuses) in [
        (b"web/template", true),
        (b"12345 678901", true),
        (b"000000000189", true),
        (b" 1234567 \0\0\0", false),
        (b"\x80web/templat", false),
        (b"\0web/templat", false),
    ] {
        let timed = |header: &mut Header| header.as_gnu_mut().unwrap().ctime = *time;
        let packed = chart().file("web/x", "").with_header(timed).pack();
        match refuses {
            true => refused(&packed, differently),
            false => drop(read(&packed).unwrap()),
        }
    }
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

/// A file whose name an attribute says, so that it may be long.
fn named(packed: Packed, name: &str) -> Packed {
    packed
        .entry(EntryType::XHeader, b"x", &attributes(&format!("path={name}")))
        .file("web/x", "")
}

#[test]
fn a_file_that_stands_twice_is_refused() {
    let chart = || Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
    let twice = "the file \"web/values.yaml\" stands twice in the archive";
    refused(
        &chart().file("web/values.yaml", "a: 1").file("web/values.yaml", "a: 2").pack(),
        twice,
    );
    refused(
        &chart().file("web\\values.yaml", "a: 1").file("web/values.yaml", "a: 1").pack(),
        twice,
    );
    refused(&named(chart().file("web/values.yaml", ""), "web/values.yaml").pack(), twice);
    // A folder may be told of as often as there is something in it.
    let folders = chart()
        .entry(EntryType::Directory, b"web/a/", b"")
        .file("web/a/x", "")
        .entry(EntryType::Directory, b"web/a/", b"")
        .file("web/a/y", "");
    read(&folders.pack()).unwrap();
}

#[test]
fn a_path_has_at_most_1024_bytes() {
    let chart = || Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
    let long = |bytes: usize| format!("web/{}", "x".repeat(bytes - 4));
    read(&named(chart(), &long(1024)).pack()).unwrap();
    refused(&named(chart(), &long(1025)).pack(), "is longer than 1024 bytes");
    refused(&named(chart(), &format!("{}/", long(1024))).pack(), "is longer than 1024 bytes");
}

#[test]
fn names_of_files_that_are_kept_count_as_their_content_does() {
    let keep = |files: usize, part: Option<Part>| {
        let mut packed = Packed::default().file("web/Chart.yaml", chart_yaml("web", "1.2.3", ""));
        for number in 0..files {
            packed = named(packed, &format!("web/{number:01000}"));
        }
        let limits = Limits {
            chart_file_bytes: 20_000,
            ..Limits::default()
        };
        let mut reader = Reader::new(Arc::new(limits), part);
        reader.push(&packed.pack())?;
        reader.finish()
    };
    assert_eq!(keep(10, Some(Part::Everything)).unwrap().kept.len(), 11);
    let error = keep(20, Some(Part::Everything)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.message().contains("larger than 20000 bytes together"), "{error}");
    // Where none is kept none counts.
    keep(20, None).unwrap();
}
