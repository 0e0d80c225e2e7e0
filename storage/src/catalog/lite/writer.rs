//! The one thread that writes: whatever queued up while the last commit was being
//! flushed goes into the next one. A unit that fails takes only its savepoint with it;
//! nobody hears of success before the commit is durable.
//!
//! Units whose loss in a power cut costs a client a retry and nothing else are not flushed
//! when they come alone; the next flush takes them along. The log that both kinds go into
//! is one, so a power cut never takes an earlier unit and leaves a later one.
//!
//! A commit that finds the disk full is run again, once the ballast has made room.

use super::super::facade::Survives;
use super::super::fault::{Fault, Outcome};
use super::{Conn, connect};
use crate::ballast;
use crate::error::{Error, ErrorKind, Result, What};
use crate::failpoint;
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// Units waiting, at most; then callers wait. Measured: 64 submitters never fill it.
const QUEUE: usize = 1024;
/// Units in one commit, at most.
const BATCH: usize = 256;

/// A unit of work with its way back, without its types.
trait Unit: Send {
    /// Runs it, from its start whenever it was run before. Fails when the failure is the connection's and not the
    /// unit's own: nothing of the batch can be committed then.
    fn run(&mut self, connection: &mut Conn) -> std::result::Result<(), Lost>;

    /// Answers: what the last run came to when the commit holds, else the error given here.
    fn answer(self: Box<Self>, commit: std::result::Result<(), Lost>);
}

/// A unit in the queue, and then one that has run and waits for the commit.
struct Queued {
    unit: Box<dyn Unit>,
    survives: Survives,
}

/// A unit with its types.
struct Work<T, U, F> {
    unit: U,
    then: F,
    sender: oneshot::Sender<Result<T>>,
    result: Option<Result<T>>,
}

impl<T, U, F> Unit for Work<T, U, F>
where
    T: Send,
    U: Fn(&mut Conn) -> Outcome<T> + Send,
    F: FnOnce(&Result<T>) + Send,
{
    fn run(&mut self, connection: &mut Conn) -> std::result::Result<(), Lost> {
        let ended = catch_unwind(AssertUnwindSafe(|| in_savepoint(connection, &self.unit)))
            // Where the savepoint stands is unknown after a panic: the batch cannot go on.
            .unwrap_or_else(|_| Err(Lost::because("a unit of work panicked")));
        self.result = Some(ended?.map_err(Error::from));
        Ok(())
    }

    fn answer(self: Box<Self>, commit: std::result::Result<(), Lost>) {
        let Self { then, sender, result, .. } = *self;
        let never_run = || Err(Error::internal("a commit held a unit that was not run"));
        let done = commit.map_err(Error::from).and_then(|()| result.unwrap_or_else(never_run));
        then(&done);
        let _ = sender.send(done);
    }
}

/// What a client can make of a lost batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There was no room for it.
    Full,
    /// The database cannot be written to.
    ReadOnly,
    /// All else.
    Fault,
}

/// Why a batch was not committed.
#[derive(Clone)]
struct Lost {
    why: Why,
    /// For the log.
    cause: String,
}

impl Lost {
    fn because(cause: impl Into<String>) -> Self {
        Self {
            why: Why::Fault,
            cause: cause.into(),
        }
    }
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        let why = match () {
            () if fault.is_full() => Why::Full,
            () if fault.is_read_only() => Why::ReadOnly,
            () => Why::Fault,
        };
        let cause = format!("{fault:?}");
        Self { why, cause }
    }
}

impl From<diesel::result::Error> for Lost {
    fn from(error: diesel::result::Error) -> Self {
        Fault::from(error).into()
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        match lost.why {
            Why::Full => Self::storage_full().because(lost.cause),
            Why::ReadOnly => Self::read_only().because(lost.cause),
            Why::Fault => Self::internal(lost.cause),
        }
    }
}

/// The way to the thread. The thread ends when this is dropped and the queue is empty.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Queued>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on an open connection; `url` is for a new one, should this one fail, and `folder` has the ballast.
    pub(super) fn start(url: String, folder: PathBuf, connection: Conn) -> Result<Self> {
        let (queue, units) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("catalog-writer".into())
            .spawn(move || write_all(&url, &folder, connection, units))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs a unit in the next commit, then `then` with what came of it, then answers. The unit is run a second time
    /// when the first found the disk full and the ballast made room. A caller that goes away stops nothing of it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        survives: Survives,
        unit: impl Fn(&mut Conn) -> Outcome<T> + Send + 'static,
        then: impl FnOnce(&Result<T>) + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let unit = Box::new(Work {
            unit,
            then,
            sender,
            result: None,
        });
        let gone = || Error::new(ErrorKind::Unavailable, What::Storage, "the server is stopping");
        self.queue
            .as_ref()
            .ok_or_else(gone)?
            .send(Queued { unit, survives })
            .await
            .map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs a unit so that its failure takes back its own work and nothing else. Where that cannot be had, the batch is
/// lost: SQLite itself takes the whole transaction back when the disk is full, and the savepoint with it.
fn in_savepoint<T>(connection: &mut Conn, unit: impl FnOnce(&mut Conn) -> Outcome<T>) -> std::result::Result<Outcome<T>, Lost> {
    AnsiTransactionManager::begin_transaction(connection)?;
    match unit(connection) {
        Err(fault) if fault.is_fatal() => Err(fault.into()),
        Err(fault) => {
            AnsiTransactionManager::rollback_transaction(connection)?;
            Ok(Err(fault))
        }
        Ok(value) => {
            AnsiTransactionManager::commit_transaction(connection)?;
            Ok(Ok(value))
        }
    }
}

fn write_all(url: &str, folder: &Path, mut connection: Conn, mut units: mpsc::Receiver<Queued>) {
    // As `connect` leaves a connection.
    let mut flushes = true;
    let mut waiting = VecDeque::with_capacity(BATCH);
    while let Some(first) = waiting.pop_front().or_else(|| units.blocking_recv()) {
        waiting.push_front(first);
        while waiting.len() < BATCH
            && let Ok(next) = units.try_recv()
        {
            waiting.push_back(next);
        }
        let must_flush = waiting.iter().any(|queued| queued.survives == Survives::PowerCut);
        let mut done = Vec::with_capacity(waiting.len());
        let ended =
            flush_or_not(&mut connection, &mut flushes, must_flush).and_then(|()| run_all(&mut connection, &mut waiting, &mut done));
        if let Err(Lost { why, cause }) = &ended {
            let has_room_now = *why == Why::Full && give_up_ballast(folder);
            // The connection's idea of its transaction may be wrong now.
            match connect(url) {
                Ok(fresh) => (connection, flushes) = (fresh, true),
                Err(error) => {
                    tracing::error!(cause = ?std::error::Error::source(&error), "the catalog cannot be reopened; trying on with the old connection");
                }
            }
            if has_room_now {
                // All of it was taken back and nobody has heard of it: it has its turn again, before what came later.
                done.into_iter().rev().for_each(|queued| waiting.push_front(queued));
                continue;
            }
            // Where nothing of it could be run, the first is the one to hear of it; the others have their turn.
            if done.is_empty() {
                done.extend(waiting.pop_front());
            }
            tracing::error!(cause, units = done.len(), "a commit failed; nothing of it was acknowledged");
        }
        for queued in done {
            queued.unit.answer(ended.clone());
        }
    }
}

/// Makes room on a full disk, once; whether there is any now.
fn give_up_ballast(folder: &Path) -> bool {
    match ballast::release(folder) {
        Ok(true) => {
            tracing::warn!("the disk under the database is full: the ballast is given up, so that deletes go on; free some space");
            true
        }
        Ok(false) => false,
        Err(error) => {
            tracing::error!(%error, "the disk under the database is full, and the ballast cannot be removed");
            false
        }
    }
}

/// Sees to it that the next commit is flushed before it returns, or that it is not.
fn flush_or_not(connection: &mut Conn, flushes: &mut bool, wanted: bool) -> std::result::Result<(), Lost> {
    if *flushes != wanted {
        connection.batch_execute(if wanted {
            "PRAGMA synchronous = FULL"
        } else {
            "PRAGMA synchronous = NORMAL"
        })?;
        *flushes = wanted;
    }
    Ok(())
}

/// Runs what is waiting as one transaction, up to a unit that loses it. `done` then holds every unit that was run.
fn run_all(connection: &mut Conn, waiting: &mut VecDeque<Queued>, done: &mut Vec<Queued>) -> std::result::Result<(), Lost> {
    AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
    while let Some(mut queued) = waiting.pop_front() {
        let ended = queued.unit.run(connection);
        done.push(queued);
        if let Err(lost) = ended {
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            return Err(lost);
        }
    }
    let failed = |error: std::io::Error| Lost::because(error.to_string());
    let committed = failpoint::hit("catalog.before_commit")
        .map_err(failed)
        .and_then(|()| AnsiTransactionManager::commit_transaction(connection).map_err(Lost::from));
    match committed {
        Ok(()) => failpoint::hit("catalog.after_commit").map_err(failed),
        Err(error) => {
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            Err(error)
        }
    }
}
