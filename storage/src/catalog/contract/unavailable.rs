//! Databases that are busy, full or gone: what the caller is told, and that it passes.

use super::super::fault::Outcome;
use super::super::lite::Lite;
use super::super::pg::Pg;
use super::*;
use crate::error::{Error, ErrorKind};
use diesel::connection::SimpleConnection as _;
use std::cell::Cell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// A unit of work that keeps its connection until it is let go: the unit, the word that it has the connection, and
/// the way to let it go.
fn keeper<C>() -> (
    impl Fn(&mut C) -> Outcome<()> + Send + 'static,
    oneshot::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (say_so, has_it) = oneshot::channel();
    let (let_go, kept) = mpsc::channel();
    let say_so = Cell::new(Some(say_so));
    let unit = move |_: &mut C| {
        say_so.take().unwrap().send(()).unwrap();
        let _ = kept.recv();
        Ok(())
    };
    (unit, has_it, let_go)
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[test]
fn on_sqlite_a_reader_that_gets_no_connection_is_told_to_come_again() {
    play(&sqlite(), async |database: &TestDatabase| {
        let lite = Lite::open(file(database), 1).unwrap();
        let (unit, has_it, let_go) = keeper();
        let waiting = async {
            has_it.await.unwrap();
            assert_unavailable(lite.read(|_| Ok(())).await);
            let_go.send(()).unwrap();
        };
        let (kept, ()) = tokio::join!(lite.read(unit), waiting);
        kept.unwrap();
        lite.read(|_| Ok(())).await.unwrap();
    });
}

/// PostgreSQL with one connection.
fn on_postgres(story: impl AsyncFnOnce(&TestDatabase, &Pg)) {
    let Some(database) = postgres() else { return };
    play(&database, async |database: &TestDatabase| {
        story(database, &Pg::open(url(database), 1).unwrap()).await;
    });
}

#[test]
fn on_postgres_who_gets_no_connection_is_told_to_come_again() {
    on_postgres(async |_, pg| {
        let (unit, has_it, let_go) = keeper();
        let waiting = async {
            has_it.await.unwrap();
            let (read, written) = tokio::join!(pg.read(|_| Ok(())), pg.write(|_| Ok(())));
            assert_unavailable(read);
            assert_unavailable(written);
            let_go.send(()).unwrap();
        };
        let (kept, ()) = tokio::join!(pg.read(unit), waiting);
        kept.unwrap();
        pg.read(|_| Ok(())).await.unwrap();
    });
}

#[test]
fn on_postgres_a_connection_that_is_gone_is_replaced() {
    on_postgres(async |database, pg| {
        let query = |c: &mut super::super::pg::Conn| Ok(c.batch_execute("SELECT 1")?);
        let kick_everybody_out =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        pg.read(query).await.unwrap();
        // A read can be asked again on another connection.
        database.execute(kick_everybody_out);
        pg.read(query).await.unwrap();
        // Whether a write was carried out is not known: the client is told to come again.
        database.execute(kick_everybody_out);
        assert_unavailable(pg.write(query).await);
        pg.write(query).await.unwrap();
    });
}

#[test]
fn on_postgres_a_connection_that_goes_in_the_middle_of_a_write_fails_it_whole() {
    on_postgres(async |database, pg| {
        let half = |c: &mut super::super::pg::Conn| {
            c.batch_execute("INSERT INTO project (name, public, created_at) VALUES ('acme', false, 0)")?;
            c.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?;
            Ok(())
        };
        assert_unavailable(pg.write(half).await);
        assert_eq!(database.count("project"), 0);
        pg.write(|_| Ok(())).await.unwrap();
    });
}

#[test]
fn on_postgres_a_full_disk_is_told_as_one() {
    on_postgres(async |_, pg| {
        let full = |c: &mut super::super::pg::Conn| {
            Ok(c.batch_execute(
                r#"DO $$ BEGIN RAISE 'could not extend file "base/1/2": No space left on device' USING ERRCODE = 'disk_full'; END $$"#,
            )?)
        };
        assert_eq!(pg.write(full).await.unwrap_err().kind(), ErrorKind::StorageFull);
        pg.write(|_| Ok(())).await.unwrap();
    });
}

#[test]
fn on_postgres_a_server_that_takes_no_writes_is_told_as_one() {
    on_postgres(async |_, pg| {
        let refused = |c: &mut super::super::pg::Conn| {
            c.batch_execute("SET TRANSACTION READ ONLY")?;
            Ok(c.batch_execute("INSERT INTO project (name, public, created_at) VALUES ('acme', false, 0)")?)
        };
        let error = pg.write(refused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.message().contains("read-only"), "{error:?}");
        pg.write(|_| Ok(())).await.unwrap();
    });
}

#[test]
fn on_postgres_a_unit_that_breaks_a_unique_key_runs_once() {
    on_postgres(async |database, pg| {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        database.execute("INSERT INTO project (name, public, created_at) VALUES ('acme', false, 0)");
        let twice = |c: &mut super::super::pg::Conn| {
            RUNS.fetch_add(1, Ordering::Relaxed);
            Ok(c.batch_execute("INSERT INTO project (name, public, created_at) VALUES ('acme', false, 0)")?)
        };
        assert_eq!(pg.write(twice).await.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(RUNS.load(Ordering::Relaxed), 1, "running it again cannot help");
    });
}

#[test]
fn on_postgres_the_victim_of_a_deadlock_runs_again() {
    let Some(database) = postgres() else { return };
    play(&database, async |database: &TestDatabase| {
        let pg = Pg::open(url(database), 2).unwrap();
        database.execute("INSERT INTO project (name, public, created_at) VALUES ('a', false, 0), ('b', false, 0)");
        let both_hold_one = Arc::new(Barrier::new(2));
        let runs = Arc::new(AtomicUsize::new(0));
        let crossing = |first: &'static str, second: &'static str| {
            let (both_hold_one, runs) = (both_hold_one.clone(), runs.clone());
            pg.write(move |c| {
                let touch = |name: &str| format!("UPDATE project SET created_at = created_at + 1 WHERE name = '{name}'");
                c.batch_execute(&touch(first))?;
                if runs.fetch_add(1, Ordering::SeqCst) < 2 {
                    both_hold_one.wait();
                }
                Ok::<(), super::super::fault::Fault>(c.batch_execute(&touch(second))?)
            })
        };
        let (one, other) = tokio::join!(crossing("a", "b"), crossing("b", "a"));
        one.unwrap();
        other.unwrap();
        // The victim may be quick enough to cross the winner's way once more.
        assert!(runs.load(Ordering::SeqCst) > 2, "one of the two ran twice at least");
        assert_eq!(database.count("project WHERE created_at = 2"), 2);
    });
}

#[test]
fn a_refusal_is_nothing_that_a_database_did() {
    play(&sqlite(), async |database: &TestDatabase| {
        let lite = Lite::open(file(database), 1).unwrap();
        let refused: Result<()> = lite.write(|_| Err(Error::storage_full().into())).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::StorageFull);
        lite.write(|_| Ok(())).await.unwrap();
    });
}
