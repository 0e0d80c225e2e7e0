//! The one thread that writes: whatever queued up while the last commit was being
//! flushed goes into the next one. A unit that fails takes only its savepoint with it;
//! nobody hears of success before the commit is durable.
//!
//! Units whose loss in a power cut costs a client a retry and nothing else are not flushed
//! when they come alone; the next flush takes them along. The log that both kinds go into
//! is one, so a power cut never takes an earlier unit and leaves a later one.

use super::super::facade::Survives;
use super::super::fault::{Fault, Outcome};
use super::{Conn, connect};
use crate::error::{Error, ErrorKind, Result, What};
use crate::failpoint;
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// Units waiting, at most; then callers wait. Measured: 64 submitters never fill it.
const QUEUE: usize = 1024;
/// Units in one commit, at most.
const BATCH: usize = 256;

/// A unit of work with its way back, without its types.
/// Without a connection it does not run, and its way back says why.
type Unit = Box<dyn FnOnce(Option<&mut Conn>) -> Done + Send>;

/// A unit in the queue.
struct Queued {
    unit: Unit,
    survives: Survives,
}

/// A unit that has run and waits for the commit.
struct Done {
    /// The failure when it is the connection's and not the unit's own: nothing of the batch can be committed.
    fatal: Option<Lost>,
    /// Answers: the unit's own result when the commit holds, else the error given here.
    answer: Box<dyn FnOnce(std::result::Result<(), Lost>)>,
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
    /// Starts the thread on an open connection; `url` is for a new one, should this one fail.
    pub(super) fn start(url: String, connection: Conn) -> Result<Self> {
        let (queue, units) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("catalog-writer".into())
            .spawn(move || write_all(&url, connection, units))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs a unit in the next commit, then `then` with what came of it, then answers.
    /// A caller that goes away stops neither.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        survives: Survives,
        unit: impl FnOnce(&mut Conn) -> Outcome<T> + Send + 'static,
        then: impl FnOnce(&Result<T>) + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel::<Result<T>>();
        let unit: Unit = Box::new(move |connection| {
            let ended = match connection {
                None => Err(Lost::because("there is no transaction to run in")),
                Some(connection) => catch_unwind(AssertUnwindSafe(|| in_savepoint(connection, unit)))
                    // Where the savepoint stands is unknown after a panic: the batch cannot go on.
                    .unwrap_or_else(|_| Err(Lost::because("a unit of work panicked"))),
            };
            let (fatal, result) = match ended {
                Ok(outcome) => (None, outcome.map_err(Error::from)),
                Err(lost) => (Some(lost.clone()), Err(lost.into())),
            };
            let answer = move |commit: std::result::Result<(), Lost>| {
                let done = commit.map_err(Error::from).and(result);
                then(&done);
                let _ = sender.send(done);
            };
            Done {
                fatal,
                answer: Box::new(answer),
            }
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

fn write_all(url: &str, mut connection: Conn, mut units: mpsc::Receiver<Queued>) {
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
        if let Err(Lost { cause, .. }) = &ended {
            // Where nothing of it could be run, the first is the one to hear of it; the others have their turn.
            if done.is_empty() {
                done.extend(waiting.pop_front().map(|queued| (queued.unit)(None)));
            }
            tracing::error!(cause, units = done.len(), "a commit failed; nothing of it was acknowledged");
            // The connection's idea of its transaction may be wrong now.
            match connect(url) {
                Ok(fresh) => (connection, flushes) = (fresh, true),
                Err(error) => {
                    tracing::error!(cause = ?std::error::Error::source(&error), "the catalog cannot be reopened; trying on with the old connection");
                }
            }
        }
        for unit in done {
            (unit.answer)(ended.clone());
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
fn run_all(connection: &mut Conn, waiting: &mut VecDeque<Queued>, done: &mut Vec<Done>) -> std::result::Result<(), Lost> {
    AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
    while let Some(Queued { unit, .. }) = waiting.pop_front() {
        let mut ended = unit(Some(&mut *connection));
        let fatal = ended.fatal.take();
        done.push(ended);
        if let Some(lost) = fatal {
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
