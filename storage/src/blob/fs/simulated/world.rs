//! A random life of a store: several uploads at once, faults, power cuts and sudden deaths, with what must hold.
//!
//! What a catalog would have acknowledged is what a commit has answered. Sessions are known to the end, as those
//! of a catalog are: an upload is continued at the offset that was acknowledged last.

use super::media::Chance;
use super::{LeftOut, SimulatedDisk};
use crate::blob::{Blob, BlobWriter, FsStore, StorageKey, UploadId};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use std::error::Error as _;
use std::sync::Arc;

/// Where the store lies. None of these folders is there at first.
pub(super) const ROOT: &str = "/srv/granary/store";

/// Nothing, or a sentence about what does not hold.
pub(super) type Holds = Result<(), String>;

/// An upload that a client is sending.
pub(super) struct Upload {
    pub(super) id: UploadId,
    pub(super) algorithm: Algorithm,
    pub(super) content: Bytes,
    /// What the client was told to be there.
    pub(super) acknowledged: u64,
    pub(super) writer: Option<Box<dyn BlobWriter>>,
    /// Whether the power was cut since it began.
    pub(super) shaken: bool,
    /// The keys of commits that everything ended in.
    pub(super) tried: Vec<StorageKey>,
}

/// A store's life.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) chance: Chance,
    pub(super) disk: SimulatedDisk,
    pub(super) store: FsStore,
    pub(super) faulty: bool,
    pub(super) begun: u64,
    pub(super) uploads: Vec<Upload>,
    /// Blobs whose commit has answered.
    pub(super) acknowledged: Vec<(Blob, Bytes)>,
    /// Blobs whose commit has failed: they may be there.
    pub(super) doubtful: Vec<(Blob, Bytes)>,
    /// Keys of commits that everything ended in and whose uploads were continued: had a power cut left
    /// the bytes with both names, they are others now. No row names them.
    pub(super) overwritten: Vec<StorageKey>,
}

/// A disk with an empty store on it.
pub(super) fn prepared() -> SimulatedDisk {
    let disk = SimulatedDisk::new(0);
    FsStore::on(Arc::new(disk.clone()), ROOT.into()).unwrap();
    disk
}

/// Lives the life that belongs to a seed, on a copy of the prepared disk or from the very first start.
pub(super) async fn live(seed: u64, prepared: &SimulatedDisk, left_out: Option<LeftOut>) -> Holds {
    let mut chance = Chance::new(seed);
    let first_start = chance.one_in(8);
    let mut disk = if first_start {
        SimulatedDisk::new(seed)
    } else {
        prepared.copy(seed)
    };
    disk.leave_out(left_out);
    if first_start {
        let all = usize::try_from(prepared.operations()).unwrap_or(0);
        disk = cut_short(disk, all, &mut chance)?;
    }
    let store = start(&disk)?;
    let mut world = World {
        seed,
        faulty: false,
        begun: 0,
        uploads: Vec::new(),
        acknowledged: Vec::new(),
        doubtful: Vec::new(),
        overwritten: Vec::new(),
        chance,
        disk,
        store,
    };
    for _ in 0..=world.chance.below(3) {
        world.go_about().await?;
        world.end().await?;
        world.check().await?;
    }
    world.finish().await
}

/// A first start that ends early, often just before it is done.
fn cut_short(disk: SimulatedDisk, all: usize, chance: &mut Chance) -> Result<SimulatedDisk, String> {
    let from_the_end = [all, 12][chance.below(2)];
    disk.stop_after(all + 1 - chance.below(from_the_end));
    let started = FsStore::on(Arc::new(disk.clone()), ROOT.into());
    holds(started.is_err() || !disk.stopped(), || "a start succeeds without a disk".into())?;
    drop(started);
    if chance.one_in(2) {
        disk.go_on();
        return Ok(disk);
    }
    Ok(disk.crash(chance.next()))
}

fn start(disk: &SimulatedDisk) -> Result<FsStore, String> {
    layout(disk)?;
    let store = FsStore::on(Arc::new(disk.clone()), ROOT.into());
    layout(disk)?;
    store.map_err(|error| format!("the store does not open: {error:?}"))
}

/// Where the marker stands, every folder is there.
fn layout(disk: &SimulatedDisk) -> Holds {
    let (mut marked, mut folders) = (false, 0);
    disk.look(ROOT, |path, file| {
        marked |= path == "layout-1";
        folders += usize::from(file.is_none());
    });
    holds(!marked || folders == 2 + 2 + 512, || {
        format!("the marker stands over {folders} folders")
    })
}

pub(super) fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Holds {
    if condition { Ok(()) } else { Err(otherwise()) }
}

impl World {
    /// Some steps, until they are done or everything stops.
    async fn go_about(&mut self) -> Holds {
        self.faulty = self.chance.one_in(3);
        if self.faulty {
            self.disk.fail_one_in([8, 25, 60][self.chance.below(3)]);
        }
        self.disk.stop_after(1 + self.chance.below(250));
        for _ in 0..10 + self.chance.below(50) {
            if self.disk.stopped() {
                break;
            }
            self.step().await?;
        }
        Ok(())
    }

    /// The power is cut, or the process dies; the store is opened on what is left.
    async fn end(&mut self) -> Holds {
        for upload in &mut self.uploads {
            upload.writer = None;
        }
        // What is still on its way ends before.
        tokio::task::spawn_blocking(|| ()).await.map_err(|error| error.to_string())?;
        self.disk.fail_one_in(0);
        self.faulty = false;
        if self.chance.one_in(4) {
            self.disk.go_on();
        } else {
            self.disk = self.disk.crash(self.chance.next());
            for upload in &mut self.uploads {
                upload.shaken = true;
            }
        }
        self.bears_true_names()?;
        self.store = start(&self.disk)?;
        Ok(())
    }

    /// Whatever lies under the key of a blob has the digest that the key promises, acknowledged or not.
    fn bears_true_names(&self) -> Holds {
        let mut hold = Ok(());
        self.disk.look(&format!("{ROOT}/blobs"), |path, bytes| {
            let Some(bytes) = bytes else { return };
            let promised = path.parse().ok().and_then(|key: StorageKey| key.digest());
            let kept = promised.is_some_and(|digest| Digest::of(digest.algorithm(), bytes) == digest);
            if !kept && !self.overwritten.iter().any(|key| key.as_str() == path) {
                hold = Err(format!("{path} bears the name of other bytes"));
            }
        });
        hold
    }

    /// What was acknowledged is there; what was not is right or refused.
    async fn check(&mut self) -> Holds {
        for (blob, bytes) in &self.acknowledged {
            let read = self.read(blob).await;
            holds(read.as_ref().is_ok_and(|read| read == bytes), || {
                format!("the acknowledged blob {} reads as {read:?}", blob.key)
            })?;
        }
        for (blob, bytes) in &self.doubtful {
            match self.read(blob).await {
                Ok(read) => holds(read == *bytes, || format!("{} reads as other bytes", blob.key))?,
                Err(error) => holds(error.kind() == ErrorKind::Corrupt, || format!("{error:?}"))?,
            }
        }
        Ok(())
    }

    /// Every upload is sent to its end and a sweep takes the rest: then there are the blobs and nothing else.
    async fn finish(&mut self) -> Holds {
        while !self.uploads.is_empty() {
            self.resume(0).await?;
            if self.uploads.first().is_some_and(|upload| upload.writer.is_some()) {
                self.commit(0, false).await?;
            }
        }
        self.sweep().await?;
        self.check().await?;
        let mut files = 0;
        self.disk.look(ROOT, |_, file| files += usize::from(file.is_some()));
        holds(files == 1 + self.acknowledged.len(), || format!("{files} files are left"))
    }
}

/// A panic on another thread comes as an error.
pub(super) fn sane(error: &Error) -> Holds {
    let panicked = error.source().is_some_and(|cause| cause.to_string().contains("panicked"));
    holds(!panicked, || format!("{error:?}"))
}
