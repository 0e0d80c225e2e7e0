//! A random life of a store: several uploads at once, faults, power cuts and sudden deaths, with what must hold.
//!
//! What a catalog would have acknowledged is what a commit has answered. Sessions are known to the end, as those
//! of a catalog are: an upload is continued at the offset that was acknowledged last.

use super::media::Chance;
use super::{LeftOut, SimulatedDisk};
use crate::blob::{Blob, BlobStore, BlobWriter, Checksums, FsStore, StorageKey, Stored, UploadId, VerifiedBlob};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::collections::HashSet;
use std::error::Error as _;
use std::sync::Arc;

/// Where the store lies. None of these folders is there at first.
const ROOT: &str = "/srv/granary/store";

/// Nothing, or a sentence about what does not hold.
pub(super) type Holds = Result<(), String>;

/// An upload that a client is sending.
struct Upload {
    id: UploadId,
    algorithm: Algorithm,
    content: Bytes,
    /// What the client was told to be there.
    acknowledged: u64,
    writer: Option<Box<dyn BlobWriter>>,
    /// Whether the power was cut since it began.
    shaken: bool,
}

/// A store's life.
pub(super) struct World {
    seed: u64,
    chance: Chance,
    disk: SimulatedDisk,
    store: FsStore,
    faulty: bool,
    begun: u64,
    uploads: Vec<Upload>,
    /// Blobs whose commit has answered.
    acknowledged: Vec<(Blob, Bytes)>,
    /// Blobs whose commit has failed: they may be there.
    doubtful: Vec<(Blob, Bytes)>,
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
        disk = cut_short(disk, &mut chance)?;
    }
    let store = start(&disk)?;
    let mut world = World {
        seed,
        faulty: false,
        begun: 0,
        uploads: Vec::new(),
        acknowledged: Vec::new(),
        doubtful: Vec::new(),
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
fn cut_short(disk: SimulatedDisk, chance: &mut Chance) -> Result<SimulatedDisk, String> {
    let rarely_more = usize::try_from(prepared().operations()).unwrap_or(0) + 2;
    let last = [rarely_more, 12][chance.below(2)];
    disk.stop_after(rarely_more - chance.below(last));
    let started = FsStore::on(Arc::new(disk.clone()), ROOT.into());
    holds(started.is_err() || !disk.stopped(), || "a start succeeds without a disk".into())?;
    drop(started);
    if chance.one_in(2) {
        disk.go_on();
        return Ok(disk);
    }
    let disk = disk.crash(chance.next());
    layout(&disk)?;
    Ok(disk)
}

fn start(disk: &SimulatedDisk) -> Result<FsStore, String> {
    let store = FsStore::on(Arc::new(disk.clone()), ROOT.into());
    layout(disk)?;
    store.map_err(|error| format!("the store does not open: {error:?}"))
}

/// Where the marker stands, every folder is there.
fn layout(disk: &SimulatedDisk) -> Holds {
    let found = disk.look(ROOT);
    let marked = found.iter().any(|(path, _)| path == "layout-1");
    let folders = found.iter().filter(|(_, file)| file.is_none()).count();
    holds(!marked || folders == 2 + 2 + 512, || {
        format!("the marker stands over {folders} folders")
    })
}

fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Holds {
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
        for (path, bytes) in self.disk.look(&format!("{ROOT}/blobs")) {
            let Some(bytes) = bytes else { continue };
            let key: StorageKey = path.parse().map_err(|_| format!("a blob lies at {path}"))?;
            let digest = key.digest().ok_or("a key without a digest")?;
            let twin = self.uploads.iter().any(|upload| path.ends_with(&upload.id.to_string()));
            holds(twin || Digest::of(digest.algorithm(), &bytes) == digest, || {
                format!("{path} bears the name of other bytes")
            })?;
        }
        Ok(())
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
        let files = self.disk.look(ROOT).into_iter().filter(|(_, file)| file.is_some()).count();
        holds(files == 1 + self.acknowledged.len(), || format!("{files} files are left"))
    }

    async fn step(&mut self) -> Holds {
        let (some, kind) = (self.chance.below(self.uploads.len().max(1)), self.chance.below(32));
        match kind {
            0 => return self.sweep().await,
            1..=2 => return self.delete().await,
            3..=5 => return self.read_some().await,
            6..=9 => return self.begin().await,
            _ if self.uploads.is_empty() => return self.begin().await,
            _ => {}
        }
        match (kind, &self.uploads[some].writer) {
            (10, _) => self.throw_away(some, true).await,
            (11, Some(_)) => self.throw_away(some, false).await,
            (12, Some(_)) => {
                self.uploads[some].writer = None;
                Ok(())
            }
            (13..=14, _) | (_, None) => self.resume(some).await,
            (15..=18, Some(_)) => self.park(some).await,
            (19, Some(_)) => self.commit(some, true).await,
            (20..=24, Some(_)) => self.commit(some, false).await,
            (_, Some(_)) => self.write(some).await,
        }
    }

    async fn begin(&mut self) -> Holds {
        let size = match self.chance.below(40) {
            0..4 => 0,
            4..34 => self.chance.below(3000),
            34..39 => self.chance.below(30_000),
            _ => 256 * 1024 + self.chance.below(100_000),
        };
        self.begun += 1;
        let id = format!("{:08x}-0000-4000-8000-{:012x}", self.seed & 0xffff_ffff, self.begun);
        let mut content: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| self.chance.next().to_le_bytes()).collect();
        content.truncate(size);
        let algorithm = if self.chance.one_in(6) {
            Algorithm::Sha512
        } else {
            Algorithm::Sha256
        };
        let id = id.parse().map_err(|error| format!("{error:?}"))?;
        let writer = self.store.begin(id, algorithm).await.map_err(|error| format!("{error:?}"))?;
        self.uploads.push(Upload {
            id,
            algorithm,
            content: content.into(),
            acknowledged: 0,
            writer: Some(writer),
            shaken: false,
        });
        Ok(())
    }

    async fn write(&mut self, at: usize) -> Holds {
        let upload = &mut self.uploads[at];
        let Some(writer) = &mut upload.writer else { return Ok(()) };
        let from = usize::try_from(writer.offset()).unwrap_or(0);
        let size = self.chance.below(upload.content.len() - from + 1);
        if let Err(error) = writer.write(upload.content.slice(from..from + size)).await {
            upload.writer = None;
            return self.may_fail("a write", &error);
        }
        Ok(())
    }

    async fn park(&mut self, at: usize) -> Holds {
        let upload = &mut self.uploads[at];
        let Some(writer) = upload.writer.take() else { return Ok(()) };
        let offset = writer.offset();
        match writer.park().await {
            Ok(parked) => {
                upload.acknowledged = parked;
                holds(parked == offset, || format!("{offset} bytes were taken in and {parked} parked"))
            }
            Err(error) => self.may_fail("a park", &error),
        }
    }

    /// Continues an upload, if need be by taking it from its writer.
    async fn resume(&mut self, at: usize) -> Holds {
        let store = self.store.clone();
        let upload = &mut self.uploads[at];
        let (older, told) = (upload.writer.take(), upload.acknowledged);
        match store.resume(upload.id, upload.algorithm, told).await {
            Ok(writer) => {
                let stands = writer.offset();
                upload.writer = Some(writer);
                holds(stands == told || upload.shaken && stands < told, || {
                    format!("an upload stands at {stands} and {told} were acknowledged")
                })?;
            }
            Err(error) if error.is_not_found() && told == 0 => {
                upload.writer = Some(
                    store
                        .begin(upload.id, upload.algorithm)
                        .await
                        .map_err(|error| format!("{error:?}"))?,
                );
            }
            Err(error) if error.is_not_found() && upload.shaken => drop(self.uploads.remove(at)),
            Err(error) => self.may_fail("to resume", &error)?,
        }
        match older {
            Some(older) if self.uploads.get(at).is_some_and(|upload| upload.writer.is_some()) => holds(older.park().await.is_err(), || {
                "a writer goes on after its upload was taken over".into()
            }),
            _ => Ok(()),
        }
    }

    /// Sends the rest and commits; with a digest that is not that of the bytes, if `wrong`.
    async fn commit(&mut self, at: usize, wrong: bool) -> Holds {
        let Upload {
            id,
            content,
            writer: Some(mut writer),
            shaken,
            algorithm,
            ..
        } = self.uploads.remove(at)
        else {
            return Ok(());
        };
        let algorithm = match (algorithm, self.chance.one_in(6)) {
            (Algorithm::Sha256, true) => Algorithm::Sha512,
            (Algorithm::Sha512, true) => Algorithm::Sha256,
            (begun, false) => begun,
        };
        let expected = Digest::of(algorithm, if wrong { b"other bytes" } else { &content });
        let from = usize::try_from(writer.offset()).unwrap_or(0);
        // Should it fail, the commit says so too.
        let _ = writer.write(content.slice(from..)).await;
        let before = self.names_of(id);
        match writer.commit(&expected).await.as_ref().map(VerifiedBlob::blob) {
            Ok(_) if wrong => Err("a wrong digest is accepted".into()),
            Ok(blob) => {
                let (size, key) = (content.len() as u64, StorageKey::new(&expected, &id));
                self.acknowledged.push((blob.clone(), content));
                holds((blob.digest, blob.size, &blob.key) == (expected, size, &key), || {
                    format!("a commit answers {blob:?}")
                })
            }
            Err(error) => {
                if !wrong {
                    let (size, checksums) = (content.len() as u64, Checksums::of(&content));
                    let (digest, key) = (expected, StorageKey::new(&expected, &id));
                    self.doubtful.push((
                        Blob {
                            digest,
                            size,
                            key,
                            checksums,
                        },
                        content,
                    ));
                }
                // A power cut may have left other bytes, or the name that the blob would have had.
                let explained = error.kind() == ErrorKind::DigestMismatch && (wrong || shaken) || before.len() > 1;
                if explained { sane(error) } else { self.may_fail("a commit", error) }?;
                let after = self.names_of(id);
                let gone = after.iter().all(|name| name.starts_with("blobs/") && before.contains(name));
                holds(gone || self.faulty || self.disk.stopped(), || {
                    format!("a failed commit leaves {after:?}")
                })
            }
        }
    }

    /// The names that have to do with an upload.
    fn names_of(&self, id: UploadId) -> Vec<String> {
        let names = self.disk.look(ROOT).into_iter().map(|(path, _)| path);
        names.filter(|path| path.ends_with(&id.to_string())).collect()
    }

    async fn throw_away(&mut self, at: usize, from_outside: bool) -> Holds {
        let upload = self.uploads.remove(at);
        let gone = match upload.writer {
            Some(writer) if !from_outside => writer.abort().await,
            _ => self.store.discard(upload.id).await,
        };
        gone.or_else(|error| self.may_fail("to throw an upload away", &error))
    }

    async fn delete(&mut self) -> Holds {
        if self.acknowledged.is_empty() {
            return Ok(());
        }
        // From the moment on that the row is gone, nobody relies on it.
        let (blob, _) = self.acknowledged.swap_remove(self.chance.below(self.acknowledged.len()));
        let gone = self.store.delete(&blob.key).await;
        gone.or_else(|error| self.may_fail("a deletion", &error))
    }

    async fn read_some(&self) -> Holds {
        let Some((blob, bytes)) = self.acknowledged.last() else {
            return Ok(());
        };
        match self.read(blob).await {
            Ok(read) => holds(read == *bytes, || "a blob reads as other bytes".into()),
            // It would be set aside.
            Err(error) if error.kind() == ErrorKind::Corrupt => Err(format!("a whole blob is called damaged: {error:?}")),
            Err(error) => self.may_fail("a read", &error),
        }
    }

    async fn read(&self, blob: &Blob) -> Result<Bytes> {
        let pieces: Vec<Bytes> = self.store.read(blob, 0..blob.size).await?.try_collect().await?;
        Ok(pieces.concat().into())
    }

    /// Removes what no session and no row names.
    async fn sweep(&self) -> Holds {
        let swept = self.try_sweep().await;
        swept.or_else(|error| self.may_fail("a sweep", &error))
    }

    async fn try_sweep(&self) -> Result<()> {
        let sessions: HashSet<UploadId> = self.uploads.iter().map(|upload| upload.id).collect();
        let keys: HashSet<&StorageKey> = self.acknowledged.iter().map(|(blob, _)| &blob.key).collect();
        let files: Vec<Vec<Stored>> = self.store.list().await?.try_collect().await?;
        for file in files.into_iter().flatten() {
            match file {
                Stored::Upload { id, .. } if !sessions.contains(&id) => self.store.discard(id).await?,
                Stored::Blob { key, .. } if !keys.contains(&key) => self.store.delete(&key).await?,
                Stored::Upload { .. } | Stored::Blob { .. } => {}
            }
        }
        Ok(())
    }

    /// An error needs a cause: a fault, or the end.
    fn may_fail(&self, what: &str, error: &Error) -> Holds {
        sane(error)?;
        holds(self.faulty || self.disk.stopped(), || {
            format!("{what} fails for no reason: {error:?}")
        })
    }
}

/// A panic on another thread comes as an error.
fn sane(error: &Error) -> Holds {
    let panicked = error.source().is_some_and(|cause| cause.to_string().contains("panicked"));
    holds(!panicked, || format!("{error:?}"))
}
