//! The one thread that writes: whatever queued up while the last commit was being
//! flushed goes into the next one. A unit that fails takes only its savepoint with it;
//! nobody hears of success before the commit is durable.

use super::super::fault::{Fault, Outcome};
use super::{Conn, connect};
use crate::error::{Error, ErrorKind, Result, What};
use crate::failpoint;
use diesel::Connection as _;
use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
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

/// A unit that has run and waits for the commit.
struct Done {
    /// Whether the failure is the connection's and not the unit's own.
    fatal: bool,
    /// Answers: the unit's own result when the commit holds, else the error given here.
    answer: Box<dyn FnOnce(std::result::Result<(), String>)>,
}

/// The way to the thread. The thread ends when this is dropped and the queue is empty.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Unit>>,
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

    /// Runs a unit in the next commit. A caller that goes away does not stop its unit.
    pub(super) async fn run<T: Send + 'static>(&self, unit: impl FnOnce(&mut Conn) -> Outcome<T> + Send + 'static) -> Result<T> {
        let (sender, receiver) = oneshot::channel::<Result<T>>();
        let unit: Unit = Box::new(move |connection| {
            let ended = connection.map_or(Ok(Err(Fault::Db(diesel::result::Error::NotInTransaction))), |connection| {
                catch_unwind(AssertUnwindSafe(|| connection.transaction(unit)))
            });
            let (fatal, result) = match ended {
                Ok(Ok(value)) => (false, Ok(value)),
                Ok(Err(fault)) => (fault.is_fatal(), Err(Error::from(fault))),
                // Where the savepoint stands is unknown after a panic: the batch cannot go on.
                Err(_) => (true, Err(Error::internal("a unit of work panicked"))),
            };
            let answer = move |commit: std::result::Result<(), String>| {
                let _ = sender.send(match commit {
                    Ok(()) => result,
                    Err(cause) => Err(not_committed(cause)),
                });
            };
            Done {
                fatal,
                answer: Box::new(answer),
            }
        });
        let gone = || Error::new(ErrorKind::Unavailable, What::Storage, "the server is stopping");
        self.queue.as_ref().ok_or_else(gone)?.send(unit).await.map_err(|_| gone())?;
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

fn not_committed(cause: String) -> Error {
    if cause.contains("full") {
        Error::storage_full().because(cause)
    } else {
        Error::internal(cause)
    }
}

fn write_all(url: &str, mut connection: Conn, mut units: mpsc::Receiver<Unit>) {
    while let Some(first) = units.blocking_recv() {
        let mut done = Vec::new();
        let ended = batch(&mut connection, first, &mut units, &mut done);
        if let Err(cause) = &ended {
            tracing::error!(cause, units = done.len(), "a commit failed; nothing of it was acknowledged");
            // The connection's idea of its transaction may be wrong now.
            match connect(url) {
                Ok(fresh) => connection = fresh,
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

/// Runs what is waiting as one transaction. `done` holds every unit that was taken from the queue.
fn batch(connection: &mut Conn, first: Unit, units: &mut mpsc::Receiver<Unit>, done: &mut Vec<Done>) -> std::result::Result<(), String> {
    let begun = AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE");
    if let Err(error) = begun {
        done.push(first(None));
        return Err(error.to_string());
    }
    let mut next = Some(first);
    while let Some(unit) = next {
        let ended = unit(Some(connection));
        let fatal = ended.fatal;
        done.push(ended);
        if fatal {
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            return Err("the database failed under a unit of work: the disk may be full".into());
        }
        next = if done.len() < BATCH { units.try_recv().ok() } else { None };
    }
    let committed = failpoint::hit("catalog.before_commit")
        .map_err(|error| error.to_string())
        .and_then(|()| AnsiTransactionManager::commit_transaction(connection).map_err(|error| error.to_string()));
    match committed {
        Ok(()) => failpoint::hit("catalog.after_commit").map_err(|error| error.to_string()),
        Err(error) => {
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            Err(error)
        }
    }
}
