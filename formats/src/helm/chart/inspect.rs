//! Reading an archive while it streams past: pieces are handed to the blocking pool one at a time, so that a sender
//! who takes their time holds no thread, and a small chart costs one hand-over.

use super::annotations::Said;
use super::archive::{Found, Walk};
use super::parts::{Kept, Part};
use super::{Metadata, fault};
use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use granary_storage::catalog::ChartFacts;
use granary_storage::limits::Limits;
use granary_storage::{Algorithm, Digest, Error, ErrorKind, Hasher, Result, What};
use std::io::Write as _;
use std::sync::Arc;

/// Bytes that are looked at in one go.
const PIECE: usize = 256 * 1024;

/// A chart, as its archive tells.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// Chart.yaml.
    pub(crate) metadata: Metadata,
    /// When Chart.yaml was last changed, by the archive: seconds since 1970.
    pub(crate) modified: i64,
    /// The digest of the archive.
    pub(crate) digest: Digest,
    /// Bytes of the archive.
    pub(crate) size: u64,
    /// What its annotations say.
    pub(crate) said: Said,
    /// The files of the part that was wanted, in their order.
    pub(crate) kept: Vec<Kept>,
}

impl Inspected {
    /// What the catalog keeps of it.
    ///
    /// # Errors
    /// `Invalid`/`Tag` for a version that no tag can hold.
    pub(crate) fn facts(&self, provenance: Option<Digest>) -> Result<ChartFacts> {
        Ok(ChartFacts {
            name: self.metadata.name.clone(),
            version: self.metadata.version.clone(),
            tag: self.metadata.tag()?,
            content: self.digest,
            content_size: self.size,
            provenance,
            metadata: self.metadata.to_json(),
            labels: self.said.labels.clone(),
            images: self.said.images.clone(),
        })
    }
}

/// Looks at an archive as it comes. Blocks.
pub(crate) struct Reader {
    limits: Arc<Limits>,
    /// The member that is being unpacked (RFC 1952 §2.2: an archive is one, or some one after the other).
    archive: GzDecoder<Walk>,
    members: usize,
    hasher: Hasher,
    size: u64,
}

impl Reader {
    pub(crate) fn new(limits: Arc<Limits>, wanted: Option<Part>) -> Self {
        Self {
            archive: GzDecoder::new(Walk::new(limits.clone(), wanted)),
            members: 1,
            limits,
            hasher: Hasher::new(Algorithm::Sha256),
            size: 0,
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.hasher.update(piece);
        self.size += piece.len() as u64;
        let most = self.limits.chart_bytes;
        if self.size > most {
            let sentence = format!("the chart is larger than the limit of {most} bytes");
            return Err(Error::new(ErrorKind::TooLarge, What::Blob, sentence));
        }
        let mut rest = piece;
        while !rest.is_empty() {
            match self.archive.write(rest) {
                Ok(0) => self.next_member()?,
                Ok(taken) => rest = &rest[taken..],
                Err(cause) => return Err(self.fault(&cause)),
            }
        }
        Ok(())
    }

    /// Goes on to what stands behind a member: a few bytes can be many of them, and each costs more than its bytes.
    fn next_member(&mut self) -> Result<()> {
        self.members += 1;
        let most = self.limits.chart_members;
        if self.members > most {
            return Err(fault(format!("the chart is packed as more than {most} gzip members")));
        }
        self.archive.try_finish().map_err(|cause| self.fault(&cause))?;
        let next = GzDecoder::new(Walk::new(self.limits.clone(), None));
        let walk = std::mem::replace(&mut self.archive, next).finish().map_err(|_| broken())?;
        *self.archive.get_mut() = walk;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Inspected> {
        if self.size == 0 {
            return Err(fault("there is no chart in the request: its body is empty"));
        }
        self.archive.try_finish().map_err(|cause| self.fault(&cause))?;
        let walk = self.archive.finish().map_err(|_| broken())?;
        let Found {
            chart_yaml,
            modified,
            kept,
        } = walk.finish()?;
        let metadata = Metadata::read(&chart_yaml, &self.limits)?;
        Ok(Inspected {
            said: Said::read(metadata.annotations(), &self.limits),
            metadata,
            modified,
            digest: self.hasher.finish(),
            size: self.size,
            kept,
        })
    }

    /// What the archive was refused for, or else that it is broken.
    fn fault(&mut self, cause: &std::io::Error) -> Error {
        match self.archive.get_mut().take_fault() {
            Some(fault) => fault,
            None => broken().because(cause.to_string()),
        }
    }
}

fn broken() -> Error {
    fault("the chart is no gzip archive, or is damaged or cut off")
}

/// An archive that is being looked at, on the async side.
pub(crate) struct Inspection {
    reader: Reader,
    waiting: BytesMut,
}

impl Inspection {
    /// Nothing has come yet.
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self::keeping(limits, None)
    }

    /// The same, which keeps the files of a part.
    pub(crate) fn keeping(limits: Arc<Limits>, wanted: Option<Part>) -> Self {
        Self {
            reader: Reader::new(limits, wanted),
            waiting: BytesMut::new(),
        }
    }

    /// Takes in what has come.
    ///
    /// # Errors
    /// `Invalid`/`Request` with a sentence that names what is wrong with the archive; `TooLarge`/`Blob`.
    pub(crate) async fn push(mut self, chunk: &Bytes) -> Result<Self> {
        self.waiting.extend_from_slice(chunk);
        if self.waiting.len() < PIECE {
            return Ok(self);
        }
        let work = tokio::task::spawn_blocking(move || {
            let piece = self.waiting.split();
            self.reader.push(&piece)?;
            Ok(self)
        });
        work.await.map_err(Error::internal)?
    }

    /// Everything has come.
    ///
    /// # Errors
    /// As [`Inspection::push`].
    pub(crate) async fn finish(mut self) -> Result<Inspected> {
        let work = tokio::task::spawn_blocking(move || {
            self.reader.push(&self.waiting)?;
            self.reader.finish()
        });
        work.await.map_err(Error::internal)?
    }
}
