//! The databases that the contract runs on: SQLite in a folder of its own, and, where
//! `GRANARY_TEST_POSTGRES` names a server, a PostgreSQL database of its own. This crate
//! does not link a database client, so the server's own programs make that database.

use granary_storage::blob::UploadId;
use granary_storage::catalog::Database;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use tempfile::TempDir;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// Whether it can be had here; says so when it cannot.
    #[allow(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
    pub(crate) fn is_here(self) -> bool {
        if self == Self::Sqlite || server().is_some_and(|_| program("createdb").is_some()) {
            return true;
        }
        assert!(std::env::var("GRANARY_CI").is_err() || server().is_none(), "no createdb");
        // Once, and past the capture of the test harness, which would show it to nobody.
        static SAY: Once = Once::new();
        SAY.call_once(|| writeln!(std::io::stderr(), "skipped: no PostgreSQL").unwrap());
        false
    }

    /// A new, empty database.
    pub(crate) fn database(self) -> OwnDatabase {
        match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                OwnDatabase {
                    at: Database::Sqlite(folder.path().join("catalog.sqlite")),
                    home: Home::Folder(folder),
                }
            }
            Self::Postgres => {
                let server = server().unwrap();
                let name = format!("granary_formats_{}", UploadId::random()).replace('-', "_");
                let made = run("createdb", &server, &[&name]);
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                OwnDatabase {
                    at: Database::Postgres(url(&server, &name)),
                    home: Home::Server { server, name },
                }
            }
        }
    }
}

/// A database of one test, gone with it.
pub(crate) struct OwnDatabase {
    pub(crate) at: Database,
    home: Home,
}

#[allow(dead_code, reason = "a folder is held to be dropped")]
enum Home {
    Folder(TempDir),
    Server { server: String, name: String },
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        if let Home::Server { server, name } = &self.home {
            // By force: the pool of a test that failed may still be connected.
            drop(run("dropdb", server, &["--if-exists", "--force", name]));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
fn server() -> Option<String> {
    std::env::var("GRANARY_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// The server's URL with the database in it exchanged.
fn url(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').map_or((server, ""), |(address, options)| (address, options));
    let (address, _) = address.rsplit_once('/').unwrap();
    format!("{address}/{name}?{options}").trim_end_matches('?').to_owned()
}

fn run(name: &str, server: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program(name).unwrap());
    command.arg(format!("--maintenance-db={server}")).args(arguments);
    command.output().unwrap()
}

/// One of PostgreSQL's programs: on the path, or where Debian puts those of each version.
#[allow(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file: &PathBuf| Path::is_file(file))
}
