//! A database of one's own where a PostgreSQL is named by `GRANARY_TEST_POSTGRES`; otherwise the
//! server's default, SQLite in its data folder. The same stories run on both.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh PostgreSQL database, dropped with this.
pub(crate) struct TestDatabase {
    maintenance: String,
    name: String,
}

impl TestDatabase {
    /// Makes one, if there is a PostgreSQL to make it in.
    #[allow(
        clippy::disallowed_methods,
        reason = "where the tests find a PostgreSQL is no setting of the server"
    )]
    pub(crate) fn make() -> Option<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let maintenance = std::env::var("GRANARY_TEST_POSTGRES").ok().filter(|url| !url.is_empty())?;
        let name = format!("tests_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        if let Err(error) = Command::new("psql").arg("--version").output() {
            assert!(std::env::var("GRANARY_CI").is_err(), "no psql: {error}");
            println!("skipped: no psql to make a PostgreSQL database with; SQLite instead");
            return None;
        }
        psql(&maintenance, &format!("CREATE DATABASE {name}"));
        Some(Self { maintenance, name })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.maintenance.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// Ends its connections and lets no new ones in, as when its machine is away.
    pub(crate) fn forbid(&self) {
        psql(&self.maintenance, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name));
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        psql(&self.maintenance, &end);
    }

    /// Lets connections in again.
    pub(crate) fn allow(&self) {
        psql(&self.maintenance, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name));
    }

    /// What a query says.
    pub(crate) fn query(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        psql(&self.maintenance, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn psql(url: &str, sql: &str) -> String {
    let done = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
            sql,
            url,
        ])
        .output()
        .unwrap();
    assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
