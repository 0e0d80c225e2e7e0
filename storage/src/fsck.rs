//! Checks the whole store: whether everything that must belong together does. Reads
//! only, and may run beside a working server: what looks wrong is looked at a second
//! time before it is reported, since it may just have been changed.
//!
//! The invariants, each a [`Problem`]: every blob's bytes are there and have its digest;
//! every live manifest has its bytes and all that it needs; every tag points at a live
//! manifest and its history ends there; no upload has fewer bytes than were acknowledged;
//! files that nothing names are young; the database finds nothing wrong with itself.

use crate::Stores;
use crate::blob::{Blob, StorageKey, Stored, UploadId};
use crate::catalog::{ArtifactCheck, RepositoryId, Upload, VersionCheck};
use crate::clock;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, ErrorKind, Result};
use futures_util::StreamExt as _;
use std::fmt;
use std::time::Duration;

/// Rows read at a time.
const PAGE: usize = 500;
/// After which an upload that looked short is looked at again.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// What is checked, and how thoroughly.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether every byte is read and hashed; otherwise only that each file is there and has its length.
    pub hash: bool,
    /// Files that nothing names are reported once they are older than this.
    pub orphan_age: Duration,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A blob's file is missing.
    BlobMissing(Digest),
    /// A blob's bytes are not those of its digest, or their number differs.
    BlobDamaged(Digest),
    /// A blob was found damaged earlier and is set aside until it is pushed again.
    BlobSetAside(Digest),
    /// The bytes of a manifest are missing or not those of its digest.
    ManifestDamaged(String, Digest),
    /// A manifest needs something that its repository does not have: repository, manifest, what is missing.
    ReferenceMissing(String, Digest, Digest),
    /// A tag points at a manifest that is not there: repository, tag, manifest.
    TagDangles(String, String, Digest),
    /// A tag's history does not end with what it points at: repository, tag.
    HistoryDiffers(String, String),
    /// An upload has fewer bytes than were acknowledged.
    UploadShort(UploadId),
    /// A blob's file that no row names, older than the grace.
    OrphanBlob(StorageKey),
    /// An upload's file without a session, older than the grace.
    OrphanUpload(UploadId),
    /// The database's own finding.
    Database(String),
}

impl Problem {
    /// Whether content is lost or wrong. The rest is litter, or what a power cut may take: an upload that
    /// answers with the offset it really has.
    pub fn is_loss(&self) -> bool {
        !matches!(self, Self::UploadShort(_) | Self::OrphanBlob(_) | Self::OrphanUpload(_))
    }

    /// A short word for what kind of finding this is, stable for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BlobMissing(_) => "blob-missing",
            Self::BlobDamaged(_) => "blob-damaged",
            Self::BlobSetAside(_) => "blob-set-aside",
            Self::ManifestDamaged(..) => "manifest-damaged",
            Self::ReferenceMissing(..) => "reference-missing",
            Self::TagDangles(..) => "tag-dangles",
            Self::HistoryDiffers(..) => "history-differs",
            Self::UploadShort(_) => "upload-short",
            Self::OrphanBlob(_) => "orphan-blob",
            Self::OrphanUpload(_) => "orphan-upload",
            Self::Database(_) => "database",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlobMissing(digest) => write!(f, "the file of blob {digest} is missing"),
            Self::BlobDamaged(digest) => write!(f, "the bytes of blob {digest} do not have that digest"),
            Self::BlobSetAside(digest) => write!(f, "blob {digest} was found damaged; push it again to repair it"),
            Self::ManifestDamaged(name, digest) => write!(f, "{name}: the bytes of manifest {digest} are missing or damaged"),
            Self::ReferenceMissing(name, parent, child) => write!(f, "{name}: manifest {parent} needs {child}, which is not there"),
            Self::TagDangles(name, tag, digest) => write!(f, "{name}: tag {tag} points at {digest}, which is not there"),
            Self::HistoryDiffers(name, tag) => write!(f, "{name}: the history of tag {tag} does not end with what it points at"),
            Self::UploadShort(id) => write!(f, "upload {id} has fewer bytes than were acknowledged"),
            Self::OrphanBlob(key) => write!(f, "the file {key} is named by nothing"),
            Self::OrphanUpload(id) => write!(f, "the file of upload {id} has no session"),
            Self::Database(what) => write!(f, "the database: {what}"),
        }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blobs.
    pub blobs: u64,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Live manifests.
    pub manifests: u64,
    /// Live tags.
    pub tags: u64,
    /// Open uploads.
    pub uploads: u64,
    /// Files of the blob store.
    pub files: u64,
}

/// Checks everything and tells `found` of each problem as it is met.
///
/// # Errors
/// The first of store or catalog: then nothing is known about what was not yet looked at.
pub async fn check(stores: &Stores, options: Options, mut found: impl FnMut(Problem)) -> Result<Checked> {
    let mut checked = Checked::default();
    for problem in stores.catalog.check_database().await? {
        found(Problem::Database(problem));
    }
    check_blobs(stores, options, &mut checked, &mut found).await?;
    check_manifests(stores, &mut checked, &mut found).await?;
    check_tags(stores, &mut checked, &mut found).await?;
    check_uploads(stores, &mut checked, &mut found).await?;
    check_files(stores, options, &mut checked, &mut found).await?;
    Ok(checked)
}

async fn check_blobs(stores: &Stores, options: Options, checked: &mut Checked, found: &mut impl FnMut(Problem)) -> Result<()> {
    let mut after = None;
    loop {
        let page = stores.catalog.check_blobs(after, PAGE).await?;
        after = page.last().map(|check| check.blob.digest);
        for check in &page {
            checked.blobs += 1;
            match check.state.as_str() {
                "live" => {}
                "quarantined" => {
                    found(Problem::BlobSetAside(check.blob.digest));
                    continue;
                }
                // On its way out: its file may go at any moment.
                _ => continue,
            }
            if let Some(problem) = blob_problem(stores, &check.blob, options.hash).await?
                && still_names(stores, &check.blob).await?
            {
                found(problem);
            }
            if options.hash {
                checked.bytes += check.blob.size;
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

async fn blob_problem(stores: &Stores, blob: &Blob, hash: bool) -> Result<Option<Problem>> {
    match stores.blobs.size(&blob.key).await? {
        None => return Ok(Some(Problem::BlobMissing(blob.digest))),
        Some(size) if size != blob.size => return Ok(Some(Problem::BlobDamaged(blob.digest))),
        Some(_) if !hash => return Ok(None),
        Some(_) => {}
    }
    // The digest decides; that the reading itself compares checksums only finds the damage sooner.
    let damaged = |error: Error| match error.kind() {
        ErrorKind::Corrupt => Ok(Some(Problem::BlobDamaged(blob.digest))),
        _ => Err(error),
    };
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let mut stream = match stores.blobs.read(blob, 0..blob.size).await {
        Ok(stream) => stream,
        Err(error) => return damaged(error),
    };
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(bytes) => {
                hasher = tokio::task::spawn_blocking(move || {
                    hasher.update(&bytes);
                    hasher
                })
                .await
                .map_err(Error::internal)?;
            }
            Err(error) => return damaged(error),
        }
    }
    Ok((hasher.finish() != blob.digest).then_some(Problem::BlobDamaged(blob.digest)))
}

/// Whether the catalog still gives this key for the blob: it may have been replaced or removed meanwhile.
async fn still_names(stores: &Stores, blob: &Blob) -> Result<bool> {
    Ok(stores.catalog.unknown_keys(vec![blob.key.clone()]).await?.is_empty())
}

async fn check_manifests(stores: &Stores, checked: &mut Checked, found: &mut impl FnMut(Problem)) -> Result<()> {
    let mut after: Option<(RepositoryId, Digest)> = None;
    loop {
        let page = stores.catalog.check_artifacts(after, PAGE).await?;
        let start = after;
        after = page.last().map(|check| (check.repository, check.digest));
        checked.manifests += page.len() as u64;
        let wrong = |check: &&ArtifactCheck| !check.intact || !check.missing.is_empty();
        if page.iter().any(|check| wrong(&check)) {
            let again = stores.catalog.check_artifacts(start, PAGE).await?;
            for check in page.iter().filter(wrong).filter(|check| again.contains(check)) {
                if !check.intact {
                    found(Problem::ManifestDamaged(check.name.clone(), check.digest));
                }
                for missing in &check.missing {
                    found(Problem::ReferenceMissing(check.name.clone(), check.digest, *missing));
                }
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

async fn check_tags(stores: &Stores, checked: &mut Checked, found: &mut impl FnMut(Problem)) -> Result<()> {
    let mut after: Option<(RepositoryId, String)> = None;
    loop {
        let page = stores.catalog.check_versions(after.clone(), PAGE).await?;
        let start = after;
        after = page.last().map(|check| (check.repository, check.version.clone()));
        checked.tags += page.len() as u64;
        let wrong = |check: &&VersionCheck| !check.live || !check.recorded;
        if page.iter().any(|check| wrong(&check)) {
            let again = stores.catalog.check_versions(start, PAGE).await?;
            for check in page.iter().filter(wrong).filter(|check| again.contains(check)) {
                if !check.live {
                    found(Problem::TagDangles(check.name.clone(), check.version.clone(), check.digest));
                }
                if !check.recorded {
                    found(Problem::HistoryDiffers(check.name.clone(), check.version.clone()));
                }
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

async fn check_uploads(stores: &Stores, checked: &mut Checked, found: &mut impl FnMut(Problem)) -> Result<()> {
    let mut after = None;
    loop {
        let page = stores.catalog.check_uploads(after, PAGE).await?;
        let start = after;
        after = page.last().map(|upload| upload.id);
        checked.uploads += page.len() as u64;
        let mut suspects = Vec::new();
        for upload in &page {
            if is_short(stores, upload).await? {
                suspects.push(upload);
            }
        }
        if !suspects.is_empty() {
            // A request may be at work on them: only what stays as it is counts.
            tokio::time::sleep(SECOND_LOOK).await;
            let again = stores.catalog.check_uploads(start, PAGE).await?;
            for upload in suspects {
                if again.contains(upload) && is_short(stores, upload).await? {
                    found(Problem::UploadShort(upload.id));
                }
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

async fn is_short(stores: &Stores, upload: &Upload) -> Result<bool> {
    Ok(stores.blobs.upload_size(upload.id).await?.unwrap_or(0) < upload.offset)
}

async fn check_files(stores: &Stores, options: Options, checked: &mut Checked, found: &mut impl FnMut(Problem)) -> Result<()> {
    let old = clock::now() - clock::millis(options.orphan_age);
    let mut files = stores.blobs.list().await?;
    while let Some(batch) = files.next().await {
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        for file in batch? {
            checked.files += 1;
            match file {
                Stored::Upload { id, modified } if modified < old => ids.push(id),
                Stored::Blob { key, modified } if modified < old => keys.push(key),
                Stored::Upload { .. } | Stored::Blob { .. } => {}
            }
        }
        let open = stores.catalog.uploads_exist(ids.clone()).await?;
        ids.into_iter()
            .filter(|id| !open.contains(id))
            .for_each(|id| found(Problem::OrphanUpload(id)));
        stores
            .catalog
            .unknown_keys(keys)
            .await?
            .into_iter()
            .for_each(|key| found(Problem::OrphanBlob(key)));
    }
    Ok(())
}
