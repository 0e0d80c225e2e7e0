//! The wiring, on one screen: configuration → stores → access → HTTP and workers.

use crate::admin::{self, Admin, StoreLock};
use crate::auth::{AccessGate, Authenticator, Passwords, TokenEndpoint, Tokens};
use crate::config::{self, Config, ProjectCreation};
use crate::http::{self, Bounds, Certificate, Origins, Patience, State};
use crate::metrics::Metrics;
use crate::{first_run, workers};
use actix_web::web::Data;
use anyhow::Context as _;
use granary_formats::{Dispatch, formats};
use granary_storage::Stores;
use granary_storage::ballast::Ballast;
use granary_storage::blob::FsStore;
use granary_storage::catalog::{Catalog, Database};
use granary_storage::limits::Limits;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Opens the data folder: made for its owner only, locked against other processes.
pub(crate) fn lock_data(config: &Config) -> anyhow::Result<StoreLock> {
    let data = &config.storage.path;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("cannot make {}", data.display()))?;
    StoreLock::take(data).with_context(|| format!("cannot use {}", data.display()))
}

/// Opens the catalog.
pub(crate) fn open_catalog(config: &Config) -> anyhow::Result<Catalog> {
    let database = match config.database.url.as_str() {
        "" => Database::Sqlite(config.storage.path.join("granary.db")),
        url => Database::Postgres(url.to_owned()),
    };
    Catalog::open(&database, config.database.pool_size)
        .map_err(with_cause)
        .context("cannot open the catalog")
}

/// Joins the catalog with the folder of blobs.
pub(crate) fn open_stores(config: &Config, catalog: Catalog) -> anyhow::Result<Stores> {
    let blobs = FsStore::open(config.storage.path.join("store"))
        .map_err(with_cause)
        .context("cannot open the blob store")?;
    Ok(Stores::new(Arc::new(blobs), catalog, limits(config)).known_as(host(&config.server.public_url)))
}

/// The host of a URL that is one and nothing behind it.
fn host(public_url: &str) -> Option<&str> {
    public_url.split_once("://").map(|(_, host)| host)
}

/// The room to be kept for the database. PostgreSQL's disk is not ours.
fn ballast(config: &Config) -> Ballast {
    let size = if config.database.url.is_empty() {
        config.storage.ballast
    } else {
        0
    };
    Ballast::new(&config.storage.path, size, config.storage.reserve)
}

/// A storage error with its cause, for the operator.
pub(crate) fn with_cause(error: granary_storage::Error) -> anyhow::Error {
    match std::error::Error::source(&error) {
        Some(cause) => anyhow::anyhow!("{error}: {cause}"),
        None => error.into(),
    }
}

fn limits(config: &Config) -> Limits {
    let set = &config.limits;
    Limits {
        manifest_bytes: set.manifest_bytes,
        blob_bytes: set.blob_bytes,
        uploads_per_principal: set.uploads_per_principal,
        upload_expiry: set.upload_expiry,
        upload_acknowledge: set.upload_acknowledge,
        upload_parts: set.upload_parts,
        upload_joins: set.upload_joins,
        blob_lease: set.blob_lease,
        page_default: set.page_default,
        page_max: set.page_max,
        manifest_references: set.manifest_references,
        tag_parameters: set.tag_parameters,
        ranges_per_request: set.ranges_per_request,
        sidecar_bytes: set.sidecar_bytes,
        deploy_holders: set.deploy_holders,
        page_bytes: set.page_bytes,
        chart_bytes: set.chart_bytes,
        chart_file_bytes: set.chart_file_bytes,
        chart_entries: set.chart_entries,
        chart_members: set.chart_members,
        chart_metadata_bytes: set.chart_metadata_bytes,
        chart_metadata_depth: set.chart_metadata_depth,
        chart_metadata_values: set.chart_metadata_values,
        chart_annotation_key_bytes: set.chart_annotation_key_bytes,
        chart_images: set.chart_images,
        chart_publisher_bytes: set.chart_publisher_bytes,
        chart_unpacks: set.chart_unpacks,
        chart_diff_lines: set.chart_diff_lines,
        chart_diff_time: set.chart_diff_time,
        chart_provenance_bytes: set.chart_provenance_bytes,
        yank_reason_bytes: set.yank_reason_bytes,
        form_parts: set.form_parts,
        form_other_bytes: set.form_other_bytes,
        folder_archive_files: set.folder_archive_files,
        folder_archive_bytes: set.folder_archive_bytes,
        archive_entries: set.archive_entries,
        archive_directory_bytes: set.archive_directory_bytes,
        archive_entry_bytes: set.archive_entry_bytes,
        archive_unpacked_bytes: set.archive_unpacked_bytes,
        archive_ratio: set.archive_ratio,
        archive_members: set.archive_members,
        archives_per_principal: set.archives_per_principal,
        archive_work: set.archive_work,
        labels_per_version: set.labels_per_version,
        label_key_bytes: set.label_key_bytes,
        label_value_bytes: set.label_value_bytes,
        chart_index_cache: set.chart_index_cache,
        downloads: set.downloads,
        downloads_per_principal: set.downloads_per_principal,
        storage_reserve: config.storage.reserve,
        allow_missing_references: config.oci.allow_missing,
    }
}

/// What decides passwords for this configuration.
pub(crate) fn passwords(config: &Config, catalog: &Catalog) -> anyhow::Result<Arc<Passwords>> {
    Ok(Arc::new(Passwords::new(
        catalog.clone(),
        config.auth.basic_cache,
        config.auth.hash_concurrency,
        config.auth.hash_queue,
    )?))
}

/// Runs the server until it is told to stop.
pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    // Before anything is announced: whoever reads the greeting may stop the server at once.
    let mut stop = StopSignals::listen().context("cannot listen for signals")?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let _lock = lock_data(&config)?;
    let catalog = open_catalog(&config)?;
    let stores = open_stores(&config, catalog.clone())?;

    let passwords = passwords(&config, &catalog)?;
    let tokens = Arc::new(
        Tokens::open(&catalog, &config.auth.service, config.auth.token_lifetime)
            .await
            .map_err(with_cause)?,
    );
    let authenticator = Arc::new(Authenticator::new(catalog.clone(), passwords.clone(), tokens.clone()));
    let everyone_creates = config.auth.project_creation == ProjectCreation::Users;
    let gate = Arc::new(AccessGate::new(catalog.clone(), config.auth.anonymous, everyone_creates));

    raise_file_limit(&config.limits);
    let listener = TcpListener::bind(config.server.listen).with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let address = listener.local_addr()?;
    let certificate = match &config.tls {
        Some(tls) => Some(Certificate::load(&tls.cert, &tls.key)?),
        None => None,
    };
    let (drain, draining) = watch::channel(false);
    let state = Data::new(State {
        formats: formats(),
        dispatch: Dispatch {
            gate: gate.clone(),
            stores: stores.clone(),
            service: config.auth.service.clone(),
        },
        authenticator: authenticator.clone(),
        tokens: TokenEndpoint {
            authenticator,
            tokens,
            gate,
            catalog: catalog.clone(),
            service: config.auth.service.clone(),
            refresh_lifetime: config.auth.refresh_token_lifetime,
            refresh_tokens: config.auth.refresh_tokens_per_account,
        },
        origins: origins(&config, address),
        patience: Patience {
            idle: config.limits.body_idle,
            rate: config.limits.body_rate,
        },
        metrics: Metrics::new(),
        draining: draining.clone(),
    });
    let options = http::Options {
        workers: if config.server.workers == 0 {
            std::thread::available_parallelism()?.get()
        } else {
            config.server.workers
        },
        header_timeout: config.limits.header_timeout,
        drain_timeout: config.server.drain_timeout,
        bounds: Bounds {
            connections: config.limits.connections,
            h2_streams: config.limits.h2_streams,
            h2_requests: config.limits.h2_requests,
            reader_idle: config.limits.reader_idle,
            keep_alive: config.limits.keep_alive,
        },
        h2_stream_window: config.limits.h2_stream_window,
        h2_connection_window: config.limits.h2_connection_window,
        certificate: certificate.clone(),
        connections_refused: config.limits.connections_refused,
        draining,
    };
    let commands = tokio::spawn(admin::listen(
        &config.storage.path,
        Admin {
            stores: stores.clone(),
            orphan_age: config.sweep.orphan_age,
            passwords: passwords.clone(),
        },
    )?);
    let sweeper = tokio::spawn(workers::sweep_forever(
        stores,
        ballast(&config),
        config.sweep.interval,
        config.sweep.orphan_age,
    ));
    let giver = tokio::spawn(workers::give_memory_back_forever());
    first_run::welcome(&config, &catalog, &passwords, address).await?;

    let server = http::serve(state, listener, &options)?;
    let handle = server.handle();
    let socket = config.storage.path.join(admin::SOCKET_NAME);
    let ours = socket.clone();
    tokio::spawn(async move {
        stop.wait().await;
        let _ = drain.send(true);
        tracing::info!("stopping: finishing what is in flight");
        tokio::select! {
            () = stop.wait() => {}
            () = handle.stop(true) => stop.wait().await,
        }
        end_at_once(&ours);
    });
    let reloader = tokio::spawn(reload_on_hangup(certificate, hangup));
    server.await?;
    reloader.abort();
    commands.abort();
    sweeper.abort();
    giver.abort();
    let _ = std::fs::remove_file(socket);
    tracing::info!("stopped");
    Ok(())
}

/// Ends the process without waiting for anything: who asks a second time does not want to wait. What was answered is
/// durable, so this takes no more than a power cut would: what is in flight.
fn end_at_once(socket: &Path) -> ! {
    tracing::warn!("told to stop a second time: what is in flight is broken off");
    let _ = std::fs::remove_file(socket);
    std::process::exit(1)
}

fn origins(config: &Config, address: std::net::SocketAddr) -> Origins {
    let server = config.server.clone();
    let public_url = Some(server.public_url.clone()).filter(|url| !url.is_empty());
    Origins {
        public_url,
        trusts: Box::new(move |ip| server.trusts(ip)),
        tls: config.tls.is_some(),
        fallback: address.to_string(),
    }
}

/// SIGTERM, as service managers send it, and SIGINT, as a terminal does.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on neither signal ends the process by itself.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP: the certificate may have been renewed. Without one the signal means nothing, and does not end the process.
async fn reload_on_hangup(certificate: Option<Arc<Certificate>>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let Some(fresh) = certificate.clone() else { continue };
        match tokio::task::spawn_blocking(move || fresh.reload()).await {
            Ok(Ok(())) => tracing::info!("the certificate was read again"),
            Ok(Err(error)) => tracing::error!("the certificate stays as it was: {error:#}"),
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }
}

/// Files that the server needs open besides one for each connection: the store's, the database's, the logs'.
const OWN_FILES: u64 = 512;

/// Asks the system for as many open files as the connections need, and says so when it gives fewer.
fn raise_file_limit(limits: &config::Limits) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    // A connection has its socket and either a blob's file or, by HTTP/2, a second handle on the socket and files of
    // which there are as many as downloads.
    let connections = limits.connections.saturating_add(limits.connections_refused).saturating_mul(2);
    let wanted = (connections.saturating_add(limits.downloads) as u64).saturating_add(OWN_FILES);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) if limit.current < Some(wanted) => {
            tracing::warn!(
                allowed = limit.current,
                wanted,
                "the system allows fewer open files than limits.connections needs; raise it (LimitNOFILE, ulimit -n)"
            );
        }
        Ok(()) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}
