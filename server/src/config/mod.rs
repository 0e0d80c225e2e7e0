//! Configuration: one TOML file, the environment and a few flags, merged and checked
//! before anything else happens. The only place that reads the environment.

mod load;
mod settings;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use load::{Flags, Loaded};
pub(crate) use settings::{default_toml, limits_page};

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use values::{Network, Values};

/// Everything that can be set, checked. What each key means is in `settings.rs`.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) tls: Option<Tls>,
    pub(crate) storage: Storage,
    pub(crate) database: Database,
    pub(crate) auth: Auth,
    pub(crate) oci: Oci,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) sweep: Sweep,
    /// The first administrator's password, from `GRANARY_ADMIN_PASSWORD[_FILE]`.
    pub(crate) admin_password: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: String,
    pub(crate) workers: usize,
    pub(crate) drain_timeout: Duration,
    trusted_proxies: Vec<Network>,
}

impl Server {
    /// Whether what `peer` says about its clients is believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

/// Where certificate and key are. Neither set: no TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) path: PathBuf,
    pub(crate) reserve: u64,
    pub(crate) ballast: u64,
}

#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool_size: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Auth {
    pub(crate) service: String,
    pub(crate) token_lifetime: Duration,
    pub(crate) refresh_token_lifetime: Duration,
    pub(crate) refresh_tokens_per_account: u64,
    pub(crate) anonymous: bool,
    pub(crate) project_creation: ProjectCreation,
    pub(crate) basic_cache: Duration,
    pub(crate) hash_concurrency: usize,
    pub(crate) hash_queue: usize,
}

/// Who creates a project by pushing into it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProjectCreation {
    Admins,
    Users,
}

#[derive(Clone, Debug)]
pub(crate) struct Oci {
    pub(crate) allow_missing: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) manifest_bytes: u64,
    pub(crate) blob_bytes: u64,
    pub(crate) uploads_per_principal: u64,
    pub(crate) upload_expiry: Duration,
    pub(crate) upload_acknowledge: u64,
    pub(crate) upload_parts: usize,
    pub(crate) upload_joins: usize,
    pub(crate) blob_lease: Duration,
    pub(crate) body_idle: Duration,
    pub(crate) body_rate: u64,
    pub(crate) header_timeout: Duration,
    pub(crate) reader_idle: Duration,
    pub(crate) h2_stream_window: u32,
    pub(crate) h2_connection_window: u32,
    pub(crate) page_default: usize,
    pub(crate) page_max: usize,
    pub(crate) manifest_references: usize,
    pub(crate) tag_parameters: usize,
    pub(crate) ranges_per_request: usize,
    pub(crate) sidecar_bytes: u64,
    pub(crate) deploy_holders: usize,
    pub(crate) chart_bytes: u64,
    pub(crate) chart_file_bytes: u64,
    pub(crate) chart_entries: usize,
    pub(crate) chart_members: usize,
    pub(crate) chart_metadata_bytes: u64,
    pub(crate) chart_metadata_depth: usize,
    pub(crate) chart_metadata_values: usize,
    pub(crate) chart_annotation_key_bytes: usize,
    pub(crate) chart_images: usize,
    pub(crate) chart_publisher_bytes: u64,
    pub(crate) chart_unpacks: usize,
    pub(crate) chart_diff_lines: usize,
    pub(crate) chart_diff_time: Duration,
    pub(crate) chart_provenance_bytes: u64,
    pub(crate) yank_reason_bytes: usize,
    pub(crate) form_parts: usize,
    pub(crate) form_other_bytes: u64,
    pub(crate) folder_archive_files: usize,
    pub(crate) folder_archive_bytes: u64,
    pub(crate) archive_entries: usize,
    pub(crate) archive_directory_bytes: u64,
    pub(crate) archive_entry_bytes: u64,
    pub(crate) archive_unpacked_bytes: u64,
    pub(crate) archive_ratio: u64,
    pub(crate) archive_members: usize,
    pub(crate) archives_per_principal: usize,
    pub(crate) archive_work: usize,
    pub(crate) labels_per_version: usize,
    pub(crate) label_key_bytes: usize,
    pub(crate) label_value_bytes: usize,
    pub(crate) chart_index_cache: u64,
    pub(crate) downloads: usize,
    pub(crate) downloads_per_principal: usize,
    pub(crate) connections: usize,
    pub(crate) connections_refused: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) h2_streams: usize,
    pub(crate) h2_requests: usize,
    pub(crate) page_bytes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Auto,
    Pretty,
    Json,
}

#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    pub(crate) interval: Duration,
    pub(crate) orphan_age: Duration,
}

impl Config {
    /// Reads every setting; what does not fit is noted in `values.problems`.
    fn read(values: &mut Values, admin_password: Option<String>) -> Self {
        const MANY: u64 = 1_000_000;
        Self {
            server: Server {
                listen: values.read("server.listen", SocketAddr::from(([127, 0, 0, 1], 5000)), |text| {
                    text.parse()
                        .map_err(|_| "must be an address and a port, such as 127.0.0.1:5000".to_owned())
                }),
                public_url: values.read("server.public_url", String::new(), public_url),
                workers: values.count("server.workers", 0, 1024),
                drain_timeout: values.duration("server.drain_timeout", "1s", "1d"),
                trusted_proxies: values.read("server.trusted_proxies", Vec::new(), |text| {
                    text.split(',')
                        .map(str::trim)
                        .filter(|part| !part.is_empty())
                        .map(Network::parse)
                        .collect()
                }),
            },
            tls: tls(values),
            storage: Storage {
                path: values.text("storage.path").into(),
                reserve: values.size("storage.reserve", 0),
                ballast: values.size("storage.ballast", 0),
            },
            database: Database {
                url: values.read("database.url", String::new(), |text| {
                    let known = text.is_empty() || text.starts_with("postgres://") || text.starts_with("postgresql://");
                    // The value is a secret: the sentence must not repeat it, so the check happens where it is shown masked.
                    if known {
                        Ok(text.to_owned())
                    } else {
                        Err("must begin with postgres://, or be empty for SQLite".to_owned())
                    }
                }),
                pool_size: u32::try_from(values.number("database.pool_size", 1, 1000)).unwrap_or(8),
            },
            auth: Auth {
                service: values.read("auth.service", String::new(), |text| {
                    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
                    if plain {
                        Ok(text.to_owned())
                    } else {
                        Err("must be visible ASCII without quotes".to_owned())
                    }
                }),
                token_lifetime: values.duration("auth.token_lifetime", "60s", "1h"),
                refresh_token_lifetime: values.duration("auth.refresh_token_lifetime", "1h", "3650d"),
                refresh_tokens_per_account: values.number("auth.refresh_tokens_per_account", 1, MANY),
                anonymous: values.flag("auth.anonymous"),
                project_creation: values.choice(
                    "auth.project_creation",
                    &[("admins", ProjectCreation::Admins), ("users", ProjectCreation::Users)],
                ),
                basic_cache: values.duration("auth.basic_cache", "0s", "1h"),
                hash_concurrency: values.count("auth.hash_concurrency", 1, 64),
                hash_queue: values.count("auth.hash_queue", 1, MANY),
            },
            oci: Oci {
                allow_missing: values.flag("oci.allow_missing"),
            },
            limits: Limits {
                manifest_bytes: values.size("limits.manifest_bytes", 1024),
                blob_bytes: values.size("limits.blob_bytes", 1),
                uploads_per_principal: values.number("limits.uploads_per_principal", 1, MANY),
                upload_expiry: values.duration("limits.upload_expiry", "1m", "365d"),
                upload_acknowledge: values.size("limits.upload_acknowledge", 64 * 1024),
                upload_parts: values.count("limits.upload_parts", 1, 10_000),
                upload_joins: values.count("limits.upload_joins", 1, 1000),
                blob_lease: values.duration("limits.blob_lease", "1m", "365d"),
                body_idle: values.duration("limits.body_idle", "1s", "1d"),
                body_rate: values.size("limits.body_rate", 0),
                header_timeout: values.duration("limits.header_timeout", "1s", "1h"),
                reader_idle: values.duration("limits.reader_idle", "1s", "1h"),
                h2_stream_window: window(values, "limits.h2_stream_window"),
                h2_connection_window: window(values, "limits.h2_connection_window"),
                page_default: values.count("limits.page_default", 1, 100_000),
                page_max: values.count("limits.page_max", 1, 100_000),
                manifest_references: values.count("limits.manifest_references", 1, MANY),
                tag_parameters: values.count("limits.tag_parameters", 10, 10_000),
                ranges_per_request: values.count("limits.ranges_per_request", 1, 10_000),
                sidecar_bytes: values.size("limits.sidecar_bytes", 1024),
                deploy_holders: values.count("limits.deploy_holders", 1, 10_000),
                chart_bytes: values.size("limits.chart_bytes", 1024),
                chart_file_bytes: values.size("limits.chart_file_bytes", 1024),
                chart_entries: values.count("limits.chart_entries", 1, MANY),
                chart_members: values.count("limits.chart_members", 1, MANY),
                chart_metadata_bytes: values.size("limits.chart_metadata_bytes", 1024),
                chart_metadata_depth: values.count("limits.chart_metadata_depth", 1, 1000),
                chart_metadata_values: values.count("limits.chart_metadata_values", 1, MANY),
                chart_annotation_key_bytes: values.count("limits.chart_annotation_key_bytes", 1, 1000),
                chart_images: values.count("limits.chart_images", 0, 10_000),
                chart_publisher_bytes: values.size("limits.chart_publisher_bytes", 1024),
                // A comparison unpacks two.
                chart_unpacks: values.count("limits.chart_unpacks", 2, 10_000),
                chart_diff_lines: values.count("limits.chart_diff_lines", 0, MANY),
                chart_diff_time: values.duration("limits.chart_diff_time", "0s", "1m"),
                chart_provenance_bytes: values.size("limits.chart_provenance_bytes", 1024),
                yank_reason_bytes: values.count("limits.yank_reason_bytes", 1, 900),
                form_parts: values.count("limits.form_parts", 1, MANY),
                form_other_bytes: values.size("limits.form_other_bytes", 1024),
                folder_archive_files: values.count("limits.folder_archive_files", 1, MANY),
                folder_archive_bytes: values.size("limits.folder_archive_bytes", 1024),
                archive_entries: values.count("limits.archive_entries", 1, MANY),
                archive_directory_bytes: values.size("limits.archive_directory_bytes", 1024),
                archive_entry_bytes: values.size("limits.archive_entry_bytes", 1024),
                archive_unpacked_bytes: values.size("limits.archive_unpacked_bytes", 1024),
                archive_ratio: values.number("limits.archive_ratio", 1, MANY),
                archive_members: values.count("limits.archive_members", 1, MANY),
                archives_per_principal: values.count("limits.archives_per_principal", 1, MANY),
                archive_work: values.count("limits.archive_work", 1, 1024),
                labels_per_version: values.count("limits.labels_per_version", 1, 10_000),
                label_key_bytes: values.count("limits.label_key_bytes", 1, 255),
                label_value_bytes: values.count("limits.label_value_bytes", 1, 2048),
                chart_index_cache: values.size("limits.chart_index_cache", 0),
                downloads: values.count("limits.downloads", 1, MANY),
                downloads_per_principal: values.count("limits.downloads_per_principal", 1, MANY),
                connections: values.count("limits.connections", 1, MANY),
                connections_refused: values.count("limits.connections_refused", 0, MANY),
                keep_alive: values.duration("limits.keep_alive", "1s", "1h"),
                h2_streams: values.count("limits.h2_streams", 1, MANY),
                h2_requests: values.count("limits.h2_requests", 1, MANY),
                page_bytes: values.size("limits.page_bytes", 1024),
            },
            log: Log {
                level: values.read("log.level", "info".to_owned(), |text| match crate::logs::filter(text) {
                    Ok(_) => Ok(text.to_owned()),
                    Err(_) => Err("must be error, warn, info, debug, trace, or directives such as granary=debug".to_owned()),
                }),
                format: values.choice(
                    "log.format",
                    &[("auto", LogFormat::Auto), ("pretty", LogFormat::Pretty), ("json", LogFormat::Json)],
                ),
            },
            sweep: Sweep {
                interval: values.duration("sweep.interval", "1s", "30d"),
                orphan_age: values.duration("sweep.orphan_age", "1h", "365d"),
            },
            admin_password,
        }
    }
}

fn tls(values: &mut Values) -> Option<Tls> {
    let (cert, key) = (values.text("tls.cert"), values.text("tls.key"));
    match (cert.is_empty(), key.is_empty()) {
        (true, true) => None,
        (false, false) => Some(Tls {
            cert: cert.into(),
            key: key.into(),
        }),
        _ => {
            values
                .problems
                .push("tls.cert and tls.key go together: set both or neither".to_owned());
            None
        }
    }
}

/// RFC 9113 §6.9.1: at least the initial 65,535 bytes, at most 2^31 - 1.
fn window(values: &mut Values, key: &'static str) -> u32 {
    values.read(key, 65_535, |text| {
        let bytes = values::size(text)?;
        u32::try_from(bytes)
            .ok()
            .filter(|bytes| (65_535..=i32::MAX.unsigned_abs()).contains(bytes))
            .ok_or_else(|| "must be between 65535 bytes and 2147483647 bytes".to_owned())
    })
}

fn public_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        _ if text.is_empty() => Ok(String::new()),
        Some(host) if !host.is_empty() && !host.contains(['/', '"', '\\', ' ']) => Ok(text.to_owned()),
        _ => Err("must be http:// or https:// and a host, without a path".to_owned()),
    }
}
