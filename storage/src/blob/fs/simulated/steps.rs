//! What may happen in a store's life, one step at a time. A step fails when something does not hold;
//! that the store refuses a step holds only where a fault or the end is to blame.

use super::world::{Holds, ROOT, Upload, World, holds, sane};
use crate::blob::{Blob, BlobStore as _, Checksums, StorageKey, Stored, UploadId, VerifiedBlob};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::collections::HashSet;

impl World {
    pub(super) async fn step(&mut self) -> Holds {
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
        let mut content = Vec::with_capacity(size + 8);
        while content.len() < size {
            content.extend_from_slice(&self.chance.next().to_le_bytes());
        }
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
            tried: Vec::new(),
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
    pub(super) async fn resume(&mut self, at: usize) -> Holds {
        let store = self.store.clone();
        let upload = &mut self.uploads[at];
        let (older, told) = (upload.writer.take(), upload.acknowledged);
        self.overwritten.extend(upload.tried.iter().cloned());
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
            Err(error) if error.is_not_found() && (upload.shaken || !upload.tried.is_empty()) => drop(self.uploads.remove(at)),
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
    pub(super) async fn commit(&mut self, at: usize, wrong: bool) -> Holds {
        let other_algorithm = self.chance.one_in(6);
        let upload = &mut self.uploads[at];
        let Some(mut writer) = upload.writer.take() else { return Ok(()) };
        let (id, content, shaken) = (upload.id, upload.content.clone(), upload.shaken);
        let algorithm = match (upload.algorithm, other_algorithm) {
            (Algorithm::Sha256, true) => Algorithm::Sha512,
            (Algorithm::Sha512, true) => Algorithm::Sha256,
            (begun, false) => begun,
        };
        let expected = Digest::of(algorithm, if wrong { b"other bytes" } else { &content });
        let mut intended = Blob {
            digest: expected,
            size: content.len() as u64,
            key: StorageKey::new(&expected, &id),
            checksums: Checksums::of(&content),
        };
        let path_of = |key: &StorageKey| format!("{ROOT}/blobs/{key}");
        // What an end in the middle of a commit has left stays as it is; this commit takes the next key.
        let mut key_of = id;
        while self.disk.has(&path_of(&intended.key)) {
            key_of = key_of.next();
            intended.key = StorageKey::new(&expected, &key_of);
        }
        let (upload_path, blob_path) = (format!("{ROOT}/uploads/{id}"), path_of(&intended.key));
        let from = usize::try_from(writer.offset()).unwrap_or(0);
        // Should it fail, the commit says so too.
        let _ = writer.write(content.slice(from..)).await;
        let answer = writer.commit(&expected).await;
        // A session ends with its commit, unless that has ended with everything else.
        if !self.disk.stopped() {
            self.uploads.remove(at);
        } else if !wrong {
            self.uploads[at].tried.push(intended.key.clone());
        }
        match answer.as_ref().map(VerifiedBlob::blob) {
            Ok(_) if wrong => Err("a wrong digest is accepted".into()),
            Ok(blob) => {
                self.acknowledged.push((intended.clone(), content));
                holds(*blob == intended, || format!("a commit answers {blob:?} for {intended:?}"))
            }
            Err(error) => {
                if !wrong {
                    self.doubtful.push((intended, content));
                }
                // A power cut may have left other bytes.
                let explained = error.kind() == ErrorKind::DigestMismatch && (wrong || shaken);
                if explained { sane(error) } else { self.may_fail("a commit", error) }?;
                let left = self.disk.has(&upload_path) || self.disk.has(&blob_path);
                holds(!left || self.faulty || self.disk.stopped(), || {
                    "a failed commit leaves a file".into()
                })
            }
        }
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

    pub(super) async fn read(&self, blob: &Blob) -> Result<Bytes> {
        let pieces: Vec<Bytes> = self.store.read(blob, 0..blob.size).await?.try_collect().await?;
        Ok(pieces.concat().into())
    }

    /// Removes what no session and no row names.
    pub(super) async fn sweep(&self) -> Holds {
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
