//! The catalog on PostgreSQL: a pool, READ COMMITTED, unique keys and row locks.

pub(super) mod dialect;
#[path = "../queries/mod.rs"]
pub(super) mod queries;

use super::CONNECTION_WAIT;
use super::fault::{Fault, Outcome, unavailable};
use crate::error::{Error, Result};
use crate::failpoint;
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::{Connection as _, PgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use std::time::Duration;

/// The connection that the queries are written against.
pub(super) type Conn = PgConnection;

/// The tables.
pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

/// Nodes that start together migrate one after the other, behind this advisory lock ("granary" in ASCII).
const MIGRATION_LOCK: i64 = 0x0067_7261_6e61_7279;

/// Runs of a unit that lost a race, at most.
const ATTEMPTS: u32 = 10;

/// The open database.
pub(super) struct Pg {
    pool: Pool<ConnectionManager<PgConnection>>,
}

impl Pg {
    /// Connects and brings the schema up to date.
    pub(super) fn open(url: &str, pool_size: u32) -> Result<Self> {
        refuse_tls_without_support(url)?;
        let mut connection = PgConnection::establish(url).map_err(|error| Error::internal(without_secrets(&error.to_string(), url)))?;
        let failed = |error: diesel::result::Error| Error::from(Fault::from(error));
        connection
            .batch_execute(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            .map_err(failed)?;
        let migrated = connection.run_pending_migrations(MIGRATIONS).map(drop).map_err(Error::internal);
        let migrated = migrated.and_then(|()| queries::fill_releases(&mut connection).map_err(Error::from));
        connection
            .batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
            .map_err(failed)?;
        migrated?;
        let pool = Pool::builder()
            .max_size(pool_size)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(CONNECTION_WAIT)
            .max_lifetime(Some(Duration::from_secs(1800)))
            .build(ConnectionManager::new(url))
            .map_err(Error::internal)?;
        Ok(Self { pool })
    }

    /// Runs a read where it may block, again on another connection when the one it got turns out to be cut.
    pub(super) async fn read<T: Send + 'static>(&self, unit: impl Fn(&mut Conn) -> Outcome<T> + Send + 'static) -> Result<T> {
        let pool = self.pool.clone();
        let done = tokio::task::spawn_blocking(move || {
            // After a restart of the server every pooled connection is cut.
            let mut others = pool.max_size();
            loop {
                let mut connection = pool.get().map_err(unavailable)?;
                match unit(&mut connection) {
                    Err(fault) if fault.is_disconnect() => {
                        give_up_on(&mut connection);
                        if others == 0 {
                            return Err(fault.into());
                        }
                        others -= 1;
                    }
                    ended => return ended.map_err(Error::from),
                }
            }
        });
        done.await.map_err(Error::internal)?
    }

    /// Runs a write as [`Pg::write`] does, but the answer does not wait for the server's flush: a power cut may take it, the end of this process may not.
    pub(super) async fn note<T: Send + 'static>(&self, unit: impl Fn(&mut Conn) -> Outcome<T> + Send + 'static) -> Result<T> {
        self.write(move |connection| {
            connection.batch_execute("SET LOCAL synchronous_commit TO OFF")?;
            unit(connection)
        })
        .await
    }

    /// Runs a write as one transaction, again from its start when it lost a race.
    pub(super) async fn write<T: Send + 'static>(&self, unit: impl Fn(&mut Conn) -> Outcome<T> + Send + 'static) -> Result<T> {
        let pool = self.pool.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut pooled = pool.get().map_err(unavailable)?;
            let connection: &mut PgConnection = &mut pooled;
            let mut attempt = 1;
            loop {
                let ended = connection.transaction(|connection| {
                    let done = unit(connection)?;
                    failpoint::hit("catalog.before_commit")?;
                    Ok(done)
                });
                match ended.and_then(|done| failpoint::hit("catalog.after_commit").map(|()| done).map_err(Fault::from)) {
                    Err(fault) if fault.is_transient() && attempt < ATTEMPTS => {
                        // Spread out, so that those who met once do not meet again.
                        let spread = u64::from(std::process::id() ^ attempt.wrapping_mul(2_654_435_761)) % 7;
                        std::thread::sleep(Duration::from_millis(u64::from(attempt) * 2 + spread));
                        attempt += 1;
                    }
                    ended => {
                        // Not again: whether the commit was carried out is unknown.
                        if ended.as_ref().is_err_and(Fault::is_disconnect) {
                            give_up_on(connection);
                        }
                        return ended.map_err(Error::from);
                    }
                }
            }
        });
        done.await.map_err(Error::internal)?
    }
}

/// Sees to it that the pool throws this connection away instead of handing it out again.
fn give_up_on(connection: &mut Conn) {
    AnsiTransactionManager::transaction_manager_status_mut(connection).set_in_error();
}

/// What the client library says of a URL that it cannot use holds the URL, or the password in it.
fn without_secrets(text: &str, url: &str) -> String {
    let credentials = url
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
        .map(|(credentials, _)| credentials);
    let password = credentials.and_then(|text| text.split_once(':')).map(|(_, password)| password);
    let hide = |text: String, secret: &str| {
        if secret.is_empty() {
            text
        } else {
            text.replace(secret, "(secret)")
        }
    };
    let text = hide(text.to_owned(), url);
    password.map_or(text.clone(), |password| hide(text, password))
}

#[cfg(feature = "pg-tls")]
fn refuse_tls_without_support(_: &str) -> Result<()> {
    Ok(())
}

#[cfg(not(feature = "pg-tls"))]
fn refuse_tls_without_support(url: &str) -> Result<()> {
    let demanded = ["require", "verify-ca", "verify-full"]
        .iter()
        .any(|mode| url.contains(&format!("sslmode={mode}")));
    if demanded {
        return Err(Error::internal(
            "the database URL demands TLS, and this build has none for PostgreSQL: build with the feature pg-tls",
        ));
    }
    Ok(())
}
