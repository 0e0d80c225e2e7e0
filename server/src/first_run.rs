//! The first start: an administrator with a password that is shown once, and the lines to try.

use crate::app::with_cause;
use crate::auth::{Passwords, check_password, random_password};
use crate::config::Config;
use anyhow::Context as _;
use granary_storage::catalog::Catalog;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// The account made on the first start.
const ADMIN: &str = "admin";
/// Where the first password goes when nobody is watching.
const PASSWORD_FILE: &str = "initial-admin-password";

/// Where the password of a new administrator is to be found.
enum Password {
    /// On the terminal, now.
    Shown(String),
    /// In a file for its owner only.
    Written(PathBuf),
    /// The operator gave it.
    Given,
    /// There was an account already.
    Old,
}

/// Makes the administrator if there is no account, and tells the operator where things are.
pub(crate) async fn welcome(config: &Config, catalog: &Catalog, passwords: &Passwords, address: SocketAddr) -> anyhow::Result<()> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let password = administrator(config, catalog, passwords).await?;
    let plain = if config.tls.is_some() { "" } else { " --plain-http" };
    let mut lines = vec![
        format!("Granary is at {scheme}://{address}"),
        format!("  data in   {}", config.storage.path.display()),
    ];
    match &password {
        Password::Shown(password) => {
            lines.push(format!("  admin's first password, shown once:   {password}"));
        }
        Password::Written(file) => lines.push(format!("  admin's first password is in   {}", file.display())),
        Password::Given | Password::Old => {}
    }
    if !matches!(password, Password::Old) {
        let (url, host) = reached_at(config, scheme, address);
        lines.extend([
            String::new(),
            "Try:".to_owned(),
            format!("  docker login {host} --username {ADMIN}"),
            format!("  docker pull hello-world && docker tag hello-world {host}/demo/hello:1.0 && docker push {host}/demo/hello:1.0"),
            format!("  helm registry login {host}{plain} --username {ADMIN}"),
            format!("  echo hello | curl --user {ADMIN} -T - {url}/generic/demo/files/hello.txt"),
            format!("  curl --user {ADMIN} {url}/v2/_catalog"),
        ]);
    }
    lines.push(String::new());
    std::io::stdout().write_all(lines.join("\n").as_bytes())?;
    Ok(())
}

/// The URL and the host by which a client on this machine reaches the server.
fn reached_at(config: &Config, scheme: &str, address: SocketAddr) -> (String, String) {
    let public = config.server.public_url.as_str();
    if let Some((_, host)) = public.split_once("://") {
        return (public.to_owned(), host.to_owned());
    }
    // Listening on every address is no address to connect to.
    let host = match address.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", address.port()),
        false => address.to_string(),
    };
    (format!("{scheme}://{host}"), host)
}

async fn administrator(config: &Config, catalog: &Catalog, passwords: &Passwords) -> anyhow::Result<Password> {
    if !catalog.accounts().await.map_err(with_cause)?.is_empty() {
        return Ok(Password::Old);
    }
    let (password, shown) = match &config.admin_password {
        Some(given) => {
            check_password(given).context("the password in GRANARY_ADMIN_PASSWORD")?;
            (given.clone(), Password::Given)
        }
        None => {
            let made = random_password()?;
            let shown = if std::io::stdout().is_terminal() {
                Password::Shown(made.clone())
            } else {
                Password::Written(write(config, &made)?)
            };
            (made, shown)
        }
    };
    let hash = passwords.hash(password).await.map_err(with_cause)?;
    match catalog
        .create_first_account(ADMIN.to_owned(), hash, true)
        .await
        .map_err(with_cause)?
    {
        Some(_) => Ok(shown),
        // Another node was quicker; its password counts.
        None => Ok(Password::Old),
    }
}

/// Before the account exists: a crash in between leaves a file and no account, never an account nobody can enter.
fn write(config: &Config, password: &str) -> anyhow::Result<PathBuf> {
    let path = config.storage.path.join(PASSWORD_FILE);
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)?;
    writeln!(file, "{password}")?;
    file.sync_all()?;
    Ok(path)
}
