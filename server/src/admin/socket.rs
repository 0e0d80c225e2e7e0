//! The road from the command line to a running server: a Unix socket in the data
//! folder, one JSON line in, one JSON line out. Who may open the folder may use it.

use super::command::{Admin, Command, Outcome};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

/// The socket's name in the data folder.
pub(crate) const SOCKET_NAME: &str = "granary.sock";
/// Bytes in one command, at most.
const LINE_MAX: u64 = 64 * 1024;
/// How long either side waits for the other to send or take a line. A command itself may take longer: a check reads everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves commands until the task is dropped. The caller holds the store's lock, so an old socket is a dead one.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) fn listen(data: &Path, admin: Admin) -> io::Result<impl Future<Output = ()> + use<>> {
    let path = data.join(SOCKET_NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_folder, short) = short_path(data)?;
    let listener = UnixListener::bind(short)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let admin = admin.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &admin).await {
                            tracing::debug!(%error, "a command connection broke");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the command socket does not accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    })
}

/// The socket's path by way of the open folder: a Unix socket's address holds 108 bytes, a data folder may lie deeper.
/// The path holds as long as the folder is kept open.
fn short_path(data: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(data)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd()));
    Ok((folder, path))
}

async fn answer(stream: tokio::net::UnixStream, admin: &Admin) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(LINE_MAX));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let outcome = match serde_json::from_str::<Command>(&line) {
        Ok(command) => admin.run(command).await,
        Err(_) => Outcome::Failed("the running server does not know this command; is it of another version?".into()),
    };
    let mut reply = serde_json::to_vec(&outcome)?;
    reply.push(b'\n');
    tokio::time::timeout(PATIENCE, writer.write_all(&reply)).await?
}

/// Asks a running server; `None` when there is none.
///
/// # Errors
/// When the connection breaks after it was made: the command may or may not have been carried out.
pub(crate) fn ask(data: &Path, command: &Command) -> io::Result<Option<Outcome>> {
    let (_folder, short) = short_path(data)?;
    let mut stream = match UnixStream::connect(short) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error),
    };
    // No limit on reading: the server's end closes the socket when it stops, however it stops.
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply)?;
    Ok(Some(serde_json::from_str(&reply)?))
}
