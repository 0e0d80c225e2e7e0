//! The archive itself, as it goes out.

use super::walk::{Walked, changed, views};
use super::{Format, Plan, tar, zip};
use crate::produced::{Out, produced};
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use granary_storage::archives::ArchiveVisit;
use granary_storage::blob::{Blob, ByteStream};
use granary_storage::catalog::FileView;
use granary_storage::{Error, Result};
use std::io::Write as _;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes that are sent, or compressed, at a time; headers and small files are gathered up to it.
const PIECE: usize = 64 * 1024;

/// Bytes of a blob whose checksum takes so long that a worker has others to serve meanwhile.
const LARGE: u64 = 64 * 1024 * 1024;

/// How well a tar is compressed: fast, for it is done anew for everybody who asks.
const LEVEL: Compression = Compression::fast();

/// The archive of a folder, which holds what is given it until it has been made.
pub(super) fn stream(plan: Plan, visit: Option<ArchiveVisit>) -> ByteStream {
    produced(|out| async move {
        let _until_the_end = visit;
        let packer = (plan.format == Format::TarGz).then(|| GzEncoder::new(Vec::new(), LEVEL));
        let mut to = Pieces {
            out,
            gathered: BytesMut::new(),
            packer,
            work: plan.stores.archive_work.clone(),
        };
        let checksums = files(&plan, &mut to).await?;
        match plan.format {
            Format::Zip => directory(&plan, &checksums, &mut to).await?,
            Format::Tar | Format::TarGz => {
                unchanged(&plan).await?;
                to.write(Bytes::from_static(tar::END)).await?;
            }
        }
        to.finish().await
    })
}

/// The files, each with its header; their checksums, where the format repeats these at its end.
async fn files(plan: &Plan, to: &mut Pieces) -> Result<Vec<u32>> {
    let (mut walk, mut checksums) = (plan.walk(), Vec::new());
    while let Some(page) = walk.next().await? {
        let views = views(&plan.stores, plan.repository, &page).await?;
        for (walked, FileView { blob, .. }) in page.into_iter().zip(views) {
            let name = in_archive(plan, &walked);
            let header = match plan.format {
                Format::Zip => {
                    let crc = whole(&blob).await?;
                    checksums.push(crc);
                    zip::local(&name, blob.size, crc, walked.updated_at)
                }
                Format::Tar | Format::TarGz => tar::header(&name, blob.size, walked.updated_at),
            };
            to.write(header.into()).await?;
            let mut content = plan.stores.read(&blob, 0..blob.size).await?;
            while let Some(piece) = content.next().await {
                to.write(piece?).await?;
            }
            if plan.format != Format::Zip {
                let padding = blob.size.next_multiple_of(tar::BLOCK) - blob.size;
                to.write(Bytes::from_static(&tar::END[..padding as usize])).await?;
            }
        }
    }
    // What was announced, and nothing else, is complete now.
    if walk.seen() != plan.seen {
        return Err(changed());
    }
    Ok(checksums)
}

/// The directory at a ZIP's end: the folder is walked once more, so that nothing but the checksums is kept of it.
async fn directory(plan: &Plan, checksums: &[u32], to: &mut Pieces) -> Result<()> {
    let (mut walk, mut checksums) = (plan.walk(), checksums.iter());
    let (mut files, mut offset, mut size) = (0, 0, 0);
    while let Some(page) = walk.next().await? {
        for walked in page {
            let (name, crc) = (in_archive(plan, &walked), *checksums.next().ok_or_else(changed)?);
            let entry = zip::central(&name, walked.size, crc, walked.updated_at, offset);
            files += 1;
            size += entry.len() as u64;
            offset += zip::local(&name, walked.size, crc, walked.updated_at).len() as u64 + walked.size;
            to.write(entry.into()).await?;
        }
    }
    if walk.seen() != plan.seen {
        return Err(changed());
    }
    to.write(zip::end(files, offset, size).into()).await
}

/// Looks at the folder once more: its files were looked up a page at a time, some of them long before they were sent.
async fn unchanged(plan: &Plan) -> Result<()> {
    let mut walk = plan.walk();
    while walk.next().await?.is_some() {}
    match walk.seen() == plan.seen {
        true => Ok(()),
        false => Err(changed()),
    }
}

/// The checksum of a blob, put together from those of its pieces, of which a large blob has many.
async fn whole(blob: &Blob) -> Result<u32> {
    let (checksums, size) = (blob.checksums.clone(), blob.size);
    match size > LARGE {
        true => tokio::task::spawn_blocking(move || checksums.whole(size))
            .await
            .map_err(Error::internal),
        false => Ok(checksums.whole(size)),
    }
}

fn in_archive(plan: &Plan, file: &Walked) -> String {
    format!("{}/{}", plan.top, file.name)
}

/// Pieces of about one size, compressed where that was asked.
struct Pieces {
    out: Out,
    gathered: BytesMut,
    packer: Option<GzEncoder<Vec<u8>>>,
    work: Arc<Semaphore>,
}

impl Pieces {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if self.packer.is_none() && self.gathered.is_empty() && bytes.len() >= PIECE {
            return self.out.send(bytes).await;
        }
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= PIECE {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let gathered = self.gathered.split().freeze();
        let Some(mut packer) = self.packer.take() else {
            return self.out.send(gathered).await;
        };
        let turn = self.work.clone().acquire_owned().await.map_err(Error::internal)?;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            packer.write_all(&gathered)?;
            let packed = std::mem::take(packer.get_mut());
            Ok::<_, std::io::Error>((packer, packed))
        });
        let (packer, packed) = work.await.map_err(Error::internal)?.map_err(Error::internal)?;
        self.packer = Some(packer);
        self.out.send(packed.into()).await
    }

    async fn finish(mut self) -> Result<()> {
        self.send().await?;
        match self.packer.take() {
            None => Ok(()),
            // Less than a piece is left in it.
            Some(packer) => self.out.send(packer.finish().map_err(Error::internal)?.into()).await,
        }
    }
}
