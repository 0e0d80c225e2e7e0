//! One file out of an archive.

use super::list::coding;
use super::unpack::{Coding, Unpacked, is_too_packed, is_waste, too_packed, waste};
use super::{Kind, Within, fault, level, no_entry, tar, zip};
use crate::conditions::{ReadConditions, http_date};
use crate::dispatch::Granted;
use crate::generic::files::{ASK_AGAIN, changed, guarded};
use crate::generic::media;
use crate::generic::op::Op;
use crate::handler::{Reply, ReplyBody};
use crate::produced::{Out, produced};
use bytes::Bytes;
use crc32fast::Hasher;
use futures_util::{StreamExt as _, stream};
use granary_storage::archives::ArchiveVisit;
use granary_storage::blob::ByteStream;
use granary_storage::catalog::{AccountId, FileView};
use granary_storage::name::FilePath;
use granary_storage::{Digest, Error, Result, Stores};
use http::StatusCode;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use std::ops::Range;

/// Where the bytes of a file are, and what they must be.
struct Found {
    size: u64,
    coding: Coding,
    /// Which bytes of the stored archive are unpacked.
    part: Range<u64>,
    /// How many of the unpacked bytes come before the file's own.
    before: u64,
    crc: Option<u32>,
}

/// `GET` and `HEAD …/<archive>!/<path>`.
pub(in crate::generic) async fn read(
    stores: &Stores,
    granted: &Granted<Op>,
    within: &Within,
    head: bool,
    conditions: &ReadConditions,
) -> Result<Reply> {
    let (Some(archive), Some(inside)) = (granted.file(), &within.inside) else {
        return Err(no_entry());
    };
    let reader = granted.principal().account;
    let visit = stores.archives.begin(reader)?;
    let found = match within.kind {
        Kind::Zip => in_zip(stores, reader, archive, inside).await?,
        Kind::Tar | Kind::TarGz => in_tar(stores, reader, archive, within.kind, inside).await?,
    };
    // What an archive holds under a name never changes.
    let tag = Digest::sha256(format!("{}!/{inside}", archive.blob.digest).as_bytes());
    let plain = |status| {
        Reply::new(status)
            .header(ETAG, format!("\"{tag}\""))
            .header(LAST_MODIFIED, http_date(archive.updated_at))
            .header(CACHE_CONTROL, ASK_AGAIN)
            .header(ACCEPT_RANGES, "none")
    };
    let changed = changed(stores, granted, archive, conditions).await?;
    if conditions.not_modified(&tag.to_string(), Some(changed))? {
        return Ok(plain(StatusCode::NOT_MODIFIED));
    }
    let media_type = media::of(None, inside.file_name());
    let reply = guarded(plain(StatusCode::OK), &media_type).header(CONTENT_TYPE, media_type);
    let len = found.size;
    if head {
        return Ok(reply.with(ReplyBody::Omitted { len }));
    }
    let stream = begun(content(stores, archive, found, visit).await?).await?;
    Ok(reply.with(ReplyBody::stream(len, stream)))
}

/// Finds it. That is work, too, and takes a place among the downloads as long as it lasts.
async fn in_zip(stores: &Stores, reader: Option<AccountId>, archive: &FileView, inside: &FilePath) -> Result<Found> {
    let limits = &stores.limits;
    let place = zip::find(stores, &archive.blob).await?;
    let _under_way = stores.downloads.begin(reader, place.directory.end - place.directory.start)?;
    let directory = zip::directory(stores, &archive.blob, &place).await?;
    let (most, wanted) = (limits.archive_entries, inside.clone());
    let turn = stores.archive_work.clone().acquire_owned().await.map_err(Error::internal)?;
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        zip::last_of(&directory, most, |name| level::path(name).as_ref() == Some(&wanted))
    });
    let entry = work.await.map_err(Error::internal)??.ok_or_else(no_entry)?;
    if entry.encrypted {
        return Err(fault(
            "the file is encrypted in its archive; fetch the archive and unpack it with its password",
        ));
    }
    let coding = entry.coding()?;
    check_size(stores, entry.size)?;
    if is_too_packed(entry.packed, entry.size, limits.archive_ratio) {
        return Err(too_packed(limits.archive_ratio));
    }
    if is_waste(entry.packed, entry.size) {
        return Err(waste());
    }
    if coding == Coding::Plain && entry.packed != entry.size {
        return Err(fault("the archive is damaged: a stored file has two sizes"));
    }
    Ok(Found {
        size: entry.size,
        coding,
        part: zip::content(stores, &archive.blob, &place, &entry).await?,
        before: 0,
        crc: Some(entry.crc),
    })
}

async fn in_tar(stores: &Stores, reader: Option<AccountId>, archive: &FileView, kind: Kind, inside: &FilePath) -> Result<Found> {
    let _under_way = stores.downloads.begin(reader, 1)?;
    let (whole, coding) = (0..archive.blob.size, coding(kind)?);
    let opened = Unpacked::open(stores, &archive.blob, whole.clone(), coding).await?;
    let mut entries = tar::Entries::of(opened, stores);
    let mut last = None;
    while let Some(entry) = entries.next().await? {
        if level::path(&entry.name).as_ref() == Some(inside) {
            last = Some(entry);
        }
    }
    let entry = last.ok_or_else(no_entry)?;
    match entry.kind {
        tar::Kind::File => {}
        tar::Kind::Folder => return Err(no_entry()),
        tar::Kind::Other => {
            return Err(fault(
                "this is a link, a device or a file with holes in its archive; fetch the archive",
            ));
        }
    }
    check_size(stores, entry.size)?;
    let (part, before) = match coding {
        Coding::Plain => (entry.start..whole.end, 0),
        Coding::Deflate | Coding::Gzip => (whole, entry.start),
    };
    Ok(Found {
        size: entry.size,
        coding,
        part,
        before,
        crc: None,
    })
}

fn check_size(stores: &Stores, size: u64) -> Result<()> {
    let most = stores.limits.archive_entry_bytes;
    match size > most {
        true => Err(fault(format!(
            "the file has more than {most} bytes, which is the most that is read out of an archive; fetch the archive"
        ))),
        false => Ok(()),
    }
}

/// The file's bytes. Those that are unpacked are work to their end, the others no more than those of a file.
async fn content(stores: &Stores, archive: &FileView, found: Found, visit: ArchiveVisit) -> Result<ByteStream> {
    let mut from = Unpacked::open(stores, &archive.blob, found.part.clone(), found.coding).await?;
    let visit = (found.coding != Coding::Plain).then_some(visit);
    Ok(produced(|out| async move {
        let _until_the_end = visit;
        from.skip(found.before).await?;
        send(from, &found, &out).await
    }))
}

/// Sends the bytes. The last of them wait until all of them have proved right, so that what is whole is right.
async fn send(mut from: Unpacked, found: &Found, out: &Out) -> Result<()> {
    let short = || fault("the archive is damaged: the file in it is shorter than it says");
    let (mut left, mut sum, mut last) = (found.size, Hasher::new(), Bytes::new());
    while left > 0 {
        let piece = from.some(left).await?.ok_or_else(short)?;
        left -= piece.len() as u64;
        sum.update(&piece);
        out.send(std::mem::replace(&mut last, piece)).await?;
    }
    if let Some(crc) = found.crc {
        if from.some(1).await?.is_some() {
            return Err(fault("the archive is damaged: the file in it is longer than it says"));
        }
        if sum.finalize() != crc {
            return Err(fault("the archive is damaged: the file in it has another checksum"));
        }
    }
    out.send(last).await
}

/// The same bytes, of which the first have come: what is wrong from the start is said, and does not cut an answer off.
async fn begun(mut stream: ByteStream) -> Result<ByteStream> {
    match stream.next().await {
        None => Ok(stream),
        Some(first) => Ok(Box::pin(stream::iter([Ok(first?)]).chain(stream))),
    }
}
