//! POSIX tar (pax, IEEE 1003.1 "pax Interchange Format"), header by header.

use granary_storage::clock::Millis;
use tar::{EntryType, Header};

/// Contents begin at multiples of this.
pub(super) const BLOCK: u64 = 512;

/// Two blocks of nothing.
pub(super) const END: &[u8] = &[0; 2 * BLOCK as usize];

/// Bytes in a name, at most, that a header of its own need not carry.
const NAME_MAX: usize = 100;
/// The largest size that eleven octal digits say.
const SIZE_MAX: u64 = 0o77_777_777_777;

/// What stands before a file's bytes.
pub(super) fn header(name: &str, size: u64, updated_at: Millis) -> Vec<u8> {
    let plain = name.len() <= NAME_MAX && name.is_ascii();
    let mut records = Vec::new();
    if !plain {
        records.extend(record("path", name));
    }
    if size > SIZE_MAX {
        records.extend(record("size", &size.to_string()));
    }
    let mut headers = Vec::new();
    if !records.is_empty() {
        headers.extend(ustar(b"PaxHeaders/file", EntryType::XHeader, records.len() as u64, updated_at));
        let padding = (records.len() as u64).next_multiple_of(BLOCK) as usize - records.len();
        headers.extend(records);
        headers.extend(vec![0; padding]);
    }
    headers.extend(ustar(short(name).as_bytes(), EntryType::Regular, size, updated_at));
    headers
}

/// The name under which who does not know attributes finds the file: the last folders of its path that fit, and all of
/// their names. Part of one could be two dots, and lead upwards.
fn short(name: &str) -> &str {
    if name.len() <= NAME_MAX {
        return name;
    }
    let earliest = name.len() - NAME_MAX;
    // A slash right before the last bytes that fit leaves whole names, too.
    let whole = name.bytes().enumerate().skip(earliest - 1).find(|(_, byte)| *byte == b'/');
    match whole {
        Some((slash, _)) if slash + 1 < name.len() => &name[slash + 1..],
        // One name that does not fit: its end, which is far longer than dots that mean something.
        _ => &name[name.ceil_char_boundary(earliest)..],
    }
}

fn ustar(name: &[u8], kind: EntryType, size: u64, updated_at: Millis) -> [u8; BLOCK as usize] {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(u64::try_from(updated_at.div_euclid(1000)).unwrap_or(0));
    header.set_cksum();
    *header.as_bytes()
}

/// A record of attributes: its own length, the key, the value.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut len = rest.len();
    // The length counts its own digits.
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    format!("{len}{rest}").into_bytes()
}
