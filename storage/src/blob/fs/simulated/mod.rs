//! A disk in memory that behaves as a real one does when the power goes, and fails when it is told to.
//! What lies on it, and what a power cut leaves of that, is `media.rs`; an open file is `file.rs`. How a store
//! fares on it is `world.rs`: a random life with what must hold in it, of the steps in `steps.rs`, lived for thousands of seeds
//! in `tests.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod file;
mod media;
mod steps;
mod tests;
mod world;

use super::disk::{Disk, DiskFile, Entries, Entry, Stat};
use super::{FsStore, lock};
use crate::clock;
use file::SimulatedFile;
use media::{Chance, Id, Media, time};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Something that a store asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Create,
    Open,
    Read,
    Write,
    SetLen,
    SyncData,
    SyncFolder,
    Renew,
    Lock,
    Stat,
    Rename,
    Remove,
    List,
    MakeFolder,
    FreeSpace,
}

/// What this disk leaves out though it says that it has done it: a store that forgets it behaves the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    DataSync,
    FolderSync,
    /// The sync of a file, until its folder is synced: its bytes get their name before they are durable.
    SyncBeforeRename,
}

/// What goes wrong.
#[derive(Clone, Default)]
struct Faults {
    /// One operation in so many fails, and as many are cut short; 0 for none.
    one_in: usize,
    /// The next operation of this kind fails so.
    next: Option<(Op, Errno)>,
    left_out: Option<LeftOut>,
    /// The operation at which everything stops.
    stop_at: Option<u64>,
    stopped: bool,
}

struct State {
    media: Media,
    chance: Chance,
    faults: Faults,
    /// Operations so far, of all kinds and of each.
    operations: u64,
    counts: HashMap<Op, u64>,
    files_opened: u64,
    /// Which open file has a file locked.
    locks: HashMap<Id, u64>,
    /// Files to be synced with the next folder.
    put_off: Vec<Id>,
}

/// The disk. Clones are the same one.
#[derive(Clone)]
pub(in crate::blob) struct SimulatedDisk(Arc<Mutex<State>>);

/// A store on a disk of its own without faults, for the contract that every store keeps.
pub(in crate::blob) fn store() -> FsStore {
    FsStore::on(Arc::new(SimulatedDisk::new(0)), "/store".into()).unwrap()
}

impl SimulatedDisk {
    /// An empty disk. The same seed gives the same faults.
    fn new(seed: u64) -> Self {
        let now = u64::try_from(clock::now()).unwrap_or(0);
        Self::with(Media::new(Duration::from_millis(now)), seed)
    }

    fn with(media: Media, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            media,
            chance: Chance::new(seed),
            faults: Faults::default(),
            operations: 0,
            counts: HashMap::new(),
            files_opened: 0,
            locks: HashMap::new(),
            put_off: Vec::new(),
        })))
    }

    /// Another disk with the same on it, synced or not.
    fn copy(&self, seed: u64) -> Self {
        Self::with(lock(&self.0).media.clone(), seed)
    }

    /// The disk as it comes up after the power was cut.
    fn crash(&self, seed: u64) -> Self {
        let media = lock(&self.0).media.after_power_cut(&mut Chance::new(seed));
        let after = Self::with(media, seed);
        after.leave_out(lock(&self.0).faults.left_out);
        after
    }

    /// Lets one operation in `n` fail; 0 for none.
    fn fail_one_in(&self, n: usize) {
        lock(&self.0).faults.one_in = n;
    }

    /// Lets the next operation of a kind fail.
    fn fail_next(&self, op: Op, error: Errno) {
        lock(&self.0).faults.next = Some((op, error));
    }

    fn leave_out(&self, what: Option<LeftOut>) {
        lock(&self.0).faults.left_out = what;
    }

    /// Stops at the `n`th operation from now: that one may or may not be done, none is from then on, and nobody hears of any.
    fn stop_after(&self, n: usize) {
        let mut state = lock(&self.0);
        state.faults.stop_at = Some(state.operations + n as u64);
    }

    fn stopped(&self) -> bool {
        lock(&self.0).faults.stopped
    }

    /// Goes on with everything that was done, as after the death of the process alone, which has closed its files.
    fn go_on(&self) {
        let mut state = lock(&self.0);
        assert!(state.locks.is_empty(), "a dead process holds no locks");
        (state.faults.stopped, state.faults.stop_at) = (false, None);
    }

    /// Operations of a kind so far.
    fn count(&self, op: Op) -> u64 {
        lock(&self.0).counts.get(&op).copied().unwrap_or(0)
    }

    /// Operations so far.
    fn operations(&self) -> u64 {
        lock(&self.0).operations
    }

    /// Whether something has this name. Nothing fails here.
    fn has(&self, path: &str) -> bool {
        lock(&self.0).media.find(Path::new(path)).is_ok()
    }

    /// Shows `see` every path below a folder, with the bytes of a file and `None` for a folder. Nothing fails here.
    fn look(&self, folder: &str, mut see: impl FnMut(&str, Option<&[u8]>)) {
        let media = &lock(&self.0).media;
        let mut open: Vec<(String, Id)> = media.find(Path::new(folder)).map(|id| (String::new(), id)).into_iter().collect();
        while let Some((prefix, folder)) = open.pop() {
            for (name, id) in media.list(folder).unwrap() {
                let path = prefix.clone() + name;
                match media.file(id) {
                    Ok(file) => see(&path, Some(&file.now)),
                    Err(_) => {
                        see(&path, None);
                        open.push((path + "/", id));
                    }
                }
            }
        }
    }

    fn operate<T>(&self, op: Op, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.operate_or(op, work, |_| ())
    }

    /// Does `work`, or lets the operation fail, which `spoils` something.
    fn operate_or<T>(&self, op: Op, work: impl FnOnce(&mut State) -> io::Result<T>, spoils: impl FnOnce(&mut State)) -> io::Result<T> {
        let mut state = lock(&self.0);
        if state.faults.stopped {
            return Err(Errno::IO.into());
        }
        state.operations += 1;
        *state.counts.entry(op).or_default() += 1;
        if state.faults.stop_at == Some(state.operations) {
            state.faults.stopped = true;
            let unheard = state.chance.one_in(2).then(|| work(&mut state));
            // A file that was opened asks for the disk as it is closed.
            drop(state);
            drop(unheard);
            return Err(Errno::IO.into());
        }
        match state.fault(op) {
            Some(error) => {
                spoils(&mut state);
                Err(error.into())
            }
            None => work(&mut state),
        }
    }

    fn opened(&self, id: Id, state: &mut State) -> Box<dyn DiskFile> {
        state.files_opened += 1;
        Box::new(SimulatedFile::new(self.clone(), id, state.files_opened))
    }
}

impl State {
    fn fault(&mut self, op: Op) -> Option<Errno> {
        if let Some((_, error)) = self.faults.next.take_if(|(next, _)| *next == op) {
            return Some(error);
        }
        if self.faults.one_in == 0 || !self.chance.one_in(self.faults.one_in) {
            return None;
        }
        let writes = matches!(op, Op::Create | Op::Write | Op::SyncData | Op::Rename | Op::MakeFolder);
        Some(if writes && self.chance.one_in(2) { Errno::NOSPC } else { Errno::IO })
    }

    /// How many of `wanted` bytes one call moves.
    fn moved(&mut self, wanted: usize) -> usize {
        let short = self.faults.one_in > 0 && wanted > 1 && self.chance.one_in(8);
        if short { 1 + self.chance.below(wanted - 1) } else { wanted }
    }

    fn write(&mut self, id: Id, at: usize, bytes: &[u8]) -> io::Result<usize> {
        let modified = self.media.tick();
        let file = self.media.file_mut(id)?;
        file.write(at, bytes);
        file.modified = modified;
        Ok(bytes.len())
    }

    fn stat(&self, id: Id) -> io::Result<Stat> {
        // A folder has these too, and nobody asks.
        let (length, modified) = self.media.file(id).map_or((0, 0), |file| (file.now.len(), file.modified));
        Ok(Stat {
            length: length as u64,
            modified: time(modified),
            identity: (0, id as u64),
        })
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.operate(Op::Create, |state| {
            let id = state.media.make_file(path)?;
            Ok(self.opened(id, state))
        })
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.operate(Op::Open, |state| {
            let id = state.media.find(path)?;
            state.media.file(id)?;
            Ok(self.opened(id, state))
        })
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.operate(Op::Stat, |state| state.stat(state.media.find(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(Op::Rename, |state| state.media.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::Remove, |state| state.media.remove(path))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.operate(Op::SyncFolder, |state| {
            for id in std::mem::take(&mut state.put_off) {
                state.media.file_mut(id)?.sync();
            }
            match state.faults.left_out {
                Some(LeftOut::FolderSync) => Ok(()),
                _ => state.media.sync_folder(folder),
            }
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Entries> {
        self.operate(Op::List, |state| {
            let mut entries = Vec::new();
            for (name, id) in state.media.list(state.media.find(folder)?)? {
                entries.push(Ok(Entry {
                    path: folder.join(name),
                    modified: state.media.file(id).ok().map(|file| time(file.modified)),
                }));
            }
            Ok(Box::new(entries.into_iter()) as Entries)
        })
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.operate(Op::MakeFolder, |state| {
            let missing: Vec<&Path> = folder.ancestors().take_while(|path| state.media.find(path).is_err()).collect();
            for path in missing.into_iter().rev() {
                state.media.make_folder(path)?;
            }
            Ok(())
        })
    }

    fn mark(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::Create, |state| match state.media.find(path) {
            Ok(_) => Ok(()),
            Err(_) => state.media.make_file(path).map(drop),
        })
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        self.operate(Op::FreeSpace, |_| Ok(1 << 40))
    }
}
