//! The one thread that writes SQLite: what the units of one commit can do to each other,
//! and that nobody is told of success before it is durable.

use super::super::fault::Outcome;
use super::super::lite::{Conn, Lite};
use super::*;
use crate::error::{Error, ErrorKind, What};
use diesel::connection::SimpleConnection as _;
use futures_util::future::{join, join_all};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

type Unit = Box<dyn Fn(&mut Conn) -> Outcome<()> + Send>;

/// A unit that leaves a project behind.
fn project(name: &'static str) -> Unit {
    Box::new(move |c| {
        let sql = format!("INSERT INTO project (name, public, created_at) VALUES ('{name}', false, 0)");
        Ok(c.batch_execute(&sql)?)
    })
}

/// A unit that leaves a project behind and then goes wrong.
fn project_and(name: &'static str, wrong: impl Fn(&mut Conn) -> Outcome<()> + Send + 'static) -> Unit {
    Box::new(move |c| {
        project(name)(c)?;
        wrong(c)
    })
}

/// A database and the thread that writes it.
fn on_a_writer(story: impl AsyncFnOnce(&TestDatabase, &Lite)) {
    play(&sqlite(), async |database: &TestDatabase| {
        story(database, &Lite::open(file(database), 1).unwrap()).await;
    });
}

/// Runs the units in one commit: the first one holds the thread until all the others are queued behind it.
async fn in_one_commit(lite: &Lite, units: Vec<Unit>) -> Vec<Result<()>> {
    let (all_queued, wait) = mpsc::channel();
    let holder: Unit = Box::new(move |_| {
        // It may be run again, when nobody is left who would say so.
        let _ = wait.recv();
        Ok(())
    });
    let queued = join_all(std::iter::once(holder).chain(units).map(|unit| lite.write(unit)));
    let (mut ends, ()) = join(queued, async move { all_queued.send(()).unwrap() }).await;
    ends.remove(0).ok();
    ends
}

fn projects(database: &TestDatabase) -> Vec<&'static str> {
    let names = ["one", "two", "three", "four", "five"];
    names
        .into_iter()
        .filter(|name| database.count(&format!("project WHERE name = '{name}'")) == 1)
        .collect()
}

#[test]
fn a_unit_that_fails_takes_only_its_own_work_back() {
    on_a_writer(async |database, lite| {
        let refuse = |_: &mut Conn| Err(Error::not_found(What::Tag, "no").into());
        let break_a_key =
            |c: &mut Conn| Ok(c.batch_execute("INSERT INTO repository_blob (repository, digest, lease_until) VALUES (99, 'none', 0)")?);
        let units = vec![
            project("one"),
            project_and("two", refuse),
            project("three"),
            project_and("four", break_a_key),
            project("five"),
        ];
        let ends = in_one_commit(lite, units).await;
        let kinds: Vec<_> = ends.into_iter().map(|end| end.err().map(|error| error.kind())).collect();
        assert_eq!(kinds, [None, Some(ErrorKind::NotFound), None, Some(ErrorKind::Internal), None]);
        assert_eq!(projects(database), ["one", "three", "five"]);
    });
}

#[test]
fn a_panic_fails_the_commit_it_would_have_been_in_and_the_thread_lives_on() {
    on_a_writer(async |database, lite| {
        let panic = |_: &mut Conn| panic!("on purpose");
        let units = vec![project("one"), project_and("two", panic), project("three")];
        let ends = in_one_commit(lite, units).await;
        let kinds: Vec<_> = ends.into_iter().map(|end| end.err().map(|error| error.kind())).collect();
        // The third had not run yet: it goes into the next commit.
        assert_eq!(kinds, [Some(ErrorKind::Internal), Some(ErrorKind::Internal), None]);
        assert_eq!(projects(database), ["three"]);
        lite.write(project("four")).await.unwrap();
        assert_eq!(projects(database), ["three", "four"]);
    });
}

#[test]
fn nobody_hears_of_success_when_the_commit_fails() {
    on_a_writer(async |database, lite| {
        // A key that is checked at the commit only: every unit succeeds, and then there is nothing.
        let break_a_key_late = |c: &mut Conn| {
            c.batch_execute("PRAGMA defer_foreign_keys = ON")?;
            Ok(c.batch_execute("INSERT INTO repository_blob (repository, digest, lease_until) VALUES (99, 'none', 0)")?)
        };
        let units = vec![project("one"), project_and("two", break_a_key_late), project("three")];
        for end in in_one_commit(lite, units).await {
            assert_eq!(end.unwrap_err().kind(), ErrorKind::Internal);
        }
        assert_eq!(projects(database), Vec::<&str>::new());
        lite.write(project("four")).await.unwrap();
        assert_eq!(projects(database), ["four"]);
    });
}

#[test]
fn a_full_disk_fails_the_commit_is_told_as_one_and_passes() {
    on_a_writer(async |database, lite| {
        // SQLite's own limit on the file stands in for the disk's; a new connection does not have it.
        let fill = |c: &mut Conn| {
            c.batch_execute("PRAGMA max_page_count = 1")?;
            Ok(c.batch_execute("INSERT INTO manifest (digest, bytes) VALUES ('big', zeroblob(10000000))")?)
        };
        let units = vec![project("one"), project_and("two", fill), project("three")];
        let ends = in_one_commit(lite, units).await;
        let kinds: Vec<_> = ends.into_iter().map(|end| end.err().map(|error| error.kind())).collect();
        assert_eq!(kinds, [Some(ErrorKind::StorageFull), Some(ErrorKind::StorageFull), None]);
        assert_eq!(projects(database), ["three"]);
        assert_eq!(database.count("manifest"), 0);
        assert_eq!(database.count("pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    });
}

#[test]
fn a_commit_that_finds_the_disk_full_is_run_again_once_the_ballast_has_made_room() {
    on_a_writer(async |database, lite| {
        let ballast = file(database).with_file_name("ballast");
        std::fs::write(&ballast, "heavy").unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        // There is no room the first time, and then again the third time.
        let fill = move |c: &mut Conn| {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            if run != 1 {
                c.batch_execute("PRAGMA max_page_count = 1")?;
            }
            Ok(c.batch_execute(&format!(
                "INSERT INTO manifest (digest, bytes) VALUES ('big {run}', zeroblob(10000000))"
            ))?)
        };
        let units = vec![project("one"), project_and("two", fill.clone()), project("three")];
        for end in in_one_commit(lite, units).await {
            end.unwrap();
        }
        assert_eq!(projects(database), ["one", "two", "three"]);
        assert_eq!((runs.load(Ordering::Relaxed), ballast.try_exists().unwrap()), (2, false));

        let full = lite.write(project_and("four", fill)).await.unwrap_err();
        assert_eq!((full.kind(), runs.load(Ordering::Relaxed)), (ErrorKind::StorageFull, 3));
        lite.write(project("five")).await.unwrap();
        assert_eq!(projects(database), ["one", "two", "three", "five"]);
    });
}

#[test]
fn a_database_that_cannot_be_written_to_is_told_as_one_and_passes() {
    on_a_writer(async |database, lite| {
        // SQLite's own switch stands in for the disk's; a new connection does not have it.
        let turn = |c: &mut Conn| Ok(c.batch_execute("PRAGMA query_only = ON")?);
        let unavailable = |end: Result<()>| {
            let error = end.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert!(error.message().contains("read-only"), "{error:?}");
        };
        lite.write(turn).await.unwrap();
        unavailable(lite.write(project("one")).await);
        lite.read(|c| Ok(c.batch_execute("SELECT count(*) FROM project")?)).await.unwrap();
        // In the middle of a commit the units before it are not to blame.
        let units = vec![project("two"), project_and("three", turn), project("four")];
        let mut ends = in_one_commit(lite, units).await;
        unavailable(ends.remove(2));
        ends.into_iter().for_each(Result::unwrap);
        assert_eq!(projects(database), ["two", "three"]);
        unavailable(lite.write(project("four")).await);
        lite.write(project("five")).await.unwrap();
        assert_eq!(projects(database), ["two", "three", "five"]);
    });
}

#[test]
fn what_was_handed_over_is_written_though_the_caller_went_away() {
    on_a_writer(async |database, lite| {
        let (let_go, wait) = mpsc::channel::<()>();
        let holder: Unit = Box::new(move |_| {
            let _ = wait.recv();
            Ok(())
        });
        let mut impatient = Box::pin(lite.write(project("one")));
        let queued_and_left = async {
            // One look at it queues the unit; then the caller is gone.
            tokio::select! {
                biased;
                _ = &mut impatient => panic!("nothing can be written yet"),
                () = std::future::ready(()) => {}
            }
            drop(impatient);
            let_go.send(()).unwrap();
        };
        let (held, ()) = join(lite.write(holder), queued_and_left).await;
        held.unwrap();
        lite.write(project("two")).await.unwrap();
        assert_eq!(projects(database), ["one", "two"]);
    });
}
