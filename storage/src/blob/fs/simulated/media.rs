//! What lies on the simulated disk, and what a power cut leaves of it.
//!
//! Nothing is certain but what was synced. Of a file's bytes each sector is, by chance, as it was at the last
//! sync or as it was at some moment after it, and so is the length. Of the names, either what a journal shows
//! (every change up to some moment after the last sync, a move in one piece) or worse: each name on its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Component, Path};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that a disk writes wholly or not at all.
const SECTOR: usize = 512;

/// The number of a file or folder, the same as long as it exists.
pub(super) type Id = usize;

/// The folder above all.
const TOP: Id = 0;

/// Chance, the same for the same seed (SplitMix64).
#[derive(Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The bytes of a file, those that are seen and those that would be left.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) now: Vec<u8>,
    synced: Vec<u8>,
    /// What the file was between the last sync and now, wherever bytes of it have been written over or cut off since.
    between: Vec<Vec<u8>>,
    /// Sectors that a failed sync has given up: they are seen, and no later sync writes them.
    given_up: BTreeSet<usize>,
    /// When it was last written, in microseconds since the epoch.
    pub(super) modified: u64,
}

impl Content {
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if at < self.now.len() {
            self.between.push(self.now.clone());
        }
        let end = at + bytes.len();
        self.now.resize(self.now.len().max(end), 0);
        self.now[at..end].copy_from_slice(bytes);
        for sector in at / SECTOR..end.div_ceil(SECTOR) {
            self.given_up.remove(&sector);
        }
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.between.push(self.now.clone());
        self.now.resize(length, 0);
    }

    pub(super) fn sync(&mut self) {
        let mut kept = self.now.clone();
        for sector in &self.given_up {
            copy_sector(&self.synced, &mut kept, *sector);
        }
        self.synced = kept;
        self.between.clear();
    }

    /// A sync that fails: what it was to save is given up.
    pub(super) fn fail_sync(&mut self) {
        for sector in 0..self.now.len().div_ceil(SECTOR) {
            if sector_of(&self.now, sector) != sector_of(&self.synced, sector) {
                self.given_up.insert(sector);
            }
        }
    }

    fn after_power_cut(&self, chance: &mut Chance) -> Vec<u8> {
        let certain = self.between.is_empty() && self.now == self.synced;
        if certain || chance.one_in(4) {
            return self.synced.clone();
        }
        let mut versions: Vec<&[u8]> = vec![&self.synced, &self.now];
        versions.extend(self.between.iter().map(Vec::as_slice));
        let longest = versions.iter().map(|version| version.len()).max().unwrap_or(0);
        let length = match chance.below(3) {
            0 => chance.below(longest / SECTOR + 1) * SECTOR,
            _ => versions[chance.below(versions.len())].len(),
        };
        // A length that is no version's is one on the way to a longer one.
        let mut left = vec![0; length.max(self.shortest())];
        // Mostly a few sectors are missing, sometimes most.
        let rarity = [1, 2, 16][chance.below(3)];
        for sector in 0..left.len().div_ceil(SECTOR) {
            let version = if chance.one_in(rarity) { chance.below(versions.len()) } else { 1 };
            copy_sector(versions[version], &mut left, sector);
        }
        for sector in &self.given_up {
            copy_sector(&self.synced, &mut left, *sector);
        }
        left
    }

    /// The least that the file has been long since the last sync.
    fn shortest(&self) -> usize {
        let between = self.between.iter().map(Vec::len).min().unwrap_or(usize::MAX);
        self.synced.len().min(self.now.len()).min(between)
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> &[u8] {
    let from = bytes.len().min(sector * SECTOR);
    &bytes[from..bytes.len().min(from + SECTOR)]
}

/// Makes a sector of `to` that of `from`; zeros where that had none.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = to.len().min(sector * SECTOR);
    let end = to.len().min(start + SECTOR);
    let source = sector_of(from, sector);
    for (at, byte) in to[start..end].iter_mut().enumerate() {
        *byte = source.get(at).copied().unwrap_or(0);
    }
}

/// A name in a folder: what it stands for on the disk, and each change since, with its number.
#[derive(Clone, Default)]
struct Name {
    synced: Option<Id>,
    since: Vec<(u64, Option<Id>)>,
}

impl Name {
    fn now(&self) -> Option<Id> {
        self.since.last().map_or(self.synced, |(_, id)| *id)
    }

    /// With a journal, as it was after the change numbered `cut`; without, as it was at any moment.
    fn after_power_cut(&self, cut: Option<u64>, chance: &mut Chance) -> Option<Id> {
        let known = match cut {
            Some(cut) => self.since.iter().take_while(|(change, _)| *change <= cut).count(),
            None if self.since.is_empty() => 0,
            None => chance.below(self.since.len() + 1),
        };
        self.since[..known].last().map_or(self.synced, |(_, id)| *id)
    }
}

#[derive(Clone)]
enum Node {
    Folder(BTreeMap<String, Name>),
    File(Content),
}

/// All files and folders.
#[derive(Clone)]
pub(super) struct Media {
    nodes: Vec<Node>,
    changes: u64,
    /// The last change of a name that a journal has kept for certain.
    journaled: u64,
    /// Microseconds since the epoch; ticks with each write.
    clock: u64,
}

impl Media {
    /// An empty disk.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            nodes: vec![Node::Folder(BTreeMap::new())],
            changes: 0,
            journaled: 0,
            clock: u64::try_from(now.as_micros()).unwrap_or(0),
        }
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Id> {
        let mut id = TOP;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
                id = self.names(id)?.get(name).and_then(Name::now).ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(id)
    }

    fn names(&self, folder: Id) -> io::Result<&BTreeMap<String, Name>> {
        match &self.nodes[folder] {
            Node::Folder(names) => Ok(names),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, id: Id) -> io::Result<&Content> {
        match &self.nodes[id] {
            Node::File(content) => Ok(content),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: Id) -> io::Result<&mut Content> {
        match &mut self.nodes[id] {
            Node::File(content) => Ok(content),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// The names in a folder, with what they stand for.
    pub(super) fn list(&self, folder: Id) -> io::Result<Vec<(&str, Id)>> {
        let names = self.names(folder)?.iter();
        Ok(names.filter_map(|(name, what)| Some((name.as_str(), what.now()?))).collect())
    }

    pub(super) fn make_file(&mut self, path: &Path) -> io::Result<Id> {
        let content = Content {
            modified: self.tick(),
            ..Content::default()
        };
        self.make(path, Node::File(content))
    }

    pub(super) fn make_folder(&mut self, path: &Path) -> io::Result<Id> {
        self.make(path, Node::Folder(BTreeMap::new()))
    }

    fn make(&mut self, path: &Path, node: Node) -> io::Result<Id> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = self.nodes.len();
        self.nodes.push(node);
        self.changes += 1;
        self.set(path, Some(id))?;
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        if self.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Two names, one change: a journal has both or neither.
        self.changes += 1;
        self.set(to, Some(id))?;
        self.set(from, None)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(self.find(path)?)?;
        self.changes += 1;
        self.set(path, None)
    }

    fn set(&mut self, path: &Path, what: Option<Id>) -> io::Result<()> {
        let (folder, name) = path.parent().zip(path.file_name()).ok_or(io::ErrorKind::InvalidFilename)?;
        let (folder, name) = (self.find(folder)?, name.to_string_lossy().into_owned());
        self.names(folder)?;
        if let Node::Folder(names) = &mut self.nodes[folder] {
            names.entry(name).or_default().since.push((self.changes, what));
        }
        Ok(())
    }

    pub(super) fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        let folder = self.find(path)?;
        self.names(folder)?;
        if let Node::Folder(names) = &mut self.nodes[folder] {
            for name in names.values_mut() {
                if let Some((change, what)) = name.since.last() {
                    self.journaled = self.journaled.max(*change);
                    name.synced = *what;
                    name.since.clear();
                }
            }
            names.retain(|_, name| name.synced.is_some());
        }
        Ok(())
    }

    /// The disk as it comes up after a power cut.
    pub(super) fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let uncertain = usize::try_from(self.changes - self.journaled).unwrap_or(0);
        let cut = self.journaled + chance.below(uncertain + 1) as u64;
        let cut = chance.one_in(2).then_some(cut);
        let mut left = Self {
            nodes: vec![Node::Folder(BTreeMap::new())],
            changes: 0,
            journaled: 0,
            clock: self.clock,
        };
        // A file that kept two names is one file all the same.
        let mut moved = HashMap::from([(TOP, TOP)]);
        let mut open = vec![TOP];
        while let Some(folder) = open.pop() {
            let Node::Folder(names) = &self.nodes[folder] else { continue };
            let mut kept = BTreeMap::new();
            for (name, what) in names {
                let Some(id) = what.after_power_cut(cut, chance) else { continue };
                let new = *moved.entry(id).or_insert_with(|| {
                    left.nodes.push(match &self.nodes[id] {
                        Node::Folder(_) => Node::Folder(BTreeMap::new()),
                        Node::File(content) => Node::File(content.rebooted(chance)),
                    });
                    left.nodes.len() - 1
                });
                if matches!(self.nodes[id], Node::Folder(_)) {
                    open.push(id);
                }
                let synced = Some(new);
                kept.insert(name.clone(), Name { synced, since: Vec::new() });
            }
            left.nodes[moved[&folder]] = Node::Folder(kept);
        }
        left
    }
}

impl Content {
    fn rebooted(&self, chance: &mut Chance) -> Self {
        let left = self.after_power_cut(chance);
        Self {
            now: left.clone(),
            synced: left,
            modified: self.modified,
            ..Self::default()
        }
    }
}

/// A time as files have it.
pub(super) fn time(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros)
}
