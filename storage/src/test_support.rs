//! What the suites over a database share: the databases they run on, and a whole store over
//! each of them. SQLite always; PostgreSQL too when `GRANARY_TEST_POSTGRES` names a server
//! (`.ci/with-postgres` starts one).
//!
//! Each database belongs to one test alone and is gone with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::Stores;
use crate::blob::{FsStore, StorageKey, Stored, UploadId};
use crate::catalog::{Catalog, Database, RepositoryId, StorageFormat};
use crate::limits::Limits;
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection};
use futures_util::TryStreamExt as _;
use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Connections of each pool: enough for readers to meet, few enough for many tests on one server.
const POOL: u32 = 4;

/// An empty database of its own, and a catalog open on it.
pub(crate) struct TestDatabase {
    /// For the messages of assertions: which of the databases this is.
    pub(crate) name: &'static str,
    /// A catalog over it.
    pub(crate) catalog: Catalog,
    database: Database,
    /// Last, so that it is dropped after the catalog.
    _home: Home,
}

impl TestDatabase {
    fn new(name: &'static str, database: Database, home: Home) -> Self {
        Self {
            name,
            catalog: Catalog::open(&database, POOL).unwrap(),
            database,
            _home: home,
        }
    }

    /// Where the database lies, for a test that needs a connection of its own.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// One more catalog over the same database, as another process would open it. Blocks for a moment, on a test's own runtime.
    pub(crate) fn open_again(&self) -> Catalog {
        Catalog::open(&self.database, POOL).unwrap()
    }

    /// Runs statements behind the catalog's back, for states that no call leaves.
    pub(crate) fn execute(&self, sql: &str) {
        self.statements(sql)();
        self.catalog.forget();
    }

    /// The same, for a later moment; what the catalog keeps in memory stays.
    pub(crate) fn statements(&self, sql: &str) -> impl Fn() + Send + Sync + 'static {
        let (database, sql) = (self.database.clone(), sql.to_owned());
        move || match &database {
            Database::Sqlite(path) => lite(path).batch_execute(&sql).unwrap(),
            Database::Postgres(url) => PgConnection::establish(url).unwrap().batch_execute(&sql).unwrap(),
        }
    }

    /// The rows of `table`, or of `table WHERE …`, to prove what was stored and what was not.
    pub(crate) fn count(&self, table: &str) -> i64 {
        let rows = diesel::select(sql::<BigInt>(&format!("(SELECT count(*) FROM {table})")));
        match &self.database {
            Database::Sqlite(path) => rows.get_result(&mut lite(path)).unwrap(),
            Database::Postgres(url) => rows.get_result(&mut PgConnection::establish(url).unwrap()).unwrap(),
        }
    }
}

fn lite(path: &Path) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    // The catalog's writer may be in the middle of a commit.
    connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
    connection
}

/// Every database that the suites run on, each new and empty: `for database in databases() { … }`.
pub(crate) fn databases() -> Vec<TestDatabase> {
    std::iter::once(sqlite()).chain(postgres()).collect()
}

/// A new and empty SQLite database.
pub(crate) fn sqlite() -> TestDatabase {
    let folder = tempfile::tempdir().unwrap();
    let file = Database::Sqlite(folder.path().join("catalog.sqlite"));
    TestDatabase::new("SQLite", file, Home::Folder(folder))
}

/// A new and empty PostgreSQL database, where there is a server for it. Its absence is said aloud, past the capture
/// of the test harness, so that nobody takes a test that did not run for one that passed.
#[allow(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
pub(crate) fn postgres() -> Option<TestDatabase> {
    static ABSENCE_SAID: std::sync::Once = std::sync::Once::new();
    let named = std::env::var("GRANARY_TEST_POSTGRES").ok().filter(|url| !url.is_empty());
    let Some(server) = named else {
        ABSENCE_SAID.call_once(|| writeln!(std::io::stderr(), "skipped: no PostgreSQL").unwrap());
        return None;
    };
    let own = OwnDatabase::create(server);
    Some(TestDatabase::new("PostgreSQL", Database::Postgres(own.url()), Home::Server(own)))
}

/// What a database lies in, removed on drop.
#[allow(dead_code, reason = "held to be dropped")]
enum Home {
    Folder(TempDir),
    Server(OwnDatabase),
}

/// A PostgreSQL database with a random name.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(server: String) -> Self {
        let name = format!("granary_test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = PgConnection::establish(&server).unwrap();
        connection.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Self { server, name }
    }

    /// The server's URL with the database in it exchanged.
    fn url(&self) -> String {
        let (address, options) = match self.server.split_once('?') {
            Some((address, options)) => (address, format!("?{options}")),
            None => (self.server.as_str(), String::new()),
        };
        let start = address.find("://").unwrap() + 3;
        let end = address[start..].find('/').map_or(address.len(), |slash| start + slash);
        format!("{}/{}{options}", &address[..end], self.name)
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        // Catalogs that a failed test leaves behind may hold connections, hence the force. Whatever comes of it,
        // the verdict of the test stands.
        if let Ok(mut connection) = PgConnection::establish(&self.server) {
            let _ = connection.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

/// A store in a folder under one of the databases, with a repository in it.
pub(crate) struct TestStore {
    /// The database.
    pub(crate) database: TestDatabase,
    /// Blobs, catalog and uploads.
    pub(crate) stores: Stores,
    /// The number of `acme/api`.
    pub(crate) repository: RepositoryId,
    folder: TempDir,
}

impl TestStore {
    /// One over each database, with these limits.
    pub(crate) async fn all(limits: &Limits) -> Vec<Self> {
        let mut all = Vec::new();
        for database in databases() {
            let folder = tempfile::tempdir().unwrap();
            let blobs = Arc::new(FsStore::open(folder.path()).unwrap());
            let stores = Stores::new(blobs, database.catalog.clone(), limits.clone());
            let repository = repository(&stores, "acme/api").await;
            all.push(Self {
                database,
                stores,
                repository,
                folder,
            });
        }
        all
    }

    /// The same store as another process has it: what is in memory is not shared.
    pub(crate) fn another_process(&self) -> Stores {
        let blobs = Arc::new(FsStore::open(self.folder.path()).unwrap());
        Stores::new(blobs, self.database.open_again(), (*self.stores.limits).clone())
    }

    /// The file of an upload.
    pub(crate) fn upload_path(&self, id: UploadId) -> PathBuf {
        self.folder.path().join("uploads").join(id.to_string())
    }

    /// The file of a blob.
    pub(crate) fn blob_path(&self, key: &StorageKey) -> PathBuf {
        self.folder.path().join("blobs").join(key.as_str())
    }

    /// Every file of the store: of uploads and of blobs.
    pub(crate) async fn files(&self) -> (HashSet<UploadId>, HashSet<StorageKey>) {
        let batches: Vec<Vec<Stored>> = self.stores.blobs.list().await.unwrap().try_collect().await.unwrap();
        let (mut uploads, mut blobs) = (HashSet::new(), HashSet::new());
        for file in batches.into_iter().flatten() {
            match file {
                Stored::Upload { id, .. } => drop(uploads.insert(id)),
                Stored::Blob { key, .. } => drop(blobs.insert(key)),
            }
        }
        (uploads, blobs)
    }
}

/// The number of a repository, made when it is missing.
pub(crate) async fn repository(stores: &Stores, name: &str) -> RepositoryId {
    let made = stores
        .catalog
        .ensure_repository(name.parse().unwrap(), StorageFormat::Oci, None, "alice".into())
        .await;
    made.unwrap().id
}

#[test]
fn a_database_is_new_empty_and_open() {
    for database in databases() {
        let (first, second) = (database.open_again(), database.catalog.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for catalog in [first, second] {
            let projects = runtime.block_on(catalog.projects(None, 10)).unwrap();
            assert_eq!(projects, [], "{}", database.name);
        }
        database.execute("INSERT INTO project (name, public, created_at) VALUES ('acme', false, 0)");
        let projects = runtime.block_on(database.catalog.projects(None, 10)).unwrap();
        assert_eq!(projects.len(), 1, "{}", database.name);
        assert_eq!(database.count("project"), 1, "{}", database.name);
        assert_eq!(database.count("project WHERE name = 'other'"), 0, "{}", database.name);
    }
}
