//! Answers of the catalog that are asked on nearly every request, kept in memory.
//!
//! Only where one process owns the database (SQLite). A write forgets what it changed
//! on the writer's thread, after the commit and before anybody hears of it, so that
//! nobody reads an old answer after having been told of the new one. That it also
//! happens when the caller has gone away is why it is not the caller's business.
//!
//! A read that began before the commit could still bring its old answer in afterwards.
//! Hence the [`Ticket`]: taken before the database is asked, and worthless once
//! anything of its kind has been forgotten.

use super::model::{
    AccountFacts, AccountId, BlobView, FileView, ManifestView, NewFile, NewManifest, Project, Referrers, Repository, RepositoryId,
};
use crate::digest::Digest;
use crate::name::{FilePath, ProjectName, RepositoryName, Tag};
use quick_cache::Weighter;
use quick_cache::sync::Cache as Entries;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Accounts and projects kept, at most.
const FEW: usize = 4096;
/// Repositories, tags and blobs kept, at most, of each.
const MANY: usize = 16_384;
/// Bytes of manifests kept, at most.
const MANIFEST_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of referrers' descriptors kept, at most.
const REFERRER_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of links and their blobs' checksums kept, at most.
const BLOB_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of files' paths and their blobs' checksums kept, at most.
const FILE_BYTES: u64 = 8 * 1024 * 1024;
/// An artifact type longer than a media type can be (RFC 6838 §4.2) is asked of the database each time.
pub(super) const ARTIFACT_TYPE_MAX: usize = 255;
/// A manifest over this is not kept: a few of them would push out hundreds.
const MANIFEST_MAX: usize = 64 * 1024;

/// Everything kept.
pub(super) struct Cache {
    pub(super) facts: Kept<AccountId, Arc<AccountFacts>>,
    pub(super) projects: Kept<ProjectName, Project>,
    pub(super) repositories: Kept<RepositoryName, Repository>,
    /// What a tag points at, which counts only together with the manifest; `None` when there is no such tag.
    pub(super) tags: Kept<(RepositoryId, Tag), Option<Digest>>,
    pub(super) manifests: Kept<(RepositoryId, Digest), ManifestView, ManifestBytes>,
    pub(super) blobs: Kept<(RepositoryId, Digest), BlobView, BlobBytes>,
    /// Files whose checksums are known: what is missing there may be filled in by whoever stores the same bytes elsewhere.
    pub(super) files: Kept<(RepositoryId, FilePath), FileView, FileBytes>,
    /// Pages of referrers. Any of them is forgotten with all others: what refers is rarely pushed.
    pub(super) referrers: Kept<ReferrersPage, Arc<Referrers>, DescriptorBytes>,
}

/// Repository, subject, artifact type, after which referrer, how many, and of how many bytes.
pub(super) type ReferrersPage = (RepositoryId, Digest, Option<String>, Option<Digest>, usize, u64);

impl Cache {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            facts: Kept::new(Entries::new(FEW)),
            projects: Kept::new(Entries::new(FEW)),
            repositories: Kept::new(Entries::new(MANY)),
            tags: Kept::new(Entries::new(MANY)),
            manifests: Kept::new(Entries::with_weighter(MANY, MANIFEST_BYTES, ManifestBytes)),
            blobs: Kept::new(Entries::with_weighter(MANY, BLOB_BYTES, BlobBytes)),
            files: Kept::new(Entries::with_weighter(MANY, FILE_BYTES, FileBytes)),
            referrers: Kept::new(Entries::with_weighter(FEW, REFERRER_BYTES, DescriptorBytes)),
        }
    }

    /// Keeps a manifest that is small enough.
    pub(super) fn keep_manifest(&self, key: (RepositoryId, Digest), view: &ManifestView, ticket: Ticket) {
        if view.bytes.len() <= MANIFEST_MAX {
            self.manifests.keep(key, view.clone(), ticket);
        }
    }

    /// Forgets what a pushed manifest changes: its tags, and what its subject is referred to by.
    pub(super) fn forget_pushed(&self, new: &NewManifest) {
        for tag in &new.tags {
            self.tags.forget(&(new.repository, tag.clone()));
        }
        if new.subject.is_some() {
            self.referrers.forget_all();
        }
        // What is known of a chart is known of the manifests that were here before, too.
        if new.chart.is_some() {
            self.manifests.forget(&(new.repository, new.digest));
        }
    }

    /// Forgets everything.
    #[cfg(test)]
    pub(super) fn forget_everything(&self) {
        self.facts.forget_all();
        self.projects.forget_all();
        self.repositories.forget_all();
        self.tags.forget_all();
        self.manifests.forget_all();
        self.blobs.forget_all();
        self.files.forget_all();
        self.referrers.forget_all();
    }

    /// Forgets what stands here otherwise than this manifest, which is stored already, has it.
    pub(super) fn forget_unless_pushed(&self, new: &NewManifest) {
        for tag in &new.tags {
            let tag = (new.repository, tag.clone());
            if self.tags.get(&tag).is_some_and(|known| known != Some(new.digest)) {
                self.tags.forget(&tag);
            }
        }
    }

    /// Forgets a path, and the link that storing there may have made.
    pub(super) fn forget_file(&self, new: &NewFile) {
        self.files.forget(&(new.repository, new.path.clone()));
        self.blobs.forget(&(new.repository, new.digest));
    }

    /// Forgets a blob that was set aside, everywhere.
    pub(super) fn forget_blobs(&self) {
        self.blobs.forget_all();
        self.files.forget_all();
    }

    /// Forgets a manifest that goes to the trash, and the tags that go with it.
    pub(super) fn forget_artifact(&self, repository: RepositoryId, digest: Digest, tags: &[Tag]) {
        self.manifests.forget(&(repository, digest));
        self.referrers.forget_all();
        for tag in tags {
            self.tags.forget(&(repository, tag.clone()));
        }
    }
}

/// A manifest weighs its bytes and what is kept around them.
#[derive(Clone)]
pub(super) struct ManifestBytes;

impl Weighter<(RepositoryId, Digest), ManifestView> for ManifestBytes {
    fn weight(&self, _: &(RepositoryId, Digest), view: &ManifestView) -> u64 {
        view.bytes.len() as u64 + 256
    }
}

/// A link weighs its blob's checksums and what is kept around them.
#[derive(Clone)]
pub(super) struct BlobBytes;

impl Weighter<(RepositoryId, Digest), BlobView> for BlobBytes {
    fn weight(&self, _: &(RepositoryId, Digest), view: &BlobView) -> u64 {
        view.checksums.as_bytes().len() as u64 + 512
    }
}

/// A file weighs its path, its labels, its blob's checksums and what is kept around them.
#[derive(Clone)]
pub(super) struct FileBytes;

impl Weighter<(RepositoryId, FilePath), FileView> for FileBytes {
    fn weight(&self, (_, path): &(RepositoryId, FilePath), view: &FileView) -> u64 {
        let labels: usize = view.labels.iter().map(|(key, value)| key.len() + value.len() + 96).sum();
        (path.as_str().len() * 2 + view.blob.checksums.as_bytes().len() + labels) as u64 + 1024
    }
}

/// A page weighs its descriptors, and as much again for what is made of them.
#[derive(Clone)]
pub(super) struct DescriptorBytes;

impl Weighter<ReferrersPage, Arc<Referrers>> for DescriptorBytes {
    fn weight(&self, _: &ReferrersPage, page: &Arc<Referrers>) -> u64 {
        let descriptors = page.list.iter().map(|referrer| 2 * referrer.descriptor.len() as u64 + 256);
        descriptors.sum::<u64>() + 512
    }
}

/// Proof of when a read began.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

/// One kind of answer.
pub(super) struct Kept<K, V, W = quick_cache::UnitWeighter> {
    entries: Entries<K, V, W>,
    /// How often something was forgotten; held while something is kept or forgotten, so that the two do not meet.
    /// One number for all keys: a read that it turns away wrongly is only asked again the next time.
    forgotten: Mutex<u64>,
}

impl<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone> Kept<K, V, W> {
    fn new(entries: Entries<K, V, W>) -> Self {
        Self {
            entries,
            forgotten: Mutex::new(0),
        }
    }

    /// The answer, when it is kept.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key)
    }

    /// To be taken before the database is asked.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(*self.lock())
    }

    /// Keeps what the database answered, unless anything was forgotten since the ticket was taken.
    pub(super) fn keep(&self, key: K, value: V, Ticket(taken): Ticket) {
        let forgotten = self.lock();
        if *forgotten == taken {
            self.entries.insert(key, value);
        }
    }

    /// Forgets one answer.
    pub(super) fn forget(&self, key: &K) {
        let mut forgotten = self.lock();
        *forgotten += 1;
        self.entries.remove(key);
    }

    /// Forgets every answer of this kind.
    pub(super) fn forget_all(&self) {
        let mut forgotten = self.lock();
        *forgotten += 1;
        self.entries.clear();
    }

    /// The number is whole at every moment, so a holder that panicked does no harm.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept<u64, &'static str> {
        Kept::new(Entries::new(100))
    }

    #[test]
    fn an_answer_is_kept_until_it_is_forgotten() {
        let kept = kept();
        kept.keep(1, "one", kept.ticket());
        assert_eq!(kept.get(&1), Some("one"));
        kept.forget(&1);
        assert_eq!(kept.get(&1), None);
    }

    #[test]
    fn a_read_that_began_before_a_change_does_not_bring_the_old_answer_back() {
        let kept = kept();
        let before = kept.ticket();
        kept.forget(&1);
        kept.keep(1, "old", before);
        assert_eq!(kept.get(&1), None);
        let before = kept.ticket();
        kept.forget_all();
        kept.keep(1, "old", before);
        assert_eq!(kept.get(&1), None);
    }
}
