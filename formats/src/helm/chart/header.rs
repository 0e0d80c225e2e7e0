//! A header of tar, and where programs differ in what they read in one. Helm is built on Go's reader.

use super::fault;
use granary_storage::Result;
use tar::Header;

/// Bytes in a header; an archive is made of blocks of that size.
pub(super) const BLOCK: usize = 512;
/// Where mode and type of an entry stand.
const MODE: usize = 100;
const TYPE: usize = 156;
/// What of a mode is a type, and that of a folder.
const FORMAT_OF_MODE: u32 = 0o170_000;
const FOLDER_OF_MODE: u32 = 0o040_000;

/// Whether Helm could take the entry for a folder by its mode alone. One that is written in bits and not in digits, as
/// nobody does, is not read here.
pub(super) fn is_folder_by_mode(header: &Header) -> bool {
    let format = header.mode().map_or(0, |mode| mode & FORMAT_OF_MODE);
    format == FOLDER_OF_MODE || header.as_bytes()[MODE] >= 0x80
}

/// Whether the type says that the entry is a file. Before there were types a slash behind the name made a folder.
pub(super) fn has_type_of_file(header: &Header) -> bool {
    header.as_bytes()[TYPE] == b'0'
}

/// Whether the header is of a kind in which some find a part of the name that others do not look for (Go's reader,
/// which Helm is built on, and star, which `ustar` came from).
pub(super) fn dialect(header: &[u8; BLOCK]) -> bool {
    // Two numbers, in digits or in bits; where they are none, the last part of a name is sought there.
    let times = [&header[345..357], &header[357..369]];
    let number = |field: &[u8]| field[0] >= 0x80 || field[0] == 0 || octal(field);
    match &header[257..265] {
        b"ustar\x0000" => &header[508..] == b"tar\0",
        b"ustar  \0" => !times.into_iter().all(number),
        other => other.starts_with(b"ustar"),
    }
}

/// Digits to the base of eight, with blanks and zeros around them.
fn octal(field: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let mut rest = field
        .iter()
        .skip_while(|byte| blank(byte))
        .skip_while(|byte| matches!(byte, b'0'..=b'7'));
    rest.all(blank)
}

/// Holds a header to the sum that it states of itself.
pub(super) fn check_sum(header: &Header, bytes: &[u8; BLOCK]) -> Result<()> {
    // The sum of all bytes, its own place taken for blanks.
    let others = bytes[..148].iter().chain(&bytes[156..]);
    let sum = others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    match header.cksum() {
        Ok(stated) if stated == sum => Ok(()),
        _ => Err(fault("the archive is no tar, or is damaged: the sum of a header is wrong")),
    }
}
