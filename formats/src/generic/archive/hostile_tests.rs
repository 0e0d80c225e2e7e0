//! Archives that are broken, or made to do harm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::tests::{BASE, Packed, get, gzipped, names, sample_zip, sentence, store, tarred, zipped};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::limits::Limits;
use serde_json::json;

stories! {
    names_that_lead_elsewhere_lead_nowhere
    an_encrypted_file_and_an_unknown_method_are_refused_with_a_sentence
    a_file_that_is_not_what_its_archive_says_is_never_whole
    bombs_do_not_go_off
    what_unpacks_to_nothing_is_not_unpacked
    what_a_tar_says_of_links_and_holes_hides_no_file
    headers_before_an_entry_are_none_and_not_without_end
    one_account_has_so_many_archives_at_once
    what_is_no_archive_is_said_to_be_none
}

async fn names_that_lead_elsewhere_lead_nowhere(world: World) {
    let bad = ["../up", "/etc/passwd", "a/../../b", "C:\\windows", "a//b", "nul\0", ".", ""];
    let mut files = bad.map(|name| (name, &b"bad"[..])).to_vec();
    files.push(("good", b"good"));
    store(&world, "x.zip", sample_zip(&files)).await;
    let root = get(&world, "x.zip!/").await.expect(200).json();
    assert_eq!((names(&root), &root["left_out"]), (vec!["good"], &json!(7)));
    for name in [
        "../up",
        "%2E%2E/up",
        "/etc/passwd",
        "..%2Fup",
        "a/../../b",
        "C:%5Cwindows",
        "nul%00",
    ] {
        let answer = get(&world, &format!("x.zip!/{name}")).await;
        assert!(matches!(answer.status, 400 | 404), "{name}: {answer:?}");
    }
    let mut link = ::tar::Header::new_gnu();
    link.set_entry_type(::tar::EntryType::Symlink);
    link.set_size(0);
    let mut builder = ::tar::Builder::new(Vec::new());
    builder.append_link(&mut link, "passwd", "/etc/passwd").unwrap();
    store(&world, "x.tar", builder.into_inner().unwrap()).await;
    let root = get(&world, "x.tar!/").await.expect(200).json();
    assert_eq!((names(&root).len(), &root["left_out"]), (0, &json!(1)));
    let refused = sentence(&get(&world, "x.tar!/passwd").await, 409);
    assert!(refused.starts_with("this is a link"), "{refused}");
}

async fn an_encrypted_file_and_an_unknown_method_are_refused_with_a_sentence(world: World) {
    let plain = Packed::stored("plain", b"plain");
    let secret = Packed {
        flags: 1,
        ..Packed::stored("secret", b"cipher")
    };
    let zstd = Packed {
        method: 93,
        ..Packed::stored("zstd", b"packed")
    };
    store(&world, "x.zip", zipped([plain, secret, zstd].into_iter())).await;
    let root = get(&world, "x.zip!/").await.expect(200).json();
    assert_eq!(root["entries"][1]["encrypted"], true);
    assert_eq!(
        sentence(&get(&world, "x.zip!/secret").await, 409),
        "the file is encrypted in its archive; fetch the archive and unpack it with its password"
    );
    assert!(sentence(&get(&world, "x.zip!/zstd").await, 409).starts_with("the file is packed by method 93 of ZIP"));
    get(&world, "x.zip!/plain").await.expect(200);
}

async fn a_file_that_is_not_what_its_archive_says_is_never_whole(world: World) {
    let honest = Packed::deflated("a", b"what is in it");
    let stored = Packed::stored("a", b"what is in it");
    let broken = |change: &dyn Fn(&mut Packed)| {
        let mut packed = honest.clone();
        change(&mut packed);
        zipped([packed].into_iter())
    };
    for (number, (zip, why)) in [
        (broken(&|packed| packed.crc ^= 1), "another checksum"),
        (broken(&|packed| packed.size += 1), "shorter than it says"),
        (broken(&|packed| packed.size -= 1), "longer than it says"),
        (broken(&|packed| packed.bytes.truncate(5)), "is damaged"),
        (broken(&|packed| packed.bytes = vec![0xff; 40]), "cannot be unpacked"),
        (
            zipped([Packed { size: 3, ..stored.clone() }].into_iter()),
            "a stored file has two sizes",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        store(&world, &format!("{number}.zip"), zip).await;
        let refused = sentence(&get(&world, &format!("{number}.zip!/a")).await, 409);
        assert!(refused.contains(why), "{number}: {refused}");
    }
    // The list of files leads to a file of another name, or to no file at all.
    let mut other = zipped([stored.clone()].into_iter());
    other[30] = b'b';
    store(&world, "other.zip", other).await;
    assert!(sentence(&get(&world, "other.zip!/a").await, 409).contains("leads to something else"));
    let mut beyond = zipped([stored].into_iter());
    let offset = beyond.len() - 22 - 1 - 4;
    beyond[offset] = 40;
    store(&world, "beyond.zip", beyond).await;
    assert!(sentence(&get(&world, "beyond.zip!/a").await, 409).contains("leads to something else"));
}

async fn bombs_do_not_go_off(world: World) {
    let zeros = vec![0; 4 * 1024 * 1024];
    let bomb = Packed::deflated("zeros", &zeros);
    assert!(bomb.bytes.len() < 10_000);
    let door = world.limited(
        FakeGate::open(),
        Limits {
            archive_entries: 100,
            archive_directory_bytes: 10_000,
            archive_entry_bytes: 2_000_000,
            archive_unpacked_bytes: 1_500_000,
            ..Limits::default()
        },
    );
    let ask = async |rest: &str| sentence(&door.ask(&Request::get(format!("{BASE}/{rest}"))).await, 409);
    // One that says what it is, one that lies, and those that are one file many times over.
    store(&world, "ratio.zip", zipped([bomb.clone()].into_iter())).await;
    assert!(sentence(&get(&world, "ratio.zip!/zeros").await, 409).contains("more than 200 times its packed size"));
    assert!(ask("ratio.zip!/zeros").await.starts_with("the file has more than 2000000 bytes"));
    let liar = Packed { size: 900_000, ..bomb };
    store(&world, "liar.zip", zipped([liar].into_iter())).await;
    // What it says of itself is sent, and nothing after it: the last piece never comes.
    let cut = world.open().ask_in_vain(&Request::get(format!("{BASE}/liar.zip!/zeros"))).await;
    assert!(cut.0 < 900_000 && cut.1.contains("longer than it says"), "{cut:?}");
    store(&world, "many.zip", sample_zip(&[("a", &b""[..]); 101])).await;
    assert!(ask("many.zip!/").await.contains("more than 100 entries"));
    assert!(ask("many.zip!/a").await.contains("more than 100 entries"));
    let long = "n".repeat(9990);
    store(&world, "long.zip", sample_zip(&[(&long, b"")])).await;
    assert!(ask("long.zip!/").await.contains("more than 10000 bytes"));
    store(&world, "many.tar", tarred(&[("a", &b""[..]); 101])).await;
    assert!(ask("many.tar!/").await.contains("more than 100 entries"));
    let tar = tarred(&[("zeros", &zeros)]);
    store(&world, "zeros.tgz", gzipped(&tar)).await;
    for inside in ["", "zeros"] {
        assert!(
            ask(&format!("zeros.tgz!/{inside}"))
                .await
                .contains("more than 1500000 bytes when it is unpacked")
        );
        let refused = sentence(&get(&world, &format!("zeros.tgz!/{inside}")).await, 409);
        assert!(refused.contains("more than 200 times its packed size"), "{refused}");
    }
    // Not packed, it is as large as it looks.
    store(&world, "zeros.tar", tar).await;
    assert_eq!(names(&get(&world, "zeros.tar!/").await.expect(200).json()), ["zeros"]);
    assert!(get(&world, "zeros.tar!/zeros").await.expect(200).body == zeros);
}

async fn what_unpacks_to_nothing_is_not_unpacked(world: World) {
    let waste = "what is packed in the archive is much smaller than its packed size, and is not unpacked here";
    store(&world, "members.tgz", gzipped(b"").repeat(20_000)).await;
    for inside in ["", "a"] {
        assert_eq!(sentence(&get(&world, &format!("members.tgz!/{inside}")).await, 409), waste);
    }
    // Blocks without content, and an end: one says that it is empty, the other lies.
    let blocks = [[0, 0, 0, 0xff, 0xff].repeat(60_000), vec![1, 0, 0, 0xff, 0xff]].concat();
    let honest = Packed {
        bytes: blocks,
        ..Packed::deflated("honest", b"")
    };
    let liar = Packed {
        name: "liar".into(),
        size: 300_000,
        ..honest.clone()
    };
    store(&world, "blocks.zip", zipped([honest, liar].into_iter())).await;
    for name in ["honest", "liar"] {
        assert_eq!(sentence(&get(&world, &format!("blocks.zip!/{name}")).await, 409), waste);
    }

    let limits = Limits {
        archive_members: 3,
        archive_unpacked_bytes: 100_000,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), limits);
    let ask = async |path: &str| door.ask(&Request::get(format!("{BASE}/{path}"))).await;
    let tar = tarred(&[("a", b"abc")]);
    let members = |size| tar.chunks(size).flat_map(gzipped).collect::<Vec<u8>>();
    store(&world, "few.tgz", members(tar.len().div_ceil(3))).await;
    store(&world, "many.tgz", members(tar.len().div_ceil(8))).await;
    assert_eq!(ask("few.tgz!/a").await.expect(200).body, "abc");
    assert_eq!(
        sentence(&ask("many.tgz!/").await, 409),
        "the archive is packed as more than 3 gzip members, and is not looked into"
    );
    store(&world, "large.tar", tarred(&[("a", &[1; 200_000]), ("b", b"")])).await;
    assert_eq!(
        sentence(&ask("large.tar!/").await, 409),
        "more than 100000 bytes of the archive would have to be read, and it is not looked into"
    );
}

/// A header of GNU's as nobody makes it who means well.
fn header(name: &str, kind: ::tar::EntryType, size: u64) -> ::tar::Header {
    let mut header = ::tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

async fn what_a_tar_says_of_links_and_holes_hides_no_file(world: World) {
    let hidden = tarred(&[("hidden", b"seen by others")]);
    for kind in b'1'..=b'6' {
        // By the size that it states, the file would be its content.
        let bare = header("bare", ::tar::EntryType::new(kind), 1024);
        store(&world, "x.tar", [&bare.as_bytes()[..], &hidden].concat()).await;
        let root = get(&world, "x.tar!/").await.expect(200).json();
        assert_eq!(names(&root).last(), Some(&"hidden"), "type {}", char::from(kind));
        assert_eq!(get(&world, "x.tar!/hidden").await.expect(200).body, "seen by others");
    }
    let mut sparse = header("sparse", ::tar::EntryType::GNUSparse, 512);
    sparse.as_mut_bytes()[482] = 1;
    sparse.set_cksum();
    let mut more = [0; 512];
    more[504] = 1;
    let holes = [more, [0; 512]].concat();
    store(&world, "sparse.tar", [&sparse.as_bytes()[..], &holes, &[7; 512], &hidden].concat()).await;
    let root = get(&world, "sparse.tar!/").await.expect(200).json();
    assert_eq!((names(&root), &root["left_out"]), (vec!["hidden"], &json!(1)));
    store(&world, "cut.tar", [&sparse.as_bytes()[..], &more].concat()).await;
    assert!(sentence(&get(&world, "cut.tar!/").await, 409).contains("ends in the middle"));
}

async fn headers_before_an_entry_are_none_and_not_without_end(world: World) {
    let limits = Limits {
        archive_entries: 2,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), limits);
    let long = ["a", "b", "c"].map(|name| name.repeat(150));
    for (files, status) in [(&long[..2], 200), (&long[..], 409)] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b""[..])).collect();
        store(&world, "x.tar", tarred(&files)).await;
        door.ask(&Request::get(format!("{BASE}/x.tar!/"))).await.expect(status);
    }
    for (headers, status) in [(16, 200), (17, 409)] {
        let ahead = header("ahead", ::tar::EntryType::XGlobalHeader, 0);
        store(&world, "y.tar", [ahead.as_bytes().repeat(headers), tarred(&[("a", b"")])].concat()).await;
        get(&world, "y.tar!/").await.expect(status);
    }
}

async fn one_account_has_so_many_archives_at_once(world: World) {
    let limits = Limits {
        archives_per_principal: 1,
        ..Limits::default()
    };
    store(&world, "d/x.zip", sample_zip(&[("a", b"abc")])).await;
    let door = world.limited(FakeGate::open(), limits);
    let all = ["d/x.zip!/", "d/x.zip!/a", "d/?archive=zip", "d/?archive=tar.gz"];
    let ask = async |path: &str| door.ask(&Request::get(format!("{BASE}/{path}"))).await;
    let visit = door.dispatch.stores.archives.begin(None).unwrap();
    for path in all {
        let refused = ask(path).await;
        assert_eq!(
            sentence(&refused, 429),
            "this account has too many archives under way; let some of them end first"
        );
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    ask("d/x.zip").await.expect(200);
    ask("d/").await.expect(200);
    drop(visit);
    // Each is over when it has come.
    for path in all {
        ask(path).await.expect(200);
    }
}

async fn what_is_no_archive_is_said_to_be_none(world: World) {
    let zip = sample_zip(&[("a", b"abc")]);
    let tar = tarred(&[("a", b"abc"), ("b", &[1; 600])]);
    for (name, content, why) in [
        ("text.zip", b"no archive".to_vec(), "is no ZIP"),
        ("empty.zip", vec![], "is no ZIP"),
        ("cut.zip", zip[..zip.len() - 1].to_vec(), "is no ZIP"),
        ("text.tar", vec![b'x'; 2000], "is no tar"),
        ("short.tar", b"short".to_vec(), "ends in the middle"),
        ("cut.tar", tar[..1800].to_vec(), "ends in the middle"),
        ("text.tgz", b"no archive".to_vec(), "cannot be unpacked"),
        ("cut.tgz", gzipped(&tar)[..40].to_vec(), "cannot be unpacked"),
    ] {
        store(&world, name, content).await;
        let refused = sentence(&get(&world, &format!("{name}!/")).await, 409);
        assert!(refused.contains(why), "{name}: {refused}");
    }
    // An empty one is one.
    store(&world, "nothing.zip", sample_zip(&[])).await;
    store(&world, "nothing.tar", vec![0; 1024]).await;
    for name in ["nothing.zip", "nothing.tar"] {
        assert_eq!(names(&get(&world, &format!("{name}!/")).await.expect(200).json()), [""; 0]);
    }
    // Another name promises nothing.
    store(&world, "a.txt", zip).await;
    get(&world, "a.txt!/").await.expect(404);
}
