//! The async face of an upload: collects frames into pieces and hands one piece at a
//! time to the blocking pool, so that a fast client waits for the disk and memory stays flat.

use super::sink::Sink;
use super::{Inner, blocking, lock};
use crate::blob::{BlobWriter, UploadId, VerifiedBlob};
use crate::digest::Digest;
use crate::error::{Error, Result};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// The first pieces are small, so that small uploads stay small in memory.
const FIRST_PIECE: usize = 256 * 1024;
/// Later pieces. More falls out of the processor's cache and costs double.
const PIECE: usize = 1024 * 1024;

pub(super) struct Writer {
    store: Arc<Inner>,
    upload: UploadId,
    sink: Arc<Mutex<Sink>>,
    buffer: BytesMut,
    piece: usize,
    offset: u64,
    running: Option<JoinHandle<Result<()>>>,
    failed: bool,
}

impl Writer {
    pub(super) fn new(store: Arc<Inner>, upload: UploadId, sink: Sink) -> Self {
        let offset = sink.written();
        let sink = Arc::new(Mutex::new(sink));
        store.register(upload, &sink);
        Self {
            store,
            upload,
            sink,
            buffer: BytesMut::new(),
            piece: FIRST_PIECE,
            offset,
            running: None,
            failed: false,
        }
    }

    /// Waits for the piece on its way.
    async fn settle(&mut self) -> Result<()> {
        if self.failed {
            return Err(Error::internal("an upload was used after it had failed"));
        }
        if let Some(running) = self.running.take() {
            let done = running.await.map_err(Error::internal).and_then(|done| done);
            self.failed = done.is_err();
            done?;
        }
        Ok(())
    }

    /// Throws the upload away, unless a newer writer has it.
    async fn scrap(&self) -> Result<()> {
        let sink = self.sink.clone();
        blocking(move || Ok(lock(&sink).scrap()?)).await
    }
}

#[async_trait]
impl BlobWriter for Writer {
    fn offset(&self) -> u64 {
        self.offset
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.offset += chunk.len() as u64;
        self.buffer.extend_from_slice(&chunk);
        if self.buffer.len() >= self.piece {
            self.settle().await?;
            self.piece = PIECE;
            let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE)).freeze();
            let sink = self.sink.clone();
            self.running = Some(tokio::task::spawn_blocking(move || lock(&sink).absorb(&piece)));
        }
        Ok(())
    }

    async fn park(mut self: Box<Self>) -> Result<u64> {
        self.settle().await?;
        let (store, upload, sink) = (self.store.clone(), self.upload, self.sink.clone());
        let rest = std::mem::take(&mut self.buffer);
        let offset = self.offset;
        blocking(move || {
            let mut sink = lock(&sink);
            // An upload of nothing leaves no file.
            if !rest.is_empty() {
                sink.absorb(&rest)?;
            }
            let parked = sink.park()?;
            store.parked.insert(upload, parked);
            Ok(())
        })
        .await?;
        Ok(offset)
    }

    async fn commit(mut self: Box<Self>, expected: &Digest) -> Result<VerifiedBlob> {
        if let Err(error) = self.settle().await {
            // Should that fail too, the sweep takes what is left.
            let _ = self.scrap().await;
            return Err(error);
        }
        let _permit = self.store.commits.acquire().await.map_err(Error::internal)?;
        let (store, upload, sink, expected) = (self.store.clone(), self.upload, self.sink.clone(), *expected);
        let rest = std::mem::take(&mut self.buffer);
        blocking(move || {
            let committed = lock(&sink).commit(&rest, &expected, upload, &store.root.join("blobs"));
            store.parked.remove(&upload);
            committed
        })
        .await
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        // Whatever the running piece comes to, the file goes.
        let _ = self.settle().await;
        self.scrap().await
    }
}
