//! The async face of an upload: collects frames into pieces and hands one piece at a
//! time to the blocking pool, so that a fast client waits for the disk and memory stays flat.

use super::buffer::Buffer;
use super::sink::Sink;
use super::{Inner, blocking, lock};
use crate::blob::{BlobWriter, UploadId, VerifiedBlob};
use crate::error::{Error, Result};
use crate::sums::Promised;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

pub(super) struct Writer {
    store: Arc<Inner>,
    upload: UploadId,
    sink: Arc<Mutex<Sink>>,
    buffer: Option<Buffer>,
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
            buffer: None,
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
        let mut chunk = &chunk[..];
        while !chunk.is_empty() {
            let buffer = self.buffer.get_or_insert_with(|| self.store.buffers.take());
            let (now, later) = chunk.split_at(chunk.len().min(buffer.room()));
            buffer.extend_from_slice(now);
            chunk = later;
            if buffer.room() == 0 {
                self.settle().await?;
                if let Some(piece) = self.buffer.take() {
                    let sink = self.sink.clone();
                    self.running = Some(tokio::task::spawn_blocking(move || lock(&sink).absorb(&piece)));
                }
            }
        }
        Ok(())
    }

    async fn park(mut self: Box<Self>) -> Result<u64> {
        self.settle().await?;
        let (store, upload, sink) = (self.store.clone(), self.upload, self.sink.clone());
        let rest = self.buffer.take();
        let offset = self.offset;
        blocking(move || {
            let mut sink = lock(&sink);
            // An upload of nothing leaves no file.
            if let Some(rest) = rest {
                sink.absorb(&rest)?;
            }
            if let Some(parked) = sink.park()? {
                store.parked.insert(upload, parked);
            }
            Ok(())
        })
        .await?;
        Ok(offset)
    }

    async fn with_sums(&mut self) -> Result<()> {
        self.settle().await?;
        let sink = self.sink.clone();
        blocking(move || lock(&sink).with_sums()).await
    }

    async fn seal(mut self: Box<Self>, promised: &Promised) -> Result<VerifiedBlob> {
        if let Err(error) = self.settle().await {
            // Should that fail too, the sweep takes what is left.
            let _ = self.scrap().await;
            return Err(error);
        }
        let _permit = self.store.commits.acquire().await.map_err(Error::internal)?;
        let (store, upload, sink, promised) = (self.store.clone(), self.upload, self.sink.clone(), promised.clone());
        let rest = self.buffer.take();
        blocking(move || {
            let committed = lock(&sink).commit(
                rest.as_deref().map_or(&[], Vec::as_slice),
                &promised,
                upload,
                &store.root.join("blobs"),
            );
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
