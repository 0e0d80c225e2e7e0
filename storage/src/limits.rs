//! The limits that the store and the formats enforce, with their defaults.
//! The configuration section `[limits]` sets each of them under the same name.

use std::time::Duration;

/// Every limit below HTTP. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A manifest, at most.
    pub manifest_bytes: u64,
    /// A blob, at most.
    pub blob_bytes: u64,
    /// Open upload sessions of one principal, at most.
    pub uploads_per_principal: u64,
    /// An upload session without a request for this long is swept.
    pub upload_expiry: Duration,
    /// Bytes of one request to an upload by tus after which what came is acknowledged.
    pub upload_acknowledge: u64,
    /// Parts that are joined into one file by tus, at most.
    pub upload_parts: usize,
    /// Files that are being joined of parts at once, at most; others wait for their turn.
    pub upload_joins: usize,
    /// How long an uploaded or mounted blob that no manifest names yet is kept.
    pub blob_lease: Duration,
    /// Entries of a page when the client names no number.
    pub page_default: usize,
    /// Entries of a page, at most; a larger wish is cut to it.
    pub page_max: usize,
    /// Descriptors in one manifest, at most.
    pub manifest_references: usize,
    /// `tag` parameters in one request, at most.
    pub tag_parameters: usize,
    /// Ranges in one `Range` header, at most.
    pub ranges_per_request: usize,
    /// Bytes of a checksum that is sent to be held against a file, at most.
    pub sidecar_bytes: u64,
    /// Places that hold some content and that policies are asked about when it is stored by its checksum, at most.
    pub deploy_holders: usize,
    /// Bytes of descriptors on a page of referrers, at most, unless the first alone has more.
    pub page_bytes: u64,
    /// Large answers that are under way at once, at most; each counts once for every [`crate::downloads::PLACE`] that it holds.
    pub downloads: usize,
    /// The same for one account; all that is anonymous is one.
    pub downloads_per_principal: usize,
    /// A chart's archive, packed and unpacked, at most (Helm's own limit).
    pub chart_bytes: u64,
    /// One file in a chart's archive, at most (Helm's own limit).
    pub chart_file_bytes: u64,
    /// Entries of a chart's archive, at most.
    pub chart_entries: usize,
    /// Gzip members that a chart's archive is packed as, at most.
    pub chart_members: usize,
    /// A Chart.yaml, as written and with its aliases resolved, at most.
    pub chart_metadata_bytes: u64,
    /// How deep a Chart.yaml may be nested.
    pub chart_metadata_depth: usize,
    /// Values in a Chart.yaml with its aliases resolved, at most.
    pub chart_metadata_values: usize,
    /// Bytes in the name of an annotation of a chart, at most. YAML knows no longer key without a mark before it
    /// (1.2 §7.4.2), and an index holds these.
    pub chart_annotation_key_bytes: usize,
    /// Images that a chart may say it runs, at most; of more none is kept.
    pub chart_images: usize,
    /// A file that says who publishes the charts of a repository, at most.
    pub chart_publisher_bytes: u64,
    /// Charts that are unpacked at once for who reads files in them, at most.
    pub chart_unpacks: usize,
    /// Lines of a file of a chart that are compared with another one's, at most; of a longer file it is told whether it differs.
    pub chart_diff_lines: usize,
    /// How long two charts are compared exactly; what is left then is told as removed and added.
    pub chart_diff_time: Duration,
    /// A provenance file, at most.
    pub chart_provenance_bytes: u64,
    /// Bytes of the reason for which a chart's version is yanked, at most.
    pub yank_reason_bytes: usize,
    /// Parts of a form, at most.
    pub form_parts: usize,
    /// Bytes of a form besides what is uploaded by it, at most.
    pub form_other_bytes: u64,
    /// Memory for indexes of charts that are kept, at most.
    pub chart_index_cache: u64,
    /// Files of a folder that is fetched as an archive, at most.
    pub folder_archive_files: usize,
    /// Bytes of all of them together, at most.
    pub folder_archive_bytes: u64,
    /// Entries of a stored archive that is looked into, at most.
    pub archive_entries: usize,
    /// The list of entries in a stored ZIP, at most.
    pub archive_directory_bytes: u64,
    /// One entry that is read out of a stored archive, unpacked, at most.
    pub archive_entry_bytes: u64,
    /// All of a stored archive that is unpacked, or read where it is not packed, to look into it, at most.
    pub archive_unpacked_bytes: u64,
    /// How many times its packed size anything unpacked may have, beyond its first MiB.
    pub archive_ratio: u64,
    /// Gzip members that a stored tar.gz which is looked into is packed as, at most.
    pub archive_members: usize,
    /// Requests of one account that walk a folder to send it as one, or look into an archive, at once, at most; all that is
    /// anonymous is one.
    pub archives_per_principal: usize,
    /// Pieces of archives that are packed or unpacked at once, at most: each takes a processor for a few milliseconds.
    pub archive_work: usize,
    /// Labels of one version, at most.
    pub labels_per_version: usize,
    /// Bytes in the key of a label, at most; [`crate::label::KEY_MAX`] whatever this says.
    pub label_key_bytes: usize,
    /// Bytes in the value of a label, at most; [`crate::label::VALUE_MAX`] whatever this says.
    pub label_value_bytes: usize,
    /// Free space under which uploads and manifests are refused; deletes are not.
    pub storage_reserve: u64,
    /// Whether a manifest may name content that its repository does not hold (sparse copies). Such a name
    /// grants nothing: reading goes by what is linked.
    pub allow_missing_references: bool,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            manifest_bytes: 4 * MIB,
            blob_bytes: 100 * 1024 * MIB,
            uploads_per_principal: 1000,
            upload_expiry: Duration::from_secs(7 * 24 * 3600),
            upload_acknowledge: 16 * MIB,
            upload_parts: 256,
            upload_joins: 4,
            blob_lease: Duration::from_secs(24 * 3600),
            page_default: 100,
            page_max: 1000,
            manifest_references: 10_000,
            tag_parameters: 64,
            ranges_per_request: 32,
            sidecar_bytes: 8 * 1024,
            deploy_holders: 16,
            page_bytes: 4 * MIB,
            downloads: 2000,
            downloads_per_principal: 1000,
            chart_bytes: 100 * MIB,
            chart_file_bytes: 5 * MIB,
            chart_entries: 10_000,
            chart_members: 10_000,
            chart_metadata_bytes: MIB,
            chart_metadata_depth: 64,
            chart_metadata_values: 20_000,
            chart_annotation_key_bytes: 1000,
            chart_images: 100,
            chart_publisher_bytes: 64 * 1024,
            chart_unpacks: 16,
            chart_diff_lines: 50_000,
            chart_diff_time: Duration::from_secs(1),
            chart_provenance_bytes: MIB,
            yank_reason_bytes: 512,
            form_parts: 100,
            form_other_bytes: 64 * 1024,
            chart_index_cache: 256 * MIB,
            folder_archive_files: 100_000,
            folder_archive_bytes: 100 * 1024 * MIB,
            archive_entries: 100_000,
            archive_directory_bytes: 16 * MIB,
            archive_entry_bytes: 1024 * MIB,
            archive_unpacked_bytes: 4 * 1024 * MIB,
            archive_ratio: 200,
            archive_members: 65_536,
            archives_per_principal: 16,
            archive_work: 2,
            labels_per_version: 64,
            label_key_bytes: 128,
            label_value_bytes: 1024,
            storage_reserve: 64 * MIB,
            allow_missing_references: false,
        }
    }
}
