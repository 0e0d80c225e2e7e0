//! A server of one's own: the real binary on a free port of the loopback, over a data folder that goes away with it.

use super::command::launched;
use super::database::TestDatabase;
use super::signing_key::find;
use super::{Client, PATIENCE, Ran, granary, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// The administrator's password in every test that does not ask for another.
pub(crate) const ADMIN_PASSWORD: &str = "the-password-of-admin";

/// Bytes that all data folders together never take.
const ROOM: u64 = 2 * 1024 * 1024 * 1024;

/// The password of an account made by [`TestServer::account`].
pub(crate) fn password_of(name: &str) -> String {
    format!("the-password-of-{name}")
}

/// A running server. Dropped, it is killed, and its log must hold neither an error nor a panic.
pub(crate) struct TestServer {
    _folder: TempDir,
    data: PathBuf,
    environment: Vec<(String, String)>,
    process: Mutex<Option<Process>>,
    address: Arc<Mutex<SocketAddr>>,
    log: Arc<Mutex<String>>,
    printed: Arc<Mutex<String>>,
    errors_expected: AtomicBool,
    database: Option<TestDatabase>,
    launcher: Vec<String>,
}

struct Process {
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl TestServer {
    /// A server with every setting at its default, but without ballast.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with some settings, by their keys.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_environment(environment(settings))
    }

    /// A server whose data folder lies so far below its temporary folder, or at an absolute path.
    pub(crate) fn in_folder(below: &str, settings: &[(&str, &str)]) -> Self {
        Self::made(environment(settings), below, &[])
    }

    /// A server that another program starts: `prlimit`, with its arguments.
    pub(crate) fn launched_by(launcher: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::made(environment(settings), "data", launcher)
    }

    /// A server whose environment is this, and the database's URL where there is one.
    pub(crate) fn with_environment(environment: Vec<(String, String)>) -> Self {
        Self::made(environment, "data", &[])
    }

    fn made(mut environment: Vec<(String, String)>, below: &str, launcher: &[&str]) -> Self {
        let database = TestDatabase::make();
        environment.extend(database.iter().map(|database| (variable("database.url"), database.url())));
        let folder = tempfile::tempdir_in(roomy()).unwrap();
        let server = Self {
            data: folder.path().join(below),
            _folder: folder,
            environment,
            process: Mutex::new(None),
            address: Arc::new(Mutex::new(SocketAddr::from(([127, 0, 0, 1], 0)))),
            log: Arc::default(),
            printed: Arc::default(),
            errors_expected: AtomicBool::new(false),
            database,
            launcher: launcher.iter().map(|&word| word.to_owned()).collect(),
        };
        server.run();
        server
    }

    fn run(&self) {
        let up = self.try_run(None);
        assert!(up, "the server did not start:\n{}{}", self.printed(), self.log());
    }

    /// Whether it came up.
    fn try_run(&self, failpoint: Option<&str>) -> bool {
        let mut command = launched(&self.launcher, &["serve", "--listen", "127.0.0.1:0"]);
        self.equip(&mut command);
        command.envs(failpoint.map(|failpoint| ("GRANARY_FAILPOINT", failpoint)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (found, address) = mpsc::channel();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (printed, log) = (self.printed.clone(), self.log.clone());
        printed.lock().unwrap().clear();
        let readers = vec![
            std::thread::spawn(move || read_greeting(stdout, &printed, &found)),
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                    log.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            }),
        ];
        let address = address.recv_timeout(PATIENCE);
        *self.process.lock().unwrap() = Some(Process { child, readers });
        if let Ok(address) = address {
            *self.address.lock().unwrap() = address;
        }
        address.is_ok()
    }

    fn equip(&self, command: &mut Command) {
        command.envs(self.environment.iter().cloned()).arg("--data").arg(self.data());
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// What the log holds so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What the last start printed on standard output so far.
    pub(crate) fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    /// The PostgreSQL database, where there is one.
    pub(crate) fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().unwrap().child.id()
    }

    /// Lets errors stand in the log: the test makes them happen.
    pub(crate) fn expects_errors(&self) {
        self.errors_expected.store(true, Ordering::Relaxed);
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.child.kill().unwrap();
            process.ended();
        }
    }

    /// Asks the process to stop, as service managers do.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks the process to stop, as a terminal does.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the process to end by itself; gives the exit code.
    pub(crate) fn ended(&self) -> i32 {
        let process = self.process.lock().unwrap().take();
        process.unwrap().ended()
    }

    /// Stops the server in order.
    #[track_caller]
    pub(crate) fn stop(&self) {
        self.terminate();
        assert_eq!(self.ended(), 0, "{}", self.log());
    }

    /// Starts it again after it ended. It has another port, which the clients made before learn.
    pub(crate) fn start_again(&self) {
        assert!(self.process.lock().unwrap().is_none(), "it runs");
        self.run();
    }

    /// Starts it again for this once with a failpoint; gives whether it came up at all.
    pub(crate) fn start_with_failpoint(&self, failpoint: &str) -> bool {
        assert!(self.process.lock().unwrap().is_none(), "it runs");
        self.try_run(Some(failpoint))
    }

    /// Stops it in order and starts it again.
    pub(crate) fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Starts it again on the same data with other settings, after it ended.
    pub(crate) fn again_with(mut self, settings: &[(&str, &str)]) -> Self {
        self.environment
            .extend(settings.iter().map(|(key, value)| (variable(key), (*value).to_owned())));
        self.start_again();
        self
    }

    /// Runs a command on this server's data folder, with its settings.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        self.cli_with(arguments, "")
    }

    /// The same with `input` on standard input.
    pub(crate) fn cli_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = granary(arguments);
        self.equip(&mut command);
        Ran::of(&mut command, input)
    }

    /// Somebody without credentials.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.address.clone())
    }

    /// The administrator.
    pub(crate) fn admin(&self) -> Client {
        self.anonymous().basic("admin", ADMIN_PASSWORD)
    }

    /// Makes an account, and gives it as a caller.
    #[track_caller]
    pub(crate) fn account(&self, name: &str) -> Client {
        let password = password_of(name);
        self.cli_with(&["user", "create", name, "--password-stdin"], &password).expect(0);
        self.anonymous().basic(name, &password)
    }

    /// Makes an account with a role in a project.
    #[track_caller]
    pub(crate) fn member(&self, name: &str, project: &str, role: &str) -> Client {
        let client = self.account(name);
        self.cli(&["project", "grant", project, name, role]).expect(0);
        client
    }

    /// Makes a project.
    #[track_caller]
    pub(crate) fn project(&self, name: &str) {
        self.cli(&["project", "create", name]).expect(0);
    }

    /// The files under a folder of the store, without their folders.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let mut names = Vec::new();
        list(&self.data().join("store").join(folder), &mut names);
        names.sort();
        names
    }

    /// The files that hold the blob of a digest.
    pub(crate) fn blob_files(&self, digest: &str) -> Vec<String> {
        let (_, hex) = digest.split_once(':').unwrap();
        let mut files = self.files("blobs");
        files.retain(|name| name.starts_with(hex));
        files
    }

    /// The most memory that the process ever held, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024
    }

    /// Waits until the log holds `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    /// Bytes out of the database that hold `wanted`: what `sql` gives in hexadecimal from PostgreSQL, the file itself of SQLite.
    pub(crate) fn database_bytes(&self, sql: &str, wanted: &[u8]) -> Vec<u8> {
        if let Some(database) = &self.database {
            let text = database.query(sql);
            let pairs = text.as_bytes().chunks(2);
            return pairs
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
        }
        ["granary.db", "granary.db-wal"]
            .into_iter()
            .filter_map(|name| std::fs::read(self.data().join(name)).ok())
            .find(|bytes| find(bytes, wanted).is_some())
            .unwrap()
    }
}

impl Process {
    fn ended(&mut self) -> i32 {
        let status = wait_for("the end of the server", || self.child.try_wait().unwrap());
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status.code().unwrap_or(-1)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{log}");
            return;
        }
        assert!(!log.contains("panicked at"), "{log}");
        assert!(self.errors_expected.load(Ordering::Relaxed) || errors(&log).is_empty(), "{log}");
    }
}

/// The lines of a log that are errors.
fn errors(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| line.contains("\"level\":\"ERROR\""));
    // What the web framework says of a connection that came while it was closing the door.
    lines.filter(|line| !line.contains("\"No workers\"")).collect()
}

/// Where data folders go: into memory where there is room, since most of what a test would wait for is the disk.
/// `TMPDIR` decides otherwise.
fn roomy() -> PathBuf {
    let (memory, usual) = (Path::new("/dev/shm"), std::env::temp_dir());
    let free = rustix::fs::statvfs(memory).map_or(0, |found| found.f_bavail * found.f_frsize);
    if free > ROOM && usual == Path::new("/tmp") {
        memory.to_owned()
    } else {
        usual
    }
}

/// The environment that says these settings, and the administrator's password; no ballast unless they say so.
fn environment(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut environment = vec![
        ("GRANARY_ADMIN_PASSWORD".to_owned(), ADMIN_PASSWORD.to_owned()),
        // Data folders lie in memory, and hundreds of them would have a ballast that nothing needs.
        (variable("storage.ballast"), "0".to_owned()),
    ];
    environment.extend(settings.iter().map(|(key, value)| (variable(key), (*value).to_owned())));
    environment
}

/// `GRANARY_SECTION__NAME` for `section.name`.
fn variable(key: &str) -> String {
    format!("GRANARY_{}", key.to_ascii_uppercase().replacen('.', "__", 1))
}

/// Reads standard output to its end, and the address out of its first line.
fn read_greeting(stdout: ChildStdout, printed: &Mutex<String>, found: &mpsc::Sender<SocketAddr>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let address = line
            .strip_prefix("Granary is at ")
            .and_then(|url| url.split_once("://")?.1.parse().ok());
        {
            let mut printed = printed.lock().unwrap();
            printed.push_str(&line);
            printed.push('\n');
        }
        if let Some(address) = address {
            let _ = found.send(address);
        }
    }
}

fn list(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), names);
        } else {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
}
