//! What two transactions of PostgreSQL can do to each other, each race in slow motion: a rival
//! does half of its work and holds still, the catalog comes along, and only then does the rival
//! commit. SQLite has one writer and none of this.

use super::super::fault::Outcome;
use super::super::pg::{Conn, queries};
use super::charts::named;
use super::deletions::DANGLING_TAGS;
use super::*;
use crate::error::{ErrorKind, What};
use crate::label::Labels;
use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use std::time::Duration;
use tokio::task::JoinHandle;

macro_rules! on_postgres {
    ($($race:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[test] fn $race() {
                if let Some(database) = super::super::postgres() {
                    super::super::play(&database, super::$race);
                }
            })+
        }
    };
}

on_postgres!(
    a_push_waits_for_the_deletion_of_its_manifest_and_brings_it_back,
    a_deletion_waits_for_a_push_and_takes_the_new_tag_along,
    a_deletion_leaves_a_tag_alone_that_moved_on,
    a_condition_is_tested_against_what_a_deletion_leaves,
    an_index_waits_for_the_deletion_of_its_child_and_is_refused,
    a_deletion_waits_for_an_index_and_finds_the_child_in_use,
    a_manifest_waits_for_the_unlinking_of_its_layer_and_is_refused,
    an_unlinking_waits_for_a_manifest_and_finds_the_blob_in_use,
    the_last_session_of_a_principal_is_given_once,
    garbage_collection_cannot_mark_a_blob_under_those_who_count_on_it,
    a_push_of_bytes_that_are_being_marked_brings_its_own,
    those_who_count_on_a_blob_that_is_being_marked_find_it_absent,
    a_follower_waits_for_the_smaller_number_that_commits_later,
    a_follower_waits_for_the_smaller_number_of_the_younger_transaction,
    an_event_that_is_rolled_back_holds_nobody_up,
    a_transaction_without_events_holds_nobody_up,
    a_transaction_of_many_events_takes_one_lock,
    a_file_waits_for_a_folder_of_its_name_and_is_refused,
    files_of_one_new_folder_do_not_wait_for_each_other,
    content_that_loses_its_last_path_while_it_gets_another_stays,
    a_chart_waits_for_another_with_a_file_of_its_name_and_is_refused,
);

/// The other one in the race: a transaction that stays open until told.
struct Rival(Conn);

impl Rival {
    fn begin(database: &TestDatabase) -> Self {
        let mut connection = connect(database);
        connection.batch_execute("BEGIN").unwrap();
        Self(connection)
    }

    fn does<T>(&mut self, unit: impl FnOnce(&mut Conn) -> Outcome<T>) -> T {
        unit(&mut self.0).unwrap()
    }

    fn says(&mut self, sql: &str) {
        self.0.batch_execute(sql).unwrap();
    }

    fn commits(mut self) {
        self.says("COMMIT");
    }
}

fn connect(database: &TestDatabase) -> Conn {
    Conn::establish(url(database)).unwrap()
}

/// Starts `work` and lets it go on until it is done or waits for a lock. Which of the two it is, the race decides.
async fn start<T: Send + 'static>(database: &TestDatabase, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let task = tokio::spawn(work);
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while !task.is_finished() && database.count(waiting) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    task
}

fn put(catalog: &Catalog, new: NewManifest) -> impl Future<Output = Result<Stored>> + use<> {
    let catalog = catalog.clone();
    async move { catalog.put_manifest(new).await }
}

fn delete(catalog: &Catalog, repository: RepositoryId, digest: Digest) -> impl Future<Output = Result<Deleted>> + use<> {
    let catalog = catalog.clone();
    async move { catalog.delete_artifact(repository, digest, somebody()).await }
}

async fn a_push_waits_for_the_deletion_of_its_manifest_and_brings_it_back(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let image = push(catalog, manifest(api, "image").tagged(&["1.0"])).await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::delete_artifact(c, &api, &image, &somebody()));
    let pushed = start(database, put(catalog, manifest(api, "image").tagged(&["2.0"]))).await;
    rival.commits();
    assert!(pushed.await.unwrap().unwrap().created);
    assert_eq!(target(catalog, api, "2.0").await, Some(image));
    assert_eq!(database.count(DANGLING_TAGS), 0);
}

async fn a_deletion_waits_for_a_push_and_takes_the_new_tag_along(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let image = push(catalog, manifest(api, "image").tagged(&["1.0"])).await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_manifest(c, &manifest(api, "image").tagged(&["2.0"])));
    let deleted = start(database, delete(catalog, api, image)).await;
    rival.commits();
    assert_eq!(deleted.await.unwrap().unwrap(), Deleted::Done);
    assert_eq!(catalog.tags(api, None, 10).await.unwrap(), Vec::<String>::new());
    assert_eq!(database.count(DANGLING_TAGS), 0);
}

async fn a_deletion_leaves_a_tag_alone_that_moved_on(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let old = push(catalog, manifest(api, "old").tagged(&["1.0"])).await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_manifest(c, &manifest(api, "new").tagged(&["1.0"])));
    let deleted = start(database, delete(catalog, api, old)).await;
    rival.commits();
    assert_eq!(deleted.await.unwrap().unwrap(), Deleted::Done);
    assert_eq!(target(catalog, api, "1.0").await, Some(digest("new")));
    assert_eq!(history(catalog, api, "1.0").await, [Some(old), Some(digest("new"))]);
}

async fn a_condition_is_tested_against_what_a_deletion_leaves(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let old = push(catalog, manifest(api, "old").tagged(&["1.0"])).await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::delete_artifact(c, &api, &old, &somebody()));
    let new = manifest(api, "new").tagged(&["1.0"]).only_if(Condition::OneOf(vec![old]));
    let pushed = start(database, put(catalog, new)).await;
    rival.commits();
    assert_eq!(refusal(pushed.await.unwrap()), (ErrorKind::PreconditionFailed, What::Tag));
    assert_eq!(history(catalog, api, "1.0").await, [Some(old), None]);
}

async fn an_index_waits_for_the_deletion_of_its_child_and_is_refused(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let image = push(catalog, manifest(api, "image")).await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::delete_artifact(c, &api, &image, &somebody()));
    let pushed = start(database, put(catalog, manifest(api, "index").naming(image, EdgeRole::Child))).await;
    rival.commits();
    assert_eq!(refusal(pushed.await.unwrap()), (ErrorKind::Invalid, What::Reference));
    assert!(!is_live(catalog, api, digest("index")).await);
}

async fn a_deletion_waits_for_an_index_and_finds_the_child_in_use(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let image = push(catalog, manifest(api, "image")).await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_manifest(c, &manifest(api, "index").naming(image, EdgeRole::Child)));
    let deleted = start(database, delete(catalog, api, image)).await;
    rival.commits();
    assert_eq!(deleted.await.unwrap().unwrap(), Deleted::InUse(vec![digest("index")]));
    assert!(is_live(catalog, api, image).await);
}

async fn a_manifest_waits_for_the_unlinking_of_its_layer_and_is_refused(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::unlink_blob(c, &api, &layer, &somebody()));
    let pushed = start(database, put(catalog, manifest(api, "image").naming(layer, EdgeRole::Layer))).await;
    rival.commits();
    assert_eq!(refusal(pushed.await.unwrap()), (ErrorKind::Invalid, What::Reference));
    assert!(!is_live(catalog, api, digest("image")).await);
}

async fn an_unlinking_waits_for_a_manifest_and_finds_the_blob_in_use(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_manifest(c, &manifest(api, "image").naming(layer, EdgeRole::Layer)));
    let unlinking = catalog.clone();
    let unlinked = start(database, async move { unlinking.unlink_blob(api, layer, somebody()).await }).await;
    rival.commits();
    assert_eq!(unlinked.await.unwrap().unwrap(), Deleted::InUse(vec![digest("image")]));
    assert!(catalog.blob(api, layer).await.unwrap().is_some());
}

async fn the_last_session_of_a_principal_is_given_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let mut rival = Rival::begin(database);
    let id = UploadId::random();
    rival.does(|c| queries::create_upload(c, &id, &api, &somebody(), &Algorithm::Sha256, &FUTURE, &1));
    let opening = catalog.clone();
    let opened = async move { opening.create_upload(api, somebody(), Algorithm::Sha256, FUTURE, 1).await };
    let opened = start(database, opened).await;
    rival.commits();
    assert_eq!(refusal(opened.await.unwrap()), (ErrorKind::TooManyRequests, What::Upload));
}

type Unit<'a> = dyn Fn(&mut Conn) -> Outcome<()> + 'a;

async fn garbage_collection_cannot_mark_a_blob_under_those_who_count_on_it(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;
    let again = new_blob(api, "layer").await;
    let image = manifest(api, "image").naming(layer, EdgeRole::Layer);
    let counting: [(&str, &Unit<'_>); 4] = [
        ("a push of a manifest", &|c| queries::put_manifest(c, &image).map(drop)),
        ("a push of the same bytes", &|c| queries::commit_blob(c, &again).map(drop)),
        ("a mount", &|c| {
            queries::mount_blob(c, &web, &api, &layer, &FUTURE, &somebody()).map(drop)
        }),
        ("a renewed lease", &|c| queries::touch_blob(c, &api, &layer, &(FUTURE + 1))),
    ];
    for (who, unit) in counting {
        let mut rival = Rival::begin(database);
        rival.does(unit);
        // The lock that marking takes, without the wait for it.
        let marked = connect(database).batch_execute("BEGIN; SELECT 1 FROM blob FOR NO KEY UPDATE NOWAIT");
        assert!(marked.is_err(), "{who} left the blob unlocked");
        rival.says("ROLLBACK");
    }
    connect(database)
        .batch_execute("BEGIN; SELECT 1 FROM blob FOR NO KEY UPDATE NOWAIT")
        .unwrap();
}

/// Garbage collection that has marked every blob and not committed it yet.
fn marking(database: &TestDatabase) -> Rival {
    let mut collector = Rival::begin(database);
    collector.says("UPDATE blob SET state = 'deleting'");
    collector
}

async fn a_push_of_bytes_that_are_being_marked_brings_its_own(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    let collector = marking(database);
    let again = new_blob(api, "layer").await;
    let key = again.blob.key().clone();
    let pushing = catalog.clone();
    let pushed = start(database, async move { pushing.commit_blob(again).await }).await;
    collector.commits();
    assert_eq!(pushed.await.unwrap().unwrap(), Committed::New);
    assert_eq!(catalog.blob(api, layer).await.unwrap().unwrap().key, key);
}

async fn those_who_count_on_a_blob_that_is_being_marked_find_it_absent(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let layer = push_blob(catalog, api, "layer").await;

    let collector = marking(database);
    let pushed = start(database, put(catalog, manifest(api, "image").naming(layer, EdgeRole::Layer))).await;
    collector.commits();
    assert_eq!(refusal(pushed.await.unwrap()), (ErrorKind::Invalid, What::Reference));

    database.execute("UPDATE blob SET state = 'live'");
    let collector = marking(database);
    let mounting = catalog.clone();
    let mounted = start(
        database,
        async move { mounting.mount_blob(web, api, layer, FUTURE, somebody()).await },
    )
    .await;
    collector.commits();
    assert_eq!(mounted.await.unwrap().unwrap(), None);
}

/// What a follower reads that goes on from where it is until there is nothing more.
async fn follow(catalog: &Catalog, seen: &mut Vec<i64>) {
    loop {
        let page = catalog.events(seen.last().copied().unwrap_or(0), 1).await.unwrap();
        if page.is_empty() {
            return;
        }
        seen.extend(page.into_iter().map(|event| event.seq));
    }
}

fn an_event(name: &str) -> impl FnOnce(&mut Conn) -> Outcome<Project> {
    move |c| queries::create_project(c, &project_name(name), &false, &None, &somebody())
}

async fn a_follower_waits_for_the_smaller_number_that_commits_later(database: &TestDatabase) {
    let (mut first, mut second) = (Rival::begin(database), Rival::begin(database));
    first.does(an_event("first"));
    second.does(an_event("second"));
    let mut seen = Vec::new();
    second.commits();
    follow(&database.catalog, &mut seen).await;
    first.commits();
    follow(&database.catalog, &mut seen).await;
    assert_eq!(seen, [1, 2]);
}

async fn a_follower_waits_for_the_smaller_number_of_the_younger_transaction(database: &TestDatabase) {
    // The older transaction takes its number last: the order of the transactions says nothing of the numbers.
    let (mut older, mut younger) = (Rival::begin(database), Rival::begin(database));
    older.says("SELECT pg_current_xact_id()");
    younger.does(an_event("first"));
    older.does(an_event("second"));
    let mut seen = Vec::new();
    older.commits();
    follow(&database.catalog, &mut seen).await;
    younger.commits();
    follow(&database.catalog, &mut seen).await;
    assert_eq!(seen, [1, 2]);
}

async fn an_event_that_is_rolled_back_holds_nobody_up(database: &TestDatabase) {
    let (mut first, mut second) = (Rival::begin(database), Rival::begin(database));
    first.does(an_event("first"));
    second.does(an_event("second"));
    second.commits();
    first.says("ROLLBACK");
    let mut seen = Vec::new();
    follow(&database.catalog, &mut seen).await;
    assert_eq!(seen, [2]);
}

async fn a_transaction_without_events_holds_nobody_up(database: &TestDatabase) {
    let mut busy = Rival::begin(database);
    busy.says("SELECT pg_current_xact_id()");
    repository(&database.catalog, "acme/api").await;
    let mut seen = Vec::new();
    follow(&database.catalog, &mut seen).await;
    assert_eq!(seen, [1, 2]);
    busy.commits();
}

async fn a_transaction_of_many_events_takes_one_lock(database: &TestDatabase) {
    // The server's room for locks is shared and small; a deletion may take thousands of tags along.
    let mut rival = Rival::begin(database);
    for number in 0..100 {
        rival.does(an_event(&format!("project{number}")));
    }
    let held = "pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    assert_eq!(database.count(held), 1);
}

fn put_file(catalog: &Catalog, new: NewFile) -> impl Future<Output = Result<FileStored>> + use<> {
    let catalog = catalog.clone();
    async move { catalog.put_file(Arc::new(new)).await }
}

fn file(repository: RepositoryId, path: &str, content: &str) -> NewFile {
    NewFile {
        repository,
        path: path.parse().unwrap(),
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

async fn a_file_waits_for_a_folder_of_its_name_and_is_refused(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push_blob(catalog, api, "one").await;
    for (first, second) in [("a/b/c", "a"), ("a/b/c", "a/b"), ("x", "x/y/z"), ("v/w", "v/w/x")] {
        let mut rival = Rival::begin(database);
        rival.does(|c| queries::put_file(c, &file(api, first, "one")));
        let stored = start(database, put_file(catalog, file(api, second, "one"))).await;
        assert!(!stored.is_finished(), "{second} did not wait for {first}");
        rival.commits();
        assert_eq!(refusal(stored.await.unwrap()), (ErrorKind::Conflict, What::File), "{second}");
    }
}

async fn files_of_one_new_folder_do_not_wait_for_each_other(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    for content in ["one", "two"] {
        push_blob(catalog, api, content).await;
    }
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_file(c, &file(api, "a/b/one", "one")));
    // Its end is not waited for, and it comes before the rival's.
    put_file(catalog, file(api, "a/b/two", "two")).await.unwrap();
    rival.commits();
    assert_eq!(database.count("version WHERE state = 'live'"), 2);
}

async fn content_that_loses_its_last_path_while_it_gets_another_stays(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    push_blob(catalog, api, "one").await;
    put_file(catalog, file(api, "old", "one")).await.unwrap();
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_file(c, &file(api, "new", "one")));
    let (own, path) = (catalog.clone(), "old".parse().unwrap());
    let deleted = start(
        database,
        async move { own.delete_file(api, path, Condition::Always, somebody()).await },
    )
    .await;
    rival.commits();
    assert!(deleted.await.unwrap().unwrap());
    assert_eq!(database.count("artifact WHERE state = 'live'"), 1);
    // The other way round: the deletion is first, and the content comes back from the trash.
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::delete_file(c, &api, &"new".parse().unwrap(), &Condition::Always, &somebody()));
    let stored = start(database, put_file(catalog, file(api, "third", "one"))).await;
    rival.commits();
    assert_eq!(stored.await.unwrap().unwrap(), FileStored::Created);
    assert_eq!(database.count("artifact WHERE state = 'live'"), 1);
}

async fn a_chart_waits_for_another_with_a_file_of_its_name_and_is_refused(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (short, long) = (repository(catalog, "acme/a").await, repository(catalog, "acme/a-1").await);
    for (repository, content) in [(short, "one"), (long, "two")] {
        push_blob(catalog, repository, content).await;
    }
    let mut rival = Rival::begin(database);
    rival.does(|c| queries::put_manifest(c, &named(short, "one", "a", "1-2", "one").tagged(&["1-2"])));
    let own = catalog.clone();
    let pushed = start(database, async move {
        own.put_manifest(named(long, "two", "a-1", "2", "two").tagged(&["2"])).await
    })
    .await;
    assert!(!pushed.is_finished());
    rival.commits();
    assert_eq!(refusal(pushed.await.unwrap()), (ErrorKind::Conflict, What::Tag));
}
