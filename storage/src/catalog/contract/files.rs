//! Files: paths that point at content, one at a time, none of them a file and a folder at once.

use super::*;
use crate::blob::Blob;
use crate::error::{ErrorKind, What};
use crate::label::Labels;
use crate::name::FilePath;
use crate::sums::FileSums;
use futures_util::future::join_all;
use std::collections::BTreeSet;

on_each_database!(
    a_file_is_found_by_its_path_with_all_there_is_to_know,
    files_are_found_by_their_paths_as_each_of_them_is,
    the_same_content_again_changes_nothing,
    what_was_read_once_is_not_read_again_after_a_change,
    other_content_takes_the_place_and_the_history_remembers,
    equal_bytes_under_two_paths_are_one_artifact_and_differ_in_what_the_paths_say,
    content_without_a_path_is_in_the_trash_and_comes_back_with_one,
    a_deleted_file_is_gone_and_its_path_free,
    conditions_compare_and_swap_a_file,
    a_date_is_a_condition_unless_its_second_saw_two_changes,
    the_same_content_of_another_type_is_told_apart_by_who_may_overwrite,
    the_same_bytes_mend_a_damaged_file_whatever_the_condition,
    the_checksums_beside_a_path_are_told_with_its_place,
    who_may_not_overwrite_may_only_add_files,
    no_path_is_a_file_and_a_folder,
    bytes_that_the_repository_does_not_link_make_no_file,
    a_file_is_nowhere_else,
    many_files_in_one_new_folder_are_all_stored,
    of_many_files_and_folders_of_one_name_either_kind_wins,
    of_many_who_want_the_path_free_one_wins,
);

pub(super) fn path(text: &str) -> FilePath {
    text.parse().unwrap()
}

pub(super) async fn files(catalog: &Catalog) -> RepositoryId {
    let made = catalog.ensure_repository(name("acme/firmware"), StorageFormat::Generic, None, somebody());
    made.await.unwrap().id
}

/// Links bytes of which all checksums are known.
async fn push_bytes(catalog: &Catalog, repository: RepositoryId, content: &str) -> Blob {
    let mut writer = MemoryStore::default().begin(UploadId::random(), Algorithm::Sha256).await.unwrap();
    writer.with_sums().await.unwrap();
    writer.write(Bytes::copy_from_slice(content.as_bytes())).await.unwrap();
    let blob = writer.commit(&digest(content)).await.unwrap();
    let new_blob = NewBlob {
        blob: blob.clone(),
        ..new_blob(repository, content).await
    };
    catalog.commit_blob(new_blob).await.unwrap();
    blob.blob().clone()
}

/// A file to be stored, its bytes linked.
pub(super) async fn new(catalog: &Catalog, repository: RepositoryId, at: &str, content: &str) -> NewFile {
    push_bytes(catalog, repository, content).await;
    NewFile {
        repository,
        path: path(at),
        digest: digest(content),
        size: content.len() as u64,
        media_type: None,
        condition: Condition::Always,
        may_overwrite: true,
        labels: Labels::default(),
        mends: false,
        source: None,
        by: somebody(),
    }
}

pub(super) async fn put(catalog: &Catalog, repository: RepositoryId, at: &str, content: &str) -> FileStored {
    let new = new(catalog, repository, at, content).await;
    catalog.put_file(Arc::new(new)).await.unwrap()
}

/// The content at a path.
pub(super) async fn at(catalog: &Catalog, repository: RepositoryId, at: &str) -> Option<Digest> {
    let found = catalog.file(repository, path(at)).await.unwrap();
    found.map(|file| file.blob.digest)
}

/// The markers in a folder, page by page.
pub(super) async fn listed(catalog: &Catalog, repository: RepositoryId, folder: Option<&str>, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.list_files(repository, folder.map(path), after, limit).await.unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        after = Some(last.marker());
        all.extend(page.iter().map(FolderEntry::marker));
    }
}

/// States of the artifacts of a content.
fn artifacts(database: &TestDatabase, content: &str, state: &str) -> i64 {
    database.count(&format!("artifact WHERE digest = '{}' AND state = '{state}'", digest(content)))
}

async fn a_file_is_found_by_its_path_with_all_there_is_to_know(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let blob = push_bytes(catalog, firmware, "the bytes").await;
    let before = clock::now();
    let stored = NewFile {
        media_type: Some("text/plain".into()),
        ..new(catalog, firmware, "1.2/größe.txt", "the bytes").await
    };
    assert_eq!(catalog.put_file(Arc::new(stored)).await.unwrap(), FileStored::Created);
    let found = catalog.file(firmware, path("1.2/größe.txt")).await.unwrap().unwrap();
    assert!((before..=clock::now()).contains(&found.updated_at));
    let expected = FileView {
        damaged: false,
        path: path("1.2/größe.txt"),
        blob,
        media_type: Some("text/plain".into()),
        sums: Some(FileSums::of(b"the bytes")),
        labels: Labels::default(),
        updated_at: found.updated_at,
        updated_by: somebody(),
    };
    assert_eq!(found, expected);
    for elsewhere in ["1.2", "1.2/größe.tx", "1.2/Größe.txt", "größe.txt"] {
        assert_eq!(at(catalog, firmware, elsewhere).await, None, "{elsewhere}");
    }
    let row = format!(
        "artifact WHERE kind = 'file' AND state = 'live' AND digest = '{}' AND size = 9",
        digest("the bytes")
    );
    assert_eq!(database.count(&row), 1);
    assert_eq!(database.count("edge WHERE role = 'file' AND parent = child AND required"), 1);
    let events = catalog.events(0, 100).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (last.kind.as_str(), &*last.principal, last.repository),
        ("file.stored", "alice", Some(firmware))
    );
    assert!(last.body.contains(r#""path":"1.2/größe.txt""#), "{}", last.body);
}

async fn what_was_read_once_is_not_read_again_after_a_change(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "fw.bin", "one").await;
    assert_eq!(at(catalog, firmware, "fw.bin").await, Some(digest("one")));
    put(catalog, firmware, "fw.bin", "two").await;
    assert_eq!(at(catalog, firmware, "fw.bin").await, Some(digest("two")));
    let deleted = catalog.delete_file(firmware, path("fw.bin"), Condition::Always, somebody());
    assert!(deleted.await.unwrap());
    assert_eq!(at(catalog, firmware, "fw.bin").await, None);
}

async fn files_are_found_by_their_paths_as_each_of_them_is(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (firmware, api) = (files(catalog).await, repository(catalog, "acme/api").await);
    // More than any page, to see that a statement takes so many.
    let many: Vec<_> = (0..600).map(|number| path(&format!("none/{number}"))).collect();
    for at in ["b", "a/2", "a/1", "Ü", "not asked for"] {
        put(catalog, firmware, at, at).await;
    }
    put(catalog, api, "c", "elsewhere").await;
    let asked = ["Ü", "a/1", "b", "c", "a/2"].map(path);
    let found = catalog.files(firmware, [&many[..], &asked].concat()).await.unwrap();
    let mut one_by_one = Vec::new();
    for at in ["a/1", "a/2", "b", "Ü"] {
        one_by_one.extend(catalog.file(firmware, path(at)).await.unwrap());
    }
    assert_eq!(found, one_by_one);
}

async fn the_same_content_again_changes_nothing(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "a/fw.bin", "one").await;
    let first = catalog.file(firmware, path("a/fw.bin")).await.unwrap();
    let again = NewFile {
        by: "bob".into(),
        may_overwrite: false,
        ..new(catalog, firmware, "a/fw.bin", "one").await
    };
    let before = catalog.events(0, 100).await.unwrap();
    assert_eq!(catalog.put_file(Arc::new(again)).await.unwrap(), FileStored::Unchanged);
    assert_eq!(catalog.file(firmware, path("a/fw.bin")).await.unwrap(), first);
    assert_eq!(catalog.events(0, 100).await.unwrap(), before);
    assert_eq!(database.count("version_history"), 1);
}

async fn other_content_takes_the_place_and_the_history_remembers(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    assert_eq!(put(catalog, firmware, "fw.bin", "one").await, FileStored::Created);
    let skip = catalog.events(0, 100).await.unwrap().len();
    assert_eq!(put(catalog, firmware, "fw.bin", "two").await, FileStored::Replaced(digest("one")));
    assert_eq!(at(catalog, firmware, "fw.bin").await, Some(digest("two")));
    assert_eq!(events_after(catalog, skip).await, ["blob.pushed", "file.moved"]);
    assert_eq!(
        history(catalog, firmware, "fw.bin").await,
        [Some(digest("one")), Some(digest("two"))]
    );
    assert_eq!((artifacts(database, "one", "trashed"), artifacts(database, "two", "live")), (1, 1));
}

async fn equal_bytes_under_two_paths_are_one_artifact_and_differ_in_what_the_paths_say(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for (at, media_type) in [("a.txt", "text/plain"), ("b.csv", "text/csv")] {
        let file = NewFile {
            media_type: Some(media_type.into()),
            ..new(catalog, firmware, at, "1,2").await
        };
        assert_eq!(catalog.put_file(Arc::new(file)).await.unwrap(), FileStored::Created);
    }
    for (at, media_type) in [("a.txt", "text/plain"), ("b.csv", "text/csv")] {
        let found = catalog.file(firmware, path(at)).await.unwrap().unwrap();
        assert_eq!(found.media_type.as_deref(), Some(media_type));
    }
    assert_eq!(
        (database.count("artifact"), database.count("blob"), database.count("edge")),
        (1, 1, 1)
    );
    // One of them goes; the other one holds the content.
    assert!(
        catalog
            .delete_file(firmware, path("a.txt"), Condition::Always, somebody())
            .await
            .unwrap()
    );
    assert_eq!(artifacts(database, "1,2", "live"), 1);
    assert_eq!(at(catalog, firmware, "b.csv").await, Some(digest("1,2")));
}

async fn content_without_a_path_is_in_the_trash_and_comes_back_with_one(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "fw.bin", "one").await;
    put(catalog, firmware, "fw.bin", "two").await;
    assert_eq!(artifacts(database, "one", "trashed"), 1);
    assert_eq!(put(catalog, firmware, "old.bin", "one").await, FileStored::Created);
    assert_eq!(artifacts(database, "one", "live"), 1);
    assert_eq!(database.count("artifact WHERE trashed_at IS NOT NULL"), 0);
}

async fn a_deleted_file_is_gone_and_its_path_free(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "a/b", "one").await;
    let delete = |at: &str| catalog.delete_file(firmware, path(at), Condition::Always, "bob".into());
    assert!(!delete("a").await.unwrap(), "a folder is no file");
    assert!(delete("a/b").await.unwrap());
    assert_eq!(at(catalog, firmware, "a/b").await, None);
    assert_eq!(listed(catalog, firmware, None, 10).await, Vec::<String>::new());
    assert_eq!(artifacts(database, "one", "trashed"), 1);
    assert_eq!(database.count("version_history WHERE name = 'a/b'"), 2);
    assert_eq!(
        database.count("version_history WHERE name = 'a/b' AND digest IS NULL AND principal = 'bob'"),
        1
    );
    let events = catalog.events(0, 100).await.unwrap();
    assert_eq!(
        events.last().map(|event| (event.kind.as_str(), &*event.principal)),
        Some(("file.deleted", "bob"))
    );
    assert!(!delete("a/b").await.unwrap());
    assert_eq!(catalog.events(0, 100).await.unwrap(), events, "nothing was there to be deleted");
    // What was a folder may be a file now, and the other way round.
    assert_eq!(put(catalog, firmware, "a", "one").await, FileStored::Created);
}

async fn conditions_compare_and_swap_a_file(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let store = async |content: &str, condition: Condition| {
        let file = NewFile {
            condition,
            ..new(catalog, firmware, "fw.bin", content).await
        };
        catalog.put_file(Arc::new(file)).await
    };
    let failed = (ErrorKind::PreconditionFailed, What::File);
    assert_eq!(refusal(store("one", Condition::Present).await), failed);
    store("one", Condition::Absent).await.unwrap();
    assert_eq!(refusal(store("one", Condition::Absent).await), failed, "also of the same content");
    assert_eq!(refusal(store("two", Condition::OneOf(vec![digest("two")])).await), failed);
    store("two", Condition::OneOf(vec![digest("one")])).await.unwrap();
    let delete = |condition| catalog.delete_file(firmware, path("fw.bin"), condition, somebody());
    assert_eq!(refusal(delete(Condition::OneOf(vec![digest("one")])).await), failed);
    assert_eq!(at(catalog, firmware, "fw.bin").await, Some(digest("two")));
    assert!(delete(Condition::OneOf(vec![digest("two")])).await.unwrap());
    assert_eq!(refusal(delete(Condition::Present).await), failed);
}

/// The last change of a path, after one of its changes that fell into the second of the one before (`twice`) or not.
async fn last_change(catalog: &Catalog, repository: RepositoryId, at: &str, twice: bool) -> Changed {
    let mut second = None;
    for number in 0..100 {
        put(catalog, repository, at, &format!("content {number}")).await;
        let changed = catalog.file_place(repository, path(at)).await.unwrap().changed.unwrap();
        if second.is_some_and(|second| (second == changed.second) == twice) {
            return changed;
        }
        second = Some(changed.second);
        let pause = if twice { 0 } else { 1100 };
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
    panic!("the clock stands still, or runs")
}

async fn a_date_is_a_condition_unless_its_second_saw_two_changes(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let failed = (ErrorKind::PreconditionFailed, What::File);
    let delete = |since| catalog.delete_file(firmware, path("fw.bin"), Condition::UnchangedSince(since), somebody());
    assert!(!delete(0).await.unwrap(), "what is not there has no date");
    let twice = last_change(catalog, firmware, "fw.bin", true).await;
    assert!(!twice.once);
    for earlier in [0, twice.second - 1, twice.second] {
        assert_eq!(refusal(delete(earlier).await), failed);
    }
    let file = NewFile {
        condition: Condition::UnchangedSince(twice.second),
        ..new(catalog, firmware, "fw.bin", "other").await
    };
    assert_eq!(refusal(catalog.put_file(Arc::new(file)).await), failed);
    assert!(delete(twice.second + 1).await.unwrap());
    let once = last_change(catalog, firmware, "fw.bin", false).await;
    assert!(once.once);
    let read = catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap();
    assert_eq!(catalog.file_changed(firmware, path("fw.bin"), read.updated_at).await.unwrap(), once);
    assert_eq!(refusal(delete(once.second - 1).await), failed);
    assert!(delete(once.second).await.unwrap());
}

async fn the_same_content_of_another_type_is_told_apart_by_who_may_overwrite(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let store = async |media_type: Option<&str>, may_overwrite: bool| {
        let file = NewFile {
            media_type: media_type.map(str::to_owned),
            may_overwrite,
            ..new(catalog, firmware, "fw.bin", "one").await
        };
        catalog.put_file(Arc::new(file)).await
    };
    store(Some("text/plain"), false).await.unwrap();
    let media_type = async || catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().media_type;
    for same in [None, Some("text/plain")] {
        assert_eq!(store(same, false).await.unwrap(), FileStored::Unchanged);
    }
    assert_eq!(refusal(store(Some("text/csv"), false).await), (ErrorKind::Conflict, What::File));
    assert_eq!(media_type().await.as_deref(), Some("text/plain"));
    assert_eq!(store(Some("text/csv"), true).await.unwrap(), FileStored::Relabelled);
    assert_eq!(media_type().await.as_deref(), Some("text/csv"));
    let events = catalog.events(0, 100).await.unwrap();
    assert_eq!(events.last().unwrap().kind, "file.retyped");
    assert_eq!(database.count("version_history"), 1, "the content is what it was");
}

async fn the_same_bytes_mend_a_damaged_file_whatever_the_condition(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "fw.bin", "one").await;
    let damaged = catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().blob;
    catalog.quarantine_blob(damaged).await.unwrap();
    let store = async |content: &str, mends: bool| {
        let file = NewFile {
            condition: Condition::Absent,
            may_overwrite: false,
            mends,
            ..new(catalog, firmware, "fw.bin", content).await
        };
        catalog.put_file(Arc::new(file)).await
    };
    // Other bytes mend nothing.
    let failed = (ErrorKind::PreconditionFailed, What::File);
    assert_eq!(refusal(store("two", true).await), failed);
    assert!(catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().damaged);
    assert_eq!(store("one", true).await.unwrap(), FileStored::Unchanged);
    assert!(!catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().damaged);
    assert_eq!(refusal(store("one", false).await), failed);
}

async fn the_checksums_beside_a_path_are_told_with_its_place(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    for at in ["a/fw.bin.md5", "a/fw.bin.sha256", "a/fw.bin.asc", "a/fw.sha1", "fw.bin.sha512"] {
        put(catalog, firmware, at, at).await;
    }
    let place = catalog.file_place(firmware, path("a/fw.bin")).await.unwrap();
    let beside: Vec<&str> = place.sidecars.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(beside, ["a/fw.bin.md5", "a/fw.bin.sha256"]);
    assert_eq!((place.current, place.changed), (None, None));
    // What cannot be read says nothing.
    catalog.quarantine_blob(place.sidecars[0].blob.clone()).await.unwrap();
    let place = catalog.file_place(firmware, path("a/fw.bin")).await.unwrap();
    assert_eq!(place.sidecars.len(), 1);
}

async fn who_may_not_overwrite_may_only_add_files(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let store = async |content: &str| {
        let file = NewFile {
            may_overwrite: false,
            ..new(catalog, firmware, "fw.bin", content).await
        };
        catalog.put_file(Arc::new(file)).await
    };
    assert_eq!(store("one").await.unwrap(), FileStored::Created);
    assert_eq!(refusal(store("two").await), (ErrorKind::Conflict, What::File));
    assert_eq!(store("one").await.unwrap(), FileStored::Unchanged);
    assert_eq!(at(catalog, firmware, "fw.bin").await, Some(digest("one")));
    assert_eq!(database.count("artifact"), 1);
}

async fn no_path_is_a_file_and_a_folder(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    put(catalog, firmware, "a/b/c", "one").await;
    for beside in ["a/b.txt", "a/b0", "a/b-", "a0", "a/b/d", "a/b!/c"] {
        assert_eq!(put(catalog, firmware, beside, "one").await, FileStored::Created, "{beside}");
    }
    for (bad, in_the_way) in [("a", "a/b!/c"), ("a/b", "a/b/c"), ("a/b/c/d", "a/b/c"), ("a/b/c/d/e/f", "a/b/c")] {
        let place = catalog.file_place(firmware, path(bad)).await.unwrap();
        assert_eq!((place.current, place.in_the_way.as_deref()), (None, Some(in_the_way)), "{bad}");
        let file = new(catalog, firmware, bad, "one").await;
        let error = catalog.put_file(Arc::new(file)).await.unwrap_err();
        assert_eq!((error.kind(), error.what()), (ErrorKind::Conflict, What::File), "{bad}");
        assert!(error.message().contains(in_the_way), "{error}");
    }
    let free = catalog.file_place(firmware, path("a/b/e")).await.unwrap();
    assert_eq!(free, FilePlace::default());
    let taken = catalog.file_place(firmware, path("a/b/d")).await.unwrap();
    assert_eq!((taken.current, taken.in_the_way), (Some(digest("one")), None));
}

async fn bytes_that_the_repository_does_not_link_make_no_file(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (firmware, api) = (files(catalog).await, repository(catalog, "acme/api").await);
    let file = NewFile {
        repository: firmware,
        ..new(catalog, api, "fw.bin", "elsewhere").await
    };
    assert_eq!(refusal(catalog.put_file(Arc::new(file)).await), (ErrorKind::Conflict, What::Blob));
    assert_eq!((database.count("version"), database.count("artifact")), (0, 0));
}

async fn a_file_is_nowhere_else(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let other = catalog
        .ensure_repository(name("acme/other"), StorageFormat::Generic, None, somebody())
        .await
        .unwrap()
        .id;
    put(catalog, firmware, "fw.bin", "one").await;
    assert_eq!(at(catalog, other, "fw.bin").await, None);
    assert_eq!(listed(catalog, other, None, 10).await, Vec::<String>::new());
    assert!(
        !catalog
            .delete_file(other, path("fw.bin"), Condition::Always, somebody())
            .await
            .unwrap()
    );
    // A file whose blob is set aside says so, until the blob is pushed again.
    let damaged = catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().blob;
    catalog.quarantine_blob(damaged).await.unwrap();
    assert!(catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().damaged);
    assert!(catalog.file_place(firmware, path("fw.bin")).await.unwrap().damaged);
    assert_eq!(put(catalog, firmware, "fw.bin", "one").await, FileStored::Unchanged);
    assert!(!catalog.file(firmware, path("fw.bin")).await.unwrap().unwrap().damaged);
    assert!(!catalog.file_place(firmware, path("fw.bin")).await.unwrap().damaged);
}

async fn many_files_in_one_new_folder_are_all_stored(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let names: Vec<String> = (0..MANY).map(|number| format!("1.0/new/{number}.bin")).collect();
    let stored = join_all(names.iter().map(|at| put(catalog, firmware, at, at))).await;
    assert!(stored.iter().all(|stored| *stored == FileStored::Created));
    assert_eq!(listed(catalog, firmware, Some("1.0/new"), 7).await.len(), MANY);
    assert_eq!(database.count("artifact WHERE kind = 'file' AND state = 'live'"), MANY as i64);
}

async fn of_many_files_and_folders_of_one_name_either_kind_wins(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    // Each name once as a file and once as a folder, all at once.
    let names: Vec<String> = (0..MANY / 2)
        .flat_map(|name| [format!("x/{name}"), format!("x/{name}/deep/file")])
        .collect();
    let mut all = Vec::new();
    for at in &names {
        all.push(Arc::new(new(catalog, firmware, at, "the same").await));
    }
    let ended = join_all(all.into_iter().map(|new| catalog.put_file(new))).await;
    for pair in ended.chunks(2) {
        let stored = pair.iter().filter(|end| end.is_ok()).count();
        assert_eq!(stored, 1, "{pair:?}");
        let refused = pair.iter().find_map(|end| end.as_ref().err()).unwrap();
        assert_eq!((refused.kind(), refused.what()), (ErrorKind::Conflict, What::File));
    }
    let markers = listed(catalog, firmware, Some("x"), 5).await;
    let distinct: BTreeSet<&str> = markers.iter().map(|marker| marker.trim_end_matches('/')).collect();
    assert_eq!((markers.len(), distinct.len()), (MANY / 2, MANY / 2));
}

async fn of_many_who_want_the_path_free_one_wins(database: &TestDatabase) {
    let catalog = &database.catalog;
    let firmware = files(catalog).await;
    let mut all = Vec::new();
    for number in 0..MANY {
        let file = NewFile {
            condition: Condition::Absent,
            ..new(catalog, firmware, "fw.bin", &format!("of {number}")).await
        };
        all.push(Arc::new(file));
    }
    let ended = join_all(all.into_iter().map(|new| catalog.put_file(new))).await;
    assert_eq!(ended.iter().filter(|end| end.is_ok()).count(), 1);
    assert_eq!(history(catalog, firmware, "fw.bin").await.len(), 1);
    assert_eq!(database.count("artifact"), 1);
}
