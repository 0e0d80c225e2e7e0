//! Every setting there is: key, default, meaning. The one source of defaults, of
//! `granary config default` and of the table of limits.

/// One setting.
pub(crate) struct Setting {
    /// `section.name`; the environment calls it `GRANARY_SECTION__NAME`.
    pub(crate) key: &'static str,
    /// The default, written as in the file but without quotes.
    pub(crate) default: &'static str,
    /// Whether its value is never shown.
    pub(crate) secret: bool,
    /// What it means.
    pub(crate) doc: &'static str,
}

const fn setting(key: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting {
        key,
        default,
        secret: false,
        doc,
    }
}

const fn secret(key: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting {
        key,
        default,
        secret: true,
        doc,
    }
}

/// All of them, by section.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("server.listen", "127.0.0.1:5000", "Address and port to listen on."),
    setting(
        "server.public_url",
        "",
        "The URL by which clients reach this server, such as https://registry.example.com. Empty: taken from each request.",
    ),
    setting("server.workers", "0", "Threads that answer requests. 0: one per core."),
    setting(
        "server.drain_timeout",
        "60s",
        "How long requests in flight may take once the server is told to stop.",
    ),
    setting(
        "server.trusted_proxies",
        "",
        "Addresses or networks (10.0.0.0/8) whose X-Forwarded-Proto and X-Forwarded-Host are believed.",
    ),
    setting(
        "tls.cert",
        "",
        "A PEM file with the certificate and its chain; SIGHUP reads it again. Empty: no TLS.",
    ),
    setting("tls.key", "", "A PEM file with the certificate's private key."),
    setting("storage.path", "./granary-data", "The folder that holds everything."),
    setting("storage.reserve", "64MiB", "Free space under which uploads are refused with 507."),
    setting(
        "storage.ballast",
        "16MiB",
        "Room kept beside SQLite's database and given up when its disk is full, so that deletes go on; made where storage.reserve stays free. 0: none.",
    ),
    secret(
        "database.url",
        "",
        "postgres://user:password@host/database. Empty: SQLite in the data folder.",
    ),
    setting("database.pool_size", "8", "Connections kept to the database."),
    setting("auth.service", "granary", "The name that tokens are issued for (service and aud)."),
    setting("auth.token_lifetime", "5m", "How long a token lives; 60s to 1h."),
    setting("auth.refresh_token_lifetime", "30d", "How long a refresh token lives."),
    setting(
        "auth.refresh_tokens_per_account",
        "100",
        "Refresh tokens of one account, at most; the next one takes the place of the oldest.",
    ),
    setting(
        "auth.anonymous",
        "false",
        "Whether projects marked public can be pulled without an account.",
    ),
    setting(
        "auth.project_creation",
        "admins",
        "Who creates a project by pushing into it first: admins, or users.",
    ),
    setting(
        "auth.basic_cache",
        "60s",
        "How long a verified user name and password is remembered.",
    ),
    setting("auth.hash_concurrency", "2", "Password hashes computed at once; each takes 19 MiB."),
    setting(
        "auth.hash_queue",
        "100",
        "Logins that wait for their turn to be checked, at most; more are answered with 429.",
    ),
    setting(
        "oci.allow_missing",
        "false",
        "Whether a manifest may name blobs and manifests that its repository does not hold (sparse copies).",
    ),
    setting("limits.manifest_bytes", "4MiB", "A manifest, at most."),
    setting("limits.blob_bytes", "100GiB", "A blob, at most."),
    setting(
        "limits.uploads_per_principal",
        "1000",
        "Open upload sessions of one principal, at most.",
    ),
    setting(
        "limits.upload_expiry",
        "7d",
        "An upload session without a request for this long is removed.",
    ),
    setting(
        "limits.upload_acknowledge",
        "16MiB",
        "Bytes of one request to an upload by tus after which what came is acknowledged: no more than this is sent again after the server dies.",
    ),
    setting("limits.upload_parts", "256", "Parts that are joined into one file by tus, at most."),
    setting(
        "limits.upload_joins",
        "4",
        "Files that are being joined of parts at once, at most; others wait for their turn.",
    ),
    setting(
        "limits.blob_lease",
        "24h",
        "How long an uploaded blob is kept that no manifest names yet.",
    ),
    setting(
        "limits.body_idle",
        "60s",
        "A request body that brings no byte for this long is given up.",
    ),
    setting(
        "limits.body_rate",
        "128",
        "Bytes a second that a request body brings at least, over any limits.body_idle; 0: any.",
    ),
    setting("limits.header_timeout", "30s", "How long a client may take to send its headers."),
    setting(
        "limits.reader_idle",
        "60s",
        "A client that takes none of the bytes that are there for it for this long is cut off; over HTTP/2, less than 16 KiB of an answer.",
    ),
    setting(
        "limits.keep_alive",
        "60s",
        "A connection on which nothing is asked is kept this long; over HTTP/2, a ping must be answered within it.",
    ),
    setting(
        "limits.h2_stream_window",
        "8MiB",
        "Bytes of one HTTP/2 request body under way, at most.",
    ),
    setting(
        "limits.h2_connection_window",
        "16MiB",
        "Bytes of all request bodies of one HTTP/2 connection under way, at most.",
    ),
    setting(
        "limits.h2_streams",
        "1000",
        "Requests that run at once on one HTTP/2 connection, at most; more are answered with 503, and one that has twice as many is closed.",
    ),
    setting(
        "limits.h2_requests",
        "20000",
        "The same for all HTTP/2 connections together; closed are those that have the most.",
    ),
    setting("limits.page_default", "100", "Entries of a page when the client names no number."),
    setting("limits.page_max", "1000", "Entries of a page, at most."),
    setting(
        "limits.page_bytes",
        "4MiB",
        "Bytes of descriptors on a page of referrers, at most, unless the first alone has more.",
    ),
    setting("limits.manifest_references", "10000", "Descriptors in one manifest, at most."),
    setting(
        "limits.tag_parameters",
        "64",
        "tag parameters of one manifest push, at most; the specification asks for 10.",
    ),
    setting(
        "limits.ranges_per_request",
        "32",
        "Ranges of one request, at most; more are answered with the whole.",
    ),
    setting(
        "limits.sidecar_bytes",
        "8KiB",
        "A checksum that is sent to be held against a file (fw.bin.sha256), at most.",
    ),
    setting(
        "limits.deploy_holders",
        "16",
        "Places that hold some content and that policies are asked about when it is stored by its checksum, at most.",
    ),
    setting(
        "limits.chart_bytes",
        "100MiB",
        "A chart's archive, packed and unpacked, at most; Helm itself stops here.",
    ),
    setting(
        "limits.chart_file_bytes",
        "5MiB",
        "One file in a chart's archive, at most; Helm itself stops here.",
    ),
    setting("limits.chart_entries", "10000", "Entries of a chart's archive, at most."),
    setting(
        "limits.chart_members",
        "10000",
        "Gzip members that a chart's archive is packed as, at most.",
    ),
    setting(
        "limits.chart_metadata_bytes",
        "1MiB",
        "A Chart.yaml, as written and with its aliases resolved, at most.",
    ),
    setting("limits.chart_metadata_depth", "64", "How deep a Chart.yaml may be nested."),
    setting(
        "limits.chart_metadata_values",
        "20000",
        "Values in a Chart.yaml with its aliases resolved, at most.",
    ),
    setting(
        "limits.chart_annotation_key_bytes",
        "1000",
        "Bytes in the name of an annotation of a chart, at most; up to 1000, which is what YAML can hold.",
    ),
    setting(
        "limits.chart_images",
        "100",
        "Images that a chart may say it runs (artifacthub.io/images), at most; of more none is kept, and a label says so.",
    ),
    setting("limits.chart_publisher_bytes", "64KiB", "An artifacthub-repo.yml, at most."),
    setting(
        "limits.chart_unpacks",
        "16",
        "Charts that are unpacked at once to read files in them (values, templates, differences), at most; more are answered with 503.",
    ),
    setting(
        "limits.chart_diff_lines",
        "50000",
        "Lines of a file that are compared with those of another version, at most; of a longer one only that it differs is told.",
    ),
    setting(
        "limits.chart_diff_time",
        "1s",
        "How long two versions of a chart are compared exactly; what is left then is told as removed and added.",
    ),
    setting("limits.chart_provenance_bytes", "1MiB", "A chart's provenance file, at most."),
    setting("limits.form_parts", "100", "Parts of a form, at most."),
    setting(
        "limits.form_other_bytes",
        "64KiB",
        "Bytes of a form besides what is uploaded by it, at most.",
    ),
    setting(
        "limits.yank_reason_bytes",
        "512",
        "Bytes of the reason for which a chart's version is yanked, at most; up to 900, which a header can carry.",
    ),
    setting(
        "limits.chart_index_cache",
        "256MiB",
        "Memory for indexes of charts that are kept between requests, at most.",
    ),
    setting(
        "limits.folder_archive_files",
        "100000",
        "Files of a folder that is fetched as an archive, at most.",
    ),
    setting(
        "limits.folder_archive_bytes",
        "100GiB",
        "Bytes of all files of a folder that is fetched as an archive, at most.",
    ),
    setting(
        "limits.archive_entries",
        "100000",
        "Entries of a stored archive that is looked into, at most.",
    ),
    setting(
        "limits.archive_directory_bytes",
        "16MiB",
        "The list of entries in a stored ZIP that is looked into, at most.",
    ),
    setting(
        "limits.archive_entry_bytes",
        "1GiB",
        "One entry that is read out of a stored archive, unpacked, at most; fetch the archive for larger ones.",
    ),
    setting(
        "limits.archive_unpacked_bytes",
        "4GiB",
        "Bytes of a stored tar, or of a tar.gz unpacked, that are gone through to look into it, at most.",
    ),
    setting(
        "limits.archive_ratio",
        "200",
        "How many times its packed size what is read out of a stored archive may have, beyond its first MiB.",
    ),
    setting(
        "limits.archive_members",
        "65536",
        "Gzip members that a stored tar.gz which is looked into is packed as, at most.",
    ),
    setting(
        "limits.archives_per_principal",
        "16",
        "Requests of one account, or of everybody who has none, that fetch a folder as an archive or look into an archive at once, at most; more are answered with 429.",
    ),
    setting(
        "limits.archive_work",
        "2",
        "Pieces of archives that are packed or unpacked at once, at most; each takes a processor for a few milliseconds, and others wait.",
    ),
    setting(
        "limits.labels_per_version",
        "64",
        "Labels of one version of a file or a chart, at most.",
    ),
    setting("limits.label_key_bytes", "128", "Bytes in the key of a label, at most; up to 255."),
    setting(
        "limits.label_value_bytes",
        "1024",
        "Bytes in the value of a label, at most; up to 2048.",
    ),
    setting(
        "limits.downloads",
        "2000",
        "Blobs, and other answers over 64 KiB, that are sent at once, at most; each counts once for every half MiB that it holds in memory, which is once for a blob. More are answered with 503.",
    ),
    setting(
        "limits.downloads_per_principal",
        "1000",
        "The same for one account, or for everybody who has none; more are answered with 429.",
    ),
    setting(
        "limits.connections",
        "10000",
        "Connections served at once, at most; requests on others are answered with 503.",
    ),
    setting(
        "limits.connections_refused",
        "256",
        "Connections over limits.connections that are open to be told so; any more wait to be accepted.",
    ),
    setting(
        "log.level",
        "info",
        "What is logged: error, warn, info, debug, trace, or directives such as granary=debug.",
    ),
    setting("log.format", "auto", "pretty, json, or auto: pretty on a terminal."),
    setting("sweep.interval", "1h", "How often expired uploads and orphan files are removed."),
    setting(
        "sweep.orphan_age",
        "24h",
        "Files without a row are left alone until they are this old; 1h at least.",
    ),
];

/// The setting of that key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The key most like `key`, for "did you mean".
pub(crate) fn nearest(key: &str) -> &'static str {
    let likeness = |setting: &&Setting| strsim::jaro_winkler(setting.key, key);
    SETTINGS
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
        .map_or("", |setting| setting.key)
}

/// A configuration file with every setting at its default.
pub(crate) fn default_toml() -> String {
    let mut text = String::from("# Granary's configuration: every key, its default and what it means.\n");
    let mut section = "";
    for Setting { key, default, doc, .. } in SETTINGS {
        let (its_section, name) = key.split_once('.').unwrap_or(("", key));
        if its_section != section {
            section = its_section;
            text.push_str(&format!("\n[{section}]\n"));
        }
        let bare = default.parse::<i64>().is_ok() || default.parse::<bool>().is_ok();
        let quoted = if bare { (*default).to_owned() } else { format!("\"{default}\"") };
        text.push_str(&format!("# {doc}\n{name} = {quoted}\n"));
    }
    text
}

/// `docs/limits.md`.
pub(crate) fn limits_page() -> String {
    let mut text = String::from(
        "# Limits\n\nEvery limit, its default and the setting that changes it. Made by `granary config limits > docs/limits.md`; a test compares.\n\n\
         | setting | default | what it bounds |\n|---|---|---|\n",
    );
    let bounds = |setting: &&Setting| {
        setting.key.starts_with("limits.")
            || matches!(
                setting.key,
                "storage.reserve"
                    | "storage.ballast"
                    | "auth.token_lifetime"
                    | "auth.refresh_tokens_per_account"
                    | "auth.hash_concurrency"
                    | "auth.hash_queue"
            )
    };
    for Setting { key, default, doc, .. } in SETTINGS.iter().filter(bounds) {
        text.push_str(&format!("| `{key}` | {default} | {doc} |\n"));
    }
    text.push_str(
        "\nFixed by the protocols, and therefore no settings: a repository name has at most 255 bytes, a tag 128, a file's path 2048 in \
         at most 100 segments, the path of a request 8192; a token request's form 64 KiB; a password 8 characters to 1024 bytes; an account name 128 bytes.\n",
    );
    text
}
