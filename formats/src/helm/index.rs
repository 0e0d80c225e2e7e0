//! The index of a prefix, kept in memory from one change to the next.
//!
//! What the catalog holds is already the text of each entry. An index is made once for a generation, by one request
//! while the others wait for it, and from the one before: only charts that changed are read and written anew.

use super::chart::Version;
use super::coding::{Coded, Coding};
use super::op::Page;
use super::rfc3339;
use bytes::{BufMut as _, Bytes, BytesMut};
use granary_storage::catalog::{Chart, ChartsUnder};
use granary_storage::clock::Millis;
use granary_storage::prefix::Prefix;
use granary_storage::{Error, Result, Stores};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is listed under a prefix at one generation.
#[derive(Default)]
pub(super) struct Index {
    pub(super) generation: i64,
    /// When it last changed.
    pub(super) at: Millis,
    /// `"name":[…],"name":[…]`: the inside of `entries`, names in order.
    pub(super) entries: Bytes,
    /// Where each name's part lies in it.
    pub(super) names: Vec<(String, Range<usize>)>,
    /// It, compressed, as far as anybody asked for that.
    pub(super) coded: Coded,
}

/// Where the charts of an index are.
pub(super) struct Place {
    /// The registry, where it has a name that is settled: the same as long as the process runs.
    pub(super) host: Option<Arc<str>>,
    /// The prefix that they lie under.
    pub(super) prefix: Prefix,
}

/// The indexes in memory.
pub(super) struct Indexes {
    slots: Mutex<BTreeMap<Prefix, Arc<Slot>>>,
    uses: AtomicU64,
}

/// The index of one prefix.
#[derive(Default)]
struct Slot {
    current: Mutex<Option<Arc<Index>>>,
    /// Held by the request that makes a new one.
    turn: tokio::sync::Mutex<()>,
    used: AtomicU64,
}

/// What is kept here is whole at every moment, so a holder that panicked does no harm.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexes {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self {
            slots: Mutex::new(BTreeMap::new()),
            uses: AtomicU64::new(0),
        }
    }

    /// The index of a prefix as the catalog has it now.
    ///
    /// # Errors
    /// Those of the catalog.
    pub(super) async fn current(&self, stores: &Stores, prefix: &Prefix) -> Result<Arc<Index>> {
        let slot = self.slot(prefix);
        let since = async |known: &Option<Arc<Index>>| {
            let since = known.as_ref().map(|known| known.generation);
            stores.catalog.charts_under(prefix.clone(), since).await
        };
        let known = slot.current();
        if let Some(known) = &known
            && since(&Some(known.clone())).await?.generation == known.generation
        {
            return Ok(known.clone());
        }
        let _turn = slot.turn.lock().await;
        // Somebody else may have made it meanwhile.
        let known = slot.current();
        let found = since(&known).await?;
        if let Some(known) = known.as_ref().filter(|known| known.generation == found.generation) {
            return Ok(known.clone());
        }
        let place = Place {
            host: stores.host.clone(),
            prefix: prefix.clone(),
        };
        let made = tokio::task::spawn_blocking(move || Arc::new(Index::of(known.as_deref(), found, &place)));
        let made = made.await.map_err(Error::internal)?;
        self.keep(prefix, &slot, &made, stores.limits.chart_index_cache);
        Ok(made)
    }

    /// All of an index, compressed: once for everybody who asks.
    ///
    /// # Errors
    /// Only those of the machine.
    pub(super) async fn coded(&self, stores: &Stores, index: &Arc<Index>, begin: Bytes, coding: Coding) -> Result<Bytes> {
        let bytes = index.coded.get(coding, begin, index.entries.clone()).await?;
        Self::make_room(&mut lock(&self.slots), stores.limits.chart_index_cache);
        Ok(bytes)
    }

    fn slot(&self, prefix: &Prefix) -> Arc<Slot> {
        let slot = lock(&self.slots).entry(prefix.clone()).or_default().clone();
        slot.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot
    }

    /// Keeps a new index, and lets go of those that were not asked for the longest while there are too many.
    fn keep(&self, prefix: &Prefix, slot: &Slot, made: &Arc<Index>, most: u64) {
        *lock(&slot.current) = Some(made.clone());
        let mut slots = lock(&self.slots);
        // Whoever asks for prefixes under which nothing ever was must not fill the memory with their names.
        if made.generation == 0 {
            slots.remove(prefix);
            return;
        }
        Self::make_room(&mut slots, most);
    }

    fn make_room(slots: &mut BTreeMap<Prefix, Arc<Slot>>, most: u64) {
        let mut bytes: u64 = slots.values().map(|slot| slot.bytes()).sum();
        while bytes > most {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            let Some((prefix, slot)) = oldest.map(|(prefix, slot)| (prefix.clone(), slot.clone())) else {
                break;
            };
            bytes = bytes.saturating_sub(slot.bytes());
            slots.remove(&prefix);
        }
    }
}

impl Slot {
    fn current(&self) -> Option<Arc<Index>> {
        lock(&self.current).clone()
    }

    fn bytes(&self) -> u64 {
        lock(&self.current).as_ref().map_or(0, |index| index.bytes()) + 512
    }
}

impl Index {
    fn bytes(&self) -> u64 {
        self.entries.len() as u64 + self.names.len() as u64 * 128 + self.coded.bytes()
    }

    /// The index that `found` makes of the one before.
    fn of(before: Option<&Self>, found: ChartsUnder, place: &Place) -> Self {
        let mut parts: BTreeMap<String, Bytes> = BTreeMap::new();
        if let (Some(before), Some(changed)) = (before, &found.changed) {
            let kept = before.names.iter().filter(|(name, _)| !changed.contains(name));
            parts.extend(kept.map(|(name, range)| (name.clone(), before.entries.slice(range.clone()))));
        }
        let mut charts: BTreeMap<String, Vec<Chart>> = BTreeMap::new();
        for chart in found.charts {
            charts.entry(chart.name.clone()).or_default().push(chart);
        }
        for (name, versions) in charts {
            let part = format!("\"{name}\":{}", list(versions, place));
            parts.insert(name, part.into());
        }
        let size = parts.values().map(|part| part.len() + 1).sum();
        let mut entries = BytesMut::with_capacity(size);
        let mut names = Vec::with_capacity(parts.len());
        for (name, part) in parts {
            if !entries.is_empty() {
                entries.put_u8(b',');
            }
            let start = entries.len();
            entries.put_slice(&part);
            names.push((name, start..entries.len()));
        }
        Self {
            generation: found.generation,
            at: found.at,
            entries: entries.freeze(),
            names,
            coded: Coded::default(),
        }
    }

    /// The inside of `entries` with these names alone, and of those the ones of this page.
    pub(super) fn only(&self, shown: impl Fn(&str) -> bool, page: Page) -> Bytes {
        let parts = self.names.iter().filter(|(name, _)| shown(name));
        let parts = parts.skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
        let parts: Vec<&[u8]> = parts.map(|(_, range)| &self.entries[range.clone()]).collect();
        parts.join(&b","[..]).into()
    }
}

/// The versions of one chart as JSON, the highest first: some readers trust the order.
pub(super) fn list(mut versions: Vec<Chart>, place: &Place) -> String {
    versions.sort_by_cached_key(|chart| Reverse((Version::read(&chart.version), chart.version.clone())));
    let entries: Vec<String> = versions.iter().map(|chart| entry(chart, place)).collect();
    format!("[{}]", entries.join(","))
}

/// One version: Chart.yaml, and where to get the archive. Relative first, which is the same behind every proxy and all that
/// helm looks at; then, where the registry has a name that is settled, as an OCI artifact.
pub(super) fn entry(chart: &Chart, place: &Place) -> String {
    let deprecated = if chart.deprecated { deprecated(&chart.metadata) } else { None };
    let metadata = deprecated.as_ref().unwrap_or(&chart.metadata);
    let metadata = metadata.strip_suffix('}').unwrap_or("{\"name\":\"\"");
    let second = match &place.host {
        // A host's name, a prefix, a chart's name and a tag hold nothing that JSON would have written otherwise.
        Some(host) => format!(
            ",\"oci://{host}/{}/{}:{}\"",
            place.prefix,
            chart.name,
            chart.version.replace('+', "_")
        ),
        None => String::new(),
    };
    format!(
        "{metadata},\"urls\":[\"charts/{}\"{second}],\"created\":\"{}\",\"digest\":\"{}\"}}",
        chart.file,
        rfc3339(chart.created_at),
        chart.content.hex()
    )
}

/// Chart.yaml with what was said of it here; `None` when it is no JSON object.
fn deprecated(metadata: &str) -> Option<String> {
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(metadata).ok()?;
    fields.insert("deprecated".to_owned(), true.into());
    serde_json::to_string(&fields).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use granary_storage::Digest;
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;

    fn chart(name: &str, version: u8) -> Chart {
        let text = format!("{name} {version}");
        Chart {
            digest: Digest::sha256(text.as_bytes()),
            name: name.to_owned(),
            version: format!("1.{version}.0"),
            file: format!("{name}-1.{version}.0.tgz"),
            content: Digest::sha256(b"archive"),
            content_size: 7,
            provenance: None,
            metadata: format!("{{\"name\":\"{name}\",\"version\":\"1.{version}.0\"}}"),
            created_at: 0,
            yanked: None,
            deprecated: false,
        }
    }

    fn listing<'n>(charts: impl Iterator<Item = (&'n String, &'n Vec<u8>)>, changed: Option<Vec<String>>) -> ChartsUnder {
        let charts = charts.flat_map(|(name, versions)| versions.iter().map(|version| chart(name, *version)));
        ChartsUnder {
            generation: 1,
            at: 0,
            changed,
            charts: charts.collect(),
        }
    }

    fn place() -> Place {
        Place {
            host: Some("registry.example:5000".into()),
            prefix: "acme".parse().unwrap(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_index_made_from_the_one_before_is_the_one_made_anew(
            before in btree_map("[a-d]", prop::collection::vec(0u8..20, 1..4), 0..4),
            mut after in btree_map("[a-d]", prop::collection::vec(0u8..20, 1..4), 0..4),
            changed in btree_set("[a-d]", 0..4),
        ) {
            // What is not said to have changed has not.
            after.retain(|name, _| changed.contains(name));
            after.extend(before.iter().filter(|(name, _)| !changed.contains(*name)).map(|(name, versions)| (name.clone(), versions.clone())));
            let old = Index::of(None, listing(before.iter(), None), &place());
            let told = after.iter().filter(|(name, _)| changed.contains(*name));
            let new = Index::of(Some(&old), listing(told, Some(changed.iter().cloned().collect())), &place());
            let anew = Index::of(None, listing(after.iter(), None), &place());
            prop_assert_eq!(&new.entries, &anew.entries);
            prop_assert_eq!(&new.names, &anew.names);
            let json: serde_json::Value = serde_json::from_str(&format!("{{{}}}", String::from_utf8_lossy(&new.entries))).unwrap();
            prop_assert_eq!(json.as_object().unwrap().len(), after.len());
            prop_assert_eq!(new.only(|_| true, Page::default()), new.entries);
        }
    }
}
