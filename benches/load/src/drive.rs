//! Runs an operation again and again on some connections, within bounds.

use crate::http::{Connection, Target, Verify};
use crate::options::Load;
use crate::record::Record;
use anyhow::{Context as _, Result, anyhow, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// How long an operation may outlive the end of the load: not without end.
const GRACE: Duration = Duration::from_secs(60);
/// Failures in a row after which a worker stops: a server that only fails is not worth hammering.
const FAILURES_MAX: u32 = 20;

/// One connection, and what was seen on it.
pub(crate) struct Worker {
    /// The connection.
    pub(crate) connection: Connection,
    /// What was seen.
    pub(crate) record: Record,
    /// How received content is checked.
    pub(crate) verify: Verify,
}

impl Worker {
    fn new(target: Arc<Target>, verify: Verify) -> Self {
        Self {
            connection: Connection::new(target),
            record: Record::default(),
            verify,
        }
    }

    fn into_record(self) -> Record {
        Record {
            requests: self.connection.requests,
            connects: self.connection.connects,
            token_fetches: self.connection.token_fetches,
            ..self.record
        }
    }
}

/// What is run: it gets its number, counted over all workers.
pub(crate) trait Operation: AsyncFn(&mut Worker, u64) -> Result<()> + Clone + Send + Sync + 'static {}

impl<F: AsyncFn(&mut Worker, u64) -> Result<()> + Clone + Send + Sync + 'static> Operation for F {}

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections.
    pub(crate) connections: u16,
    /// Operations at most.
    pub(crate) operations: u64,
    /// Time at most, after which none is begun.
    pub(crate) time: Duration,
}

/// What came of it.
pub(crate) struct Driven {
    /// What all workers saw together.
    pub(crate) record: Record,
    /// How long it took.
    pub(crate) wall: Duration,
}

/// What the workers share.
struct Shared {
    target: Arc<Target>,
    verify: Verify,
    next: AtomicU64,
    moved: AtomicU64,
    operations: u64,
    bytes: u64,
    deadline: Instant,
}

/// Runs an operation until one of the bounds, or the limit of bytes, is reached.
///
/// # Errors
/// When a thread cannot do its work; that an operation fails is in the record.
pub(crate) fn drive(load: &Load, bounds: Bounds, operation: impl Operation) -> Result<Driven> {
    let threads = load.options.threads.min(bounds.connections);
    let start = Instant::now();
    let shared = Arc::new(Shared {
        target: load.target.clone(),
        verify: load.options.verify,
        next: AtomicU64::new(0),
        moved: AtomicU64::new(0),
        operations: bounds.operations,
        bytes: load.options.max_bytes,
        deadline: start + bounds.time,
    });
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let workers = (0..bounds.connections).filter(|worker| worker % threads == thread).count();
            let (shared, operation) = (shared.clone(), operation.clone());
            std::thread::spawn(move || run_thread(&shared, workers, &operation))
        })
        .collect();
    let mut record = Record::default();
    for thread in running {
        record.merge(thread.join().map_err(|_| anyhow!("a thread of this program has panicked"))??);
    }
    Ok(Driven {
        record,
        wall: start.elapsed(),
    })
}

fn run_thread(shared: &Arc<Shared>, workers: usize, operation: &impl Operation) -> Result<Record> {
    LocalSet::new().block_on(&runtime()?, async {
        let running: Vec<_> = (0..workers)
            .map(|_| tokio::task::spawn_local(run_worker(shared.clone(), operation.clone())))
            .collect();
        let mut record = Record::default();
        for worker in running {
            record.merge(worker.await.context("a worker of this program has panicked")?);
        }
        Ok(record)
    })
}

async fn run_worker(shared: Arc<Shared>, operation: impl Operation) -> Record {
    let mut worker = Worker::new(shared.target.clone(), shared.verify);
    let mut failures = 0;
    while Instant::now() < shared.deadline && shared.moved.load(Ordering::Relaxed) < shared.bytes {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.operations {
            break;
        }
        let before = worker.record.moved();
        let left = (shared.deadline + GRACE).saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, operation(&mut worker, number)).await {
            Ok(Ok(())) => {
                failures = 0;
                worker.record.operations += 1;
            }
            Ok(Err(error)) => {
                worker.record.error(&format!("{error:#}"));
                failures += 1;
                if failures >= FAILURES_MAX {
                    break;
                }
            }
            Err(_) => {
                worker.record.error("timeout");
                break;
            }
        }
        shared.moved.fetch_add(worker.record.moved() - before, Ordering::Relaxed);
    }
    worker.into_record()
}

/// A runtime on the thread that asks.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Runs `operations` of a preparation, all of which must succeed.
///
/// # Errors
/// When one fails, or there is no time for all.
pub(crate) fn prepare(load: &Load, operations: u64, operation: impl Operation) -> Result<()> {
    let bounds = Bounds {
        connections: load.options.setup_connections,
        operations,
        time: load.options.setup_seconds,
    };
    let record = drive(load, bounds, operation)?.record;
    if let Some((error, count)) = record.errors.iter().next() {
        bail!("the preparation failed {count} times: {error}");
    }
    if record.operations < operations {
        bail!(
            "the preparation reached its limit of time or bytes at {} of {operations} (--setup-seconds, --max-bytes)",
            record.operations
        );
    }
    Ok(())
}

/// Runs a step of a preparation once, and gives what it finds.
///
/// # Errors
/// As the step.
pub(crate) fn once<T>(load: &Load, step: impl AsyncFnOnce(&mut Worker) -> Result<T>) -> Result<T> {
    runtime()?.block_on(step(&mut Worker::new(load.target.clone(), load.options.verify)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    /// A load on a server that nobody asks anything.
    fn load(flags: &str) -> Load {
        let line = format!("granary-load run --url http://127.0.0.1:1 -w ping {flags}");
        let Command::Run(run) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!("not a run");
        };
        Load {
            target: Arc::new(run.options.target().unwrap()),
            options: Arc::new(run.options),
        }
    }

    fn bounds(connections: u16, operations: u64) -> Bounds {
        Bounds {
            connections,
            operations,
            time: Duration::from_secs(60),
        }
    }

    #[test]
    fn each_number_is_given_out_once_whatever_the_threads() {
        for threads in [1, 3, 16] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let numbers = seen.clone();
            let driven = drive(
                &load(&format!("--threads {threads}")),
                bounds(5, 100),
                async move |_: &mut Worker, number| {
                    numbers.lock().unwrap().push(number);
                    tokio::task::yield_now().await;
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(driven.record.operations, 100);
            assert_eq!(seen.lock().unwrap().len(), 100);
            assert_eq!(seen.lock().unwrap().iter().copied().collect::<BTreeSet<u64>>(), (0..100).collect());
        }
    }

    #[test]
    fn bytes_and_time_end_a_load_too() {
        let moving = async |worker: &mut Worker, _| {
            worker.record.sent += 1024;
            Ok(())
        };
        let driven = drive(&load("--max-bytes 10KiB"), bounds(1, u64::MAX), moving).unwrap();
        assert_eq!(driven.record.operations, 10);

        let short = Bounds {
            time: Duration::from_millis(50),
            ..bounds(2, u64::MAX)
        };
        let waiting = async |_: &mut Worker, _| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        };
        let driven = drive(&load(""), short, waiting).unwrap();
        assert!(driven.record.operations > 0 && driven.wall >= short.time);
    }

    #[test]
    fn a_worker_stops_after_too_many_failures_in_a_row() {
        let failing = async |_: &mut Worker, _| bail!("get: 500");
        let driven = drive(&load(""), bounds(2, u64::MAX), failing).unwrap();
        assert_eq!(driven.record.errors["get: 500"], 2 * u64::from(FAILURES_MAX));

        let now_and_then = async |_: &mut Worker, number| if number % 2 == 0 { Ok(()) } else { bail!("get: 500") };
        let driven = drive(&load(""), bounds(1, 100), now_and_then).unwrap();
        assert_eq!((driven.record.operations, driven.record.errors["get: 500"]), (50, 50));
    }

    #[test]
    fn a_preparation_must_succeed_whole() {
        assert!(prepare(&load(""), 10, async |_: &mut Worker, _| Ok(())).is_ok());
        let once = async |_: &mut Worker, number| if number == 7 { bail!("put: 500") } else { Ok(()) };
        let error = prepare(&load(""), 10, once).unwrap_err().to_string();
        assert_eq!(error, "the preparation failed 1 times: put: 500");
        let slow = async |_: &mut Worker, _| {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(())
        };
        let error = prepare(&load("--setup-seconds 0.05"), 1000, slow).unwrap_err().to_string();
        assert!(error.contains("of 1000"), "{error}");
    }
}
