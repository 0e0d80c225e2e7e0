//! ZIP, written front to back (PKWARE APPNOTE 6.3.10): sizes and checksums are known before the bytes come, so that a
//! header says all there is to say, and readers that read front to back, too, understand it.
//!
//! Files are stored as they are: what build systems keep is mostly compressed already.

use granary_storage::clock::Millis;
use time::OffsetDateTime;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// What stands in a field whose value stands in a larger one elsewhere (§4.4.1.4).
const ELSEWHERE_32: u32 = u32::MAX;
const ELSEWHERE_16: u16 = u16::MAX;

/// Version of the specification that is needed: 2.0, or 4.5 for the larger fields (§4.4.3.2).
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;
/// Who made it: Unix, so that the mode below means something.
const MADE_BY_UNIX: u16 = 3 << 8;
/// A regular file that everybody may read and its owner write, in the upper half.
const MODE: u32 = 0o100_644 << 16;
/// Names are UTF-8 (§4.4.4, bit 11).
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;

/// What stands before a file's bytes.
pub(in crate::generic) fn local(name: &str, size: u64, crc: u32, updated_at: Millis) -> Vec<u8> {
    let large = large(size);
    let mut extra = timestamp(updated_at);
    if large {
        // Both sizes stand in a local header, or none (§4.5.3).
        extra.extend(field(0x0001, &[size.to_le_bytes(), size.to_le_bytes()].concat()));
    }
    let mut header = Vec::with_capacity(30 + name.len() + extra.len());
    header.extend(LOCAL.to_le_bytes());
    common(&mut header, name, size, crc, updated_at, extra.len(), large);
    header.extend(name.as_bytes());
    header.extend(extra);
    header
}

/// What stands of a file in the directory; its local header begins at `offset`.
pub(in crate::generic) fn central(name: &str, size: u64, crc: u32, updated_at: Millis, offset: u64) -> Vec<u8> {
    let (large_size, large_offset) = (large(size), large(offset));
    let mut larger = Vec::new();
    if large_size {
        larger.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    }
    if large_offset {
        larger.extend(offset.to_le_bytes());
    }
    let mut extra = timestamp(updated_at);
    if !larger.is_empty() {
        extra.extend(field(0x0001, &larger));
    }
    let version = if larger.is_empty() { VERSION } else { VERSION_64 };
    let mut header = Vec::with_capacity(46 + name.len() + extra.len());
    header.extend(CENTRAL.to_le_bytes());
    header.extend((MADE_BY_UNIX | version).to_le_bytes());
    common(&mut header, name, size, crc, updated_at, extra.len(), !larger.is_empty());
    header.extend(0_u16.to_le_bytes()); // comment
    header.extend(0_u16.to_le_bytes()); // disk
    header.extend(0_u16.to_le_bytes()); // internal attributes
    header.extend(MODE.to_le_bytes());
    header.extend(u32::try_from(offset).unwrap_or(ELSEWHERE_32).to_le_bytes());
    header.extend(name.as_bytes());
    header.extend(extra);
    header
}

/// What stands behind the directory, which begins at `start` and has `size` bytes.
pub(in crate::generic) fn end(files: u64, start: u64, size: u64) -> Vec<u8> {
    let mut end = Vec::new();
    if files >= u64::from(ELSEWHERE_16) || large(start) || large(size) {
        end.extend(END_64.to_le_bytes());
        end.extend(44_u64.to_le_bytes()); // what follows of this record
        end.extend((MADE_BY_UNIX | VERSION_64).to_le_bytes());
        end.extend(VERSION_64.to_le_bytes());
        end.extend([0; 8]); // disks
        end.extend(files.to_le_bytes());
        end.extend(files.to_le_bytes());
        end.extend(size.to_le_bytes());
        end.extend(start.to_le_bytes());
        end.extend(LOCATOR_64.to_le_bytes());
        end.extend(0_u32.to_le_bytes()); // disk
        end.extend((start + size).to_le_bytes());
        end.extend(1_u32.to_le_bytes()); // disks in all
    }
    let files = u16::try_from(files).unwrap_or(ELSEWHERE_16);
    end.extend(END.to_le_bytes());
    end.extend([0; 4]); // disks
    end.extend(files.to_le_bytes());
    end.extend(files.to_le_bytes());
    end.extend(u32::try_from(size).unwrap_or(ELSEWHERE_32).to_le_bytes());
    end.extend(u32::try_from(start).unwrap_or(ELSEWHERE_32).to_le_bytes());
    end.extend(0_u16.to_le_bytes()); // comment
    end
}

fn large(value: u64) -> bool {
    value >= u64::from(ELSEWHERE_32)
}

/// From the version that is needed to the length of the extra fields: the same in both headers.
fn common(header: &mut Vec<u8>, name: &str, size: u64, crc: u32, updated_at: Millis, extra: usize, large: bool) {
    let (time, date) = dos(updated_at);
    let size = u32::try_from(size).unwrap_or(ELSEWHERE_32);
    header.extend((if large { VERSION_64 } else { VERSION }).to_le_bytes());
    header.extend(UTF8.to_le_bytes());
    header.extend(STORED.to_le_bytes());
    header.extend(time.to_le_bytes());
    header.extend(date.to_le_bytes());
    header.extend(crc.to_le_bytes());
    header.extend(size.to_le_bytes());
    header.extend(size.to_le_bytes());
    // A path and the folder above it are far shorter, and so are the extra fields.
    header.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    header.extend(u16::try_from(extra).unwrap_or(u16::MAX).to_le_bytes());
}

fn field(id: u16, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&id.to_le_bytes(), &len.to_le_bytes(), content].concat()
}

/// The time in seconds since 1970 (Info-ZIP's "UT"), for readers to whom a time without a zone would be local.
fn timestamp(at: Millis) -> Vec<u8> {
    let seconds = i32::try_from(at.div_euclid(1000)).unwrap_or(i32::MAX);
    field(0x5455, &[&[1][..], &seconds.to_le_bytes()].concat())
}

/// Time and date as DOS has them, UTC, in steps of two seconds from 1980 to 2107 (§4.4.6).
fn dos(at: Millis) -> (u16, u16) {
    let time = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let Some(year) = u16::try_from(time.year() - 1980).ok().filter(|year| *year < 128) else {
        return (0, (1 << 5) | 1);
    };
    let clock = (u16::from(time.hour()) << 11) | (u16::from(time.minute()) << 5) | (u16::from(time.second()) / 2);
    let date = (year << 9) | (u16::from(u8::from(time.month())) << 5) | u16::from(time.day());
    (clock, date)
}
