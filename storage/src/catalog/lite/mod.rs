//! The catalog on SQLite: a pool that only reads, one thread that writes.

pub(super) mod dialect;
#[path = "../queries/mod.rs"]
pub(super) mod queries;
mod writer;

use super::CONNECTION_WAIT;
use super::facade::Survives;
use super::fault::{Fault, Outcome, unavailable};
use crate::error::{Error, Result};
use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection as _, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use std::path::Path;

/// The connection that the queries are written against.
pub(super) type Conn = SqliteConnection;

/// The tables.
pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");

/// In this order: the timeout first, since switching to WAL may have to wait for another process. A page cache of 1 MiB for
/// each connection: what is asked often is answered before the database is, and the system keeps its file in memory.
const PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA wal_autocheckpoint = 16000; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -1024;";

/// The open database.
pub(super) struct Lite {
    readers: Pool<ConnectionManager<SqliteConnection>>,
    writer: writer::Writer,
}

impl Lite {
    /// Opens or makes the database file and brings it up to date.
    pub(super) fn open(path: &Path, pool_size: u32) -> Result<Self> {
        let url = path
            .to_str()
            .ok_or_else(|| Error::internal("the path of the database is not UTF-8"))?
            .to_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut connection = connect(&url)?;
        connection.run_pending_migrations(MIGRATIONS).map_err(Error::internal)?;
        queries::fill_releases(&mut connection).map_err(Error::from)?;
        let readers = Pool::builder()
            .max_size(pool_size)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(CONNECTION_WAIT)
            .connection_customizer(Box::new(ReadOnly))
            .build(ConnectionManager::new(&url))
            .map_err(Error::internal)?;
        Ok(Self {
            readers,
            writer: writer::Writer::start(url, folder, connection)?,
        })
    }

    /// Runs a read where it may block.
    pub(super) async fn read<T: Send + 'static>(&self, unit: impl FnOnce(&mut Conn) -> Outcome<T> + Send + 'static) -> Result<T> {
        let pool = self.readers.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = pool.get().map_err(unavailable)?;
            unit(&mut connection).map_err(Error::from)
        });
        done.await.map_err(Error::internal)?
    }

    /// Hands a write to the writer thread; answers once it is durable.
    pub(super) async fn write<T: Send + 'static>(&self, unit: impl Fn(&mut Conn) -> Outcome<T> + Send + 'static) -> Result<T> {
        self.write_then(Survives::PowerCut, unit, |_| ()).await
    }

    /// The same, with what the write must survive; `then` runs on the writer's thread with what came of it, before the answer.
    pub(super) async fn write_then<T: Send + 'static>(
        &self,
        survives: Survives,
        unit: impl Fn(&mut Conn) -> Outcome<T> + Send + 'static,
        then: impl FnOnce(&Result<T>) + Send + 'static,
    ) -> Result<T> {
        self.writer.run(survives, unit, then).await
    }
}

fn connect(url: &str) -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish(url).map_err(Error::internal)?;
    connection.batch_execute(PRAGMAS).map_err(|error| Error::from(Fault::from(error)))?;
    Ok(connection)
}

#[derive(Debug)]
struct ReadOnly;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for ReadOnly {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> std::result::Result<(), diesel::r2d2::Error> {
        connection.batch_execute(PRAGMAS).map_err(diesel::r2d2::Error::QueryError)?;
        connection
            .batch_execute("PRAGMA query_only = ON;")
            .map_err(diesel::r2d2::Error::QueryError)
    }
}
