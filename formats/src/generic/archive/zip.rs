//! ZIP by its directory (PKWARE APPNOTE 6.3.10): found from the end of the file, read in one, and bounded. What is packed
//! is read by ranges.

use super::fault;
use super::unpack::Coding;
use futures_util::StreamExt as _;
use granary_storage::blob::Blob;
use granary_storage::clock::Millis;
use granary_storage::{Error, Result, Stores};
use std::ops::Range;
use time::{Date, Month, PrimitiveDateTime, Time};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const LOCAL_LEN: u64 = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
const END_64_LEN: usize = 56;
const LOCATOR_64_LEN: usize = 20;
/// The end of a file in which the end of the directory stands, with the longest comment.
const TAIL: u64 = (END_LEN + u16::MAX as usize + LOCATOR_64_LEN + END_64_LEN) as u64;
/// General purpose bits: encrypted, patched, strongly encrypted, names hidden.
const ENCRYPTED: u16 = 1 | (1 << 6) | (1 << 13);

/// Where the directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: Range<u64>,
    /// Bytes before the archive's own first one: an archive that unpacks itself has a program there.
    pub(super) before: u64,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it stands there, whatever it says.
    pub(super) name: Vec<u8>,
    pub(super) encrypted: bool,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) updated_at: Option<Millis>,
    /// Where its local header begins.
    pub(super) offset: u64,
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// How its bytes are packed.
    ///
    /// # Errors
    /// `Conflict`/`File` for a method that is not known.
    pub(super) fn coding(&self) -> Result<Coding> {
        match self.method {
            0 => Ok(Coding::Plain),
            8 => Ok(Coding::Deflate),
            other => Err(fault(format!(
                "the file is packed by method {other} of ZIP, and only stored and deflated files are unpacked here; fetch the archive"
            ))),
        }
    }
}

/// Bytes of a blob that are few.
async fn bytes(stores: &Stores, blob: &Blob, range: Range<u64>) -> Result<Vec<u8>> {
    let mut stream = stores.read(blob, range).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

/// Finds the directory.
pub(super) async fn find(stores: &Stores, blob: &Blob) -> Result<Place> {
    let start = blob.size.saturating_sub(TAIL);
    let tail = bytes(stores, blob, start..blob.size).await?;
    place(&tail, start)
}

/// The directory's bytes.
///
/// # Errors
/// `Conflict`/`File` when they are more than the limit.
pub(super) async fn directory(stores: &Stores, blob: &Blob, place: &Place) -> Result<Vec<u8>> {
    let (size, most) = (place.directory.end - place.directory.start, stores.limits.archive_directory_bytes);
    if size > most {
        return Err(fault(format!(
            "the list of files in the archive has more than {most} bytes, and is not read"
        )));
    }
    bytes(stores, blob, place.directory.clone()).await
}

/// Where the directory is, by the end of a file, which begins at `start` of it.
pub(super) fn place(tail: &[u8], start: u64) -> Result<Place> {
    let no_zip = || fault("the file is no ZIP, or is cut off: its list of files is not at its end");
    let is_end = |at: &usize| {
        let fields = Fields(&tail[*at..]);
        let comment = fields.u16(20).map(usize::from);
        fields.u32(0) == Some(END) && comment.is_some_and(|comment| at + END_LEN + comment == tail.len())
    };
    let at = (0..=tail.len().saturating_sub(END_LEN)).rev().find(is_end).ok_or_else(no_zip)?;
    let end = Fields(&tail[at..]);
    let (mut size, mut offset) = (
        end.u32(12).map(u64::from).ok_or_else(no_zip)?,
        end.u32(16).map(u64::from).ok_or_else(no_zip)?,
    );
    let (mut disk, mut behind) = (end.u16(4).map_or(0, u32::from), at);
    let locator = at.checked_sub(LOCATOR_64_LEN).map(|at| Fields(&tail[at..]));
    if locator.is_some_and(|locator| locator.u32(0) == Some(LOCATOR_64)) {
        let at = at.checked_sub(LOCATOR_64_LEN + END_64_LEN).ok_or_else(no_zip)?;
        let large = Fields(&tail[at..]);
        if large.u32(0) != Some(END_64) {
            return Err(fault("the end of the ZIP has a form that is not read here; fetch the archive"));
        }
        disk = large.u32(16).unwrap_or(0);
        size = large.u64(40).ok_or_else(no_zip)?;
        offset = large.u64(48).ok_or_else(no_zip)?;
        behind = at;
    }
    if disk != 0 && disk != u32::from(u16::MAX) {
        return Err(fault("the ZIP is one part of several, and is not looked into"));
    }
    let end = start + behind as u64;
    let begin = end.checked_sub(size).ok_or_else(no_zip)?;
    let before = begin.checked_sub(offset).ok_or_else(no_zip)?;
    Ok(Place {
        directory: begin..end,
        before,
    })
}

/// Every entry of a directory, in its order.
///
/// # Errors
/// `Conflict`/`File` for what is no directory, or has more than `most` entries.
pub(super) fn entries(directory: &[u8], most: usize) -> impl Iterator<Item = Result<Entry>> {
    let (mut rest, mut seen) = (directory, 0);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        seen += 1;
        let next = if seen > most {
            Err(fault(format!("the archive holds more than {most} entries, and is not looked into")))
        } else {
            entry(rest).ok_or_else(|| fault("the list of files in the ZIP is damaged"))
        };
        match next {
            Ok((entry, len)) => {
                rest = &rest[len..];
                Some(Ok(entry))
            }
            Err(error) => {
                rest = &[];
                Some(Err(error))
            }
        }
    })
}

/// The entry at the beginning, and how many bytes it has there.
fn entry(bytes: &[u8]) -> Option<(Entry, usize)> {
    let fields = Fields(bytes);
    if fields.u32(0)? != CENTRAL {
        return None;
    }
    let name = usize::from(fields.u16(28)?);
    let extra = usize::from(fields.u16(30)?);
    let comment = usize::from(fields.u16(32)?);
    let len = CENTRAL_LEN + name + extra + comment;
    if bytes.len() < len {
        return None;
    }
    let mut entry = Entry {
        name: bytes.get(CENTRAL_LEN..CENTRAL_LEN + name)?.to_vec(),
        encrypted: fields.u16(8)? & ENCRYPTED != 0,
        method: fields.u16(10)?,
        crc: fields.u32(16)?,
        packed: fields.u32(20)?.into(),
        size: fields.u32(24)?.into(),
        updated_at: dos(fields.u16(12)?, fields.u16(14)?),
        offset: fields.u32(42)?.into(),
    };
    let mut extra = bytes.get(CENTRAL_LEN + name..CENTRAL_LEN + name + extra)?;
    while let (Some(id), Some(len)) = (Fields(extra).u16(0), Fields(extra).u16(2)) {
        let Some(content) = extra.get(4..4 + usize::from(len)) else {
            break;
        };
        match id {
            // Those that do not fit above, in this order (§4.5.3).
            0x0001 => {
                let mut at = 0;
                for value in [&mut entry.size, &mut entry.packed, &mut entry.offset] {
                    if *value == u64::from(u32::MAX) {
                        *value = Fields(content).u64(at)?;
                        at += 8;
                    }
                }
            }
            0x5455 if content.first().is_some_and(|flags| flags & 1 != 0) => {
                let seconds = Fields(content).u32(1).map(u32::cast_signed);
                entry.updated_at = seconds.map(|seconds| i64::from(seconds) * 1000).or(entry.updated_at);
            }
            _ => {}
        }
        extra = &extra[4 + usize::from(len)..];
    }
    Some((entry, len))
}

/// Where an entry's packed bytes are. Its own header must say what the directory says, and the bytes lie before that.
pub(super) async fn content(stores: &Stores, blob: &Blob, place: &Place, entry: &Entry) -> Result<Range<u64>> {
    let damaged = || fault("the archive is damaged: its list of files leads to something else");
    let begin = place.before.checked_add(entry.offset).ok_or_else(damaged)?;
    let behind = begin.checked_add(LOCAL_LEN + entry.name.len() as u64);
    let behind = behind.filter(|behind| *behind <= place.directory.start).ok_or_else(damaged)?;
    let header = bytes(stores, blob, begin..behind).await?;
    let fields = Fields(&header);
    let lens = fields.u16(26).zip(fields.u16(28));
    let (Some(LOCAL), Some((name_len, extra))) = (fields.u32(0), lens) else {
        return Err(damaged());
    };
    if usize::from(name_len) != entry.name.len() || header[LOCAL_LEN as usize..] != entry.name {
        return Err(damaged());
    }
    let start = behind + u64::from(extra);
    let end = start.checked_add(entry.packed).ok_or_else(damaged)?;
    match end <= place.directory.start {
        true => Ok(start..end),
        false => Err(damaged()),
    }
}

/// Numbers in bytes, little end first.
#[derive(Clone, Copy)]
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

/// A time as DOS has it (§4.4.6). Of what zone it is nobody knows; it is taken for UTC.
fn dos(time: u16, date: u16) -> Option<Millis> {
    let month = Month::try_from((date >> 5 & 15) as u8).ok()?;
    let date = Date::from_calendar_date(1980 + i32::from(date >> 9), month, (date & 31) as u8).ok()?;
    let time = Time::from_hms((time >> 11) as u8, (time >> 5 & 63) as u8, ((time & 31) * 2) as u8).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() * 1000)
}

/// The last entry of a name that is one file's.
pub(super) fn last_of(directory: &[u8], most: usize, mut is: impl FnMut(&[u8]) -> bool) -> Result<Option<Entry>, Error> {
    let mut found = None;
    for entry in entries(directory, most) {
        let entry = entry?;
        if !entry.is_folder() && is(&entry.name) {
            found = Some(entry);
        }
    }
    Ok(found)
}
