//! Folders: what the paths of files make of them, in pages.

use super::files::{files, listed, path, put};
use super::*;

on_each_database!(
    a_folder_is_listed_bytewise_in_pages,
    a_page_may_begin_where_nothing_is,
    all_files_below_a_folder_are_listed_bytewise_in_pages,
    a_damaged_file_is_listed_as_damaged_until_it_is_stored_again,
);

async fn a_folder_is_listed_bytewise_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for at in [
        "a.txt",
        "a/1",
        "a/2",
        "a/b/1",
        "a/b/2",
        "a/b/c/d",
        "a/b.txt",
        "a/z",
        "a0",
        "B",
        "b/only/deep",
        "Ü/ä",
        "z",
    ] {
        put(catalog, firmware, at, at).await;
    }
    put(catalog, firmware, "a/gone", "gone").await;
    catalog
        .delete_file(firmware, path("a/gone"), Condition::Always, somebody())
        .await
        .unwrap();
    for limit in 1..8 {
        let of = async |folder| listed(catalog, firmware, folder, limit).await;
        assert_eq!(of(None).await, ["B", "a.txt", "a/", "a0", "b/", "z", "Ü/"], "{limit}");
        assert_eq!(of(Some("a")).await, ["1", "2", "b.txt", "b/", "z"], "{limit}");
        assert_eq!(of(Some("a/b")).await, ["1", "2", "c/"], "{limit}");
        assert_eq!(of(Some("b")).await, ["only/"], "{limit}");
        for nothing in ["z", "a.", "A", "a/b/c/d", "a/gone"] {
            assert_eq!(of(Some(nothing)).await, Vec::<String>::new(), "{nothing}");
        }
    }
    let page = catalog.list_files(firmware, Some(path("Ü")), None, 10).await.unwrap();
    let [
        FolderEntry::File {
            name, digest: found, size, ..
        },
    ] = &page[..]
    else {
        panic!("{page:?}")
    };
    assert_eq!((name.as_str(), *found, *size), ("ä", digest("Ü/ä"), 5));
}

async fn a_page_may_begin_where_nothing_is(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for at in ["a/1", "a/2", "b", "c/1"] {
        put(catalog, firmware, at, at).await;
    }
    for (after, rest) in [
        ("", vec!["a/", "b", "c/"]),
        ("a", vec!["a/", "b", "c/"]),
        ("a/", vec!["b", "c/"]),
        ("a0", vec!["b", "c/"]),
        ("b", vec!["c/"]),
        ("b/", vec!["c/"]),
        ("zzz", vec![]),
        ("/", vec!["a/", "b", "c/"]),
    ] {
        let page = catalog.list_files(firmware, None, Some(after.into()), 10).await.unwrap();
        assert_eq!(page.iter().map(FolderEntry::marker).collect::<Vec<_>>(), rest, "after {after:?}");
    }
}

async fn all_files_below_a_folder_are_listed_bytewise_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for at in ["a.txt", "a/1", "a/b/1", "a/b/c/d", "a/b.txt", "a0", "b"] {
        put(catalog, firmware, at, at).await;
    }
    for limit in 1..8 {
        for (folder, below) in [
            (Some("a"), vec!["1", "b.txt", "b/1", "b/c/d"]),
            (Some("a/b"), vec!["1", "c/d"]),
            (None, vec!["a.txt", "a/1", "a/b.txt", "a/b/1", "a/b/c/d", "a0", "b"]),
            (Some("b"), vec![]),
        ] {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = catalog.list_files_below(firmware, folder.map(path), after, limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(last.marker());
                all.extend(page.iter().map(FolderEntry::marker));
            }
            assert_eq!(all, below, "{folder:?}, {limit}");
        }
    }
}

async fn a_damaged_file_is_listed_as_damaged_until_it_is_stored_again(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "d/fw.bin", "one").await;
    let is_damaged = async || {
        let direct = catalog.list_files(firmware, Some(path("d")), None, 10).await.unwrap();
        let below = catalog.list_files_below(firmware, None, None, 10).await.unwrap();
        let damaged = |entry: &FolderEntry| matches!(entry, FolderEntry::File { damaged: true, .. });
        assert_eq!((direct.len(), below.len()), (1, 1));
        assert_eq!(damaged(&direct[0]), damaged(&below[0]));
        damaged(&direct[0])
    };
    assert!(!is_damaged().await);
    let file = catalog.file(firmware, path("d/fw.bin")).await.unwrap().unwrap();
    catalog.quarantine_blob(file.blob).await.unwrap();
    assert!(is_damaged().await);
    put(catalog, firmware, "d/fw.bin", "one").await;
    assert!(!is_damaged().await);
}
