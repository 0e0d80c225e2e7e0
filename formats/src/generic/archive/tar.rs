//! Tar, header by header: ustar, GNU's long names and the attributes of POSIX (pax).

use super::fault;
use super::unpack::Unpacked;
use granary_storage::clock::Millis;
use granary_storage::{Result, Stores};
use tar::{EntryType, Header, PaxExtensions};

const BLOCK: u64 = 512;

/// Headers that may stand before an entry's own: those of its names and attributes are three, and those of all that
/// follows are between any of them.
const AHEAD_MAX: usize = 16;

/// An entry.
pub(super) struct Entry {
    /// As it stands there, whatever it says.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Bytes of its content.
    pub(super) size: u64,
    pub(super) updated_at: Option<Millis>,
    /// Where its content begins.
    pub(super) start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A link, a device, a file with holes: nothing whose bytes stand here.
    Other,
}

/// What the headers before an entry's own say of it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<i64>,
    sparse: bool,
}

/// The entries of an archive, in their order.
pub(super) struct Entries {
    archive: Unpacked,
    most: usize,
    seen: usize,
    /// Where the next header begins.
    next: u64,
}

impl Entries {
    pub(super) fn of(archive: Unpacked, stores: &Stores) -> Self {
        Self {
            archive,
            most: stores.limits.archive_entries,
            seen: 0,
            next: 0,
        }
    }

    /// The next one; `None` behind the last one.
    ///
    /// # Errors
    /// `Conflict`/`File` for what is no tar, or has too many entries.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        let mut ahead = Ahead::default();
        for _ in 0..=AHEAD_MAX {
            self.archive.skip(self.next - self.archive.at()).await?;
            let bytes = self.archive.whole(BLOCK).await?;
            if (bytes.len() as u64) < BLOCK {
                return match bytes.is_empty() && self.archive.at() == self.next {
                    true => Ok(None),
                    false => Err(fault("the archive ends in the middle of an entry")),
                };
            }
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&bytes);
            check_sum(header, &bytes)?;
            let stated = header
                .entry_size()
                .map_err(|_| fault("the archive holds an entry whose size cannot be read"))?;
            let kind = header.entry_type();
            let own = matches!(
                kind,
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
            );
            let size = match own {
                true => stated,
                false if is_bare(kind) => 0,
                false => ahead.size.unwrap_or(stated),
            };
            if kind == EntryType::GNUSparse {
                self.holes(&bytes).await?;
            }
            let start = self.archive.at();
            self.next = size
                .checked_next_multiple_of(BLOCK)
                .and_then(|padded| start.checked_add(padded))
                .ok_or_else(|| fault("the archive holds an entry whose size cannot be read"))?;
            match kind {
                EntryType::GNULongName => {
                    let name = self.archive.whole(size).await?;
                    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                    ahead.name = Some(name[..end].to_vec());
                }
                EntryType::XHeader => ahead.attributes(&self.archive.whole(size).await?)?,
                EntryType::GNULongLink | EntryType::XGlobalHeader => {}
                _ => {
                    self.count()?;
                    let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
                    let kind = match kind {
                        _ if ahead.sparse => Kind::Other,
                        EntryType::Directory => Kind::Folder,
                        // Before there were folders, a slash at the end made one.
                        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Kind::Folder,
                        EntryType::Regular | EntryType::Continuous => Kind::File,
                        _ => Kind::Other,
                    };
                    let modified = ahead.modified.or_else(|| i64::try_from(header.mtime().ok()?).ok());
                    return Ok(Some(Entry {
                        name,
                        kind,
                        size,
                        updated_at: modified.and_then(|seconds| seconds.checked_mul(1000)),
                        start,
                    }));
                }
            }
        }
        Err(fault(format!(
            "the archive holds an entry with more than {AHEAD_MAX} headers before its own"
        )))
    }

    fn count(&mut self) -> Result<()> {
        self.seen += 1;
        match self.seen > self.most {
            true => Err(fault(format!(
                "the archive holds more than {} entries, and is not looked into",
                self.most
            ))),
            false => Ok(()),
        }
    }

    /// Passes over the blocks behind a header that say where a file has holes, as far as it does not say so itself: they
    /// are no part of the content.
    async fn holes(&mut self, header: &[u8]) -> Result<()> {
        let mut more = header.get(MORE_HOLES).is_some_and(|more| *more != 0);
        while more {
            let block = self.archive.whole(BLOCK).await?;
            if (block.len() as u64) < BLOCK {
                return Err(fault("the archive ends in the middle of an entry"));
            }
            more = block.get(MORE_HOLES_BEHIND).is_some_and(|more| *more != 0);
        }
        Ok(())
    }
}

/// Where a header of GNU's says whether a block with more holes follows, and where such a block does.
const MORE_HOLES: usize = 482;
const MORE_HOLES_BEHIND: usize = 504;

/// Whether entries of this kind have no content, whatever size they state: links, devices, folders and pipes (POSIX types
/// 1 to 6). Who read on behind such a size would pass over entries that others see.
fn is_bare(kind: EntryType) -> bool {
    matches!(kind.as_byte(), b'1'..=b'6')
}

impl Ahead {
    fn attributes(&mut self, bytes: &[u8]) -> Result<()> {
        let broken = || fault("the archive holds attributes of an entry that cannot be read");
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(|_| broken())?;
            let number = || std::str::from_utf8(record.value_bytes()).ok();
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"size" => self.size = Some(number().and_then(|text| text.parse().ok()).ok_or_else(broken)?),
                b"mtime" => self.modified = number().and_then(|text| text.split('.').next()?.parse().ok()),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

fn check_sum(header: &Header, bytes: &[u8]) -> Result<()> {
    // The sum of all bytes, its own place taken for blanks.
    let others = bytes[..148].iter().chain(&bytes[156..]);
    let sum = others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    match header.cksum() {
        Ok(stated) if stated == sum => Ok(()),
        _ => Err(fault("the file is no tar, or is damaged: the sum of a header is wrong")),
    }
}
