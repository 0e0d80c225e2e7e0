//! Content made on the fly: the same seed and offset always give the same bytes.
//!
//! A fixed mebibyte of pseudo-random bytes is repeated, and every page of 4 KiB is stamped with the seed and
//! the page's number. So no two pages of any two blobs are alike, nothing deduplicates or compresses by accident,
//! and yet making and checking content costs little more than copying it. That matters where client and server
//! share the cores.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// The part that repeats.
const BASE: usize = 1 << 20;
/// What bears a stamp of its own. [`BASE`] is a multiple, so no page crosses the end of the base.
const PAGE: usize = 4096;
/// Bytes of a stamp.
const STAMP: usize = 16;
/// Bytes hashed at a time.
const PIECE: u64 = 256 * 1024;

/// Scrambles a number (splitmix64): neighbours become strangers.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn base() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let words = (BASE / size_of::<u64>()) as u64;
        (0..words)
            .flat_map(|word| mix(word ^ 0x6772_616e_6172_7921).to_le_bytes())
            .collect()
    })
}

fn stamp(seed: u64, page: u64) -> [u8; STAMP] {
    let (left, right) = (
        mix(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ page),
        mix(seed ^ page.rotate_left(32) ^ 0x55),
    );
    (u128::from(left) | u128::from(right) << 64).to_le_bytes()
}

/// Calls `visit` with the bytes of a blob from `offset` on, in order, in the slices they are made of, for as long as it says so.
/// Gives whether it said so to the end.
fn each_slice(seed: u64, offset: u64, len: usize, mut visit: impl FnMut(&[u8]) -> bool) -> bool {
    let base = base();
    let end = offset + len as u64;
    let mut at = offset;
    while at < end {
        let in_page = (at % PAGE as u64) as usize;
        let in_base = (at % BASE as u64) as usize;
        let count = (PAGE - in_page).min((end - at) as usize);
        let stamped = STAMP.saturating_sub(in_page).min(count);
        if stamped > 0 && !visit(&stamp(seed, at / PAGE as u64)[in_page..in_page + stamped]) {
            return false;
        }
        if !visit(&base[in_base + stamped..in_base + count]) {
            return false;
        }
        at += count as u64;
    }
    true
}

/// `len` bytes of the blob of a seed, from `offset` on.
pub(crate) fn bytes(seed: u64, offset: u64, len: usize) -> Bytes {
    let mut made = BytesMut::with_capacity(len);
    each_slice(seed, offset, len, |slice| {
        made.extend_from_slice(slice);
        true
    });
    made.freeze()
}

/// Whether `received` is what the blob of a seed has from `offset` on.
pub(crate) fn matches(seed: u64, offset: u64, mut received: &[u8]) -> bool {
    each_slice(seed, offset, received.len(), |slice| {
        let (head, rest) = received.split_at(slice.len());
        received = rest;
        head == slice
    })
}

/// The digest of a finished hash, as registries write it.
pub(crate) fn digest_text(hash: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::from("sha256:");
    for byte in hash.finalize() {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The digest of `bytes`.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(bytes))
}

/// A blob that is known without being kept.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// What its bytes follow from.
    pub(crate) seed: u64,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its digest.
    pub(crate) digest: String,
}

impl Blob {
    /// The blob of a seed. Computes the digest, so it belongs before the clock starts.
    pub(crate) fn new(seed: u64, size: u64) -> Self {
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < size {
            let count = PIECE.min(size - at);
            hash.update(bytes(seed, at, count as usize));
            at += count;
        }
        Self {
            seed,
            size,
            digest: digest_text(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_made_in_pieces_equals_content_made_at_once() {
        let whole = bytes(7, 0, 3_000_001);
        let mut parts = Vec::new();
        for step in [1, 15, 16, 17, 4095, 4096, 4097, 65536, 1 << 20].into_iter().cycle() {
            let count = usize::min(step, whole.len() - parts.len());
            if count == 0 {
                break;
            }
            let part = bytes(7, parts.len() as u64, count);
            assert!(matches(7, parts.len() as u64, &part));
            parts.extend_from_slice(&part);
        }
        assert_eq!(parts, whole);
        assert_eq!(Blob::new(7, 3_000_001).digest, digest_of(&whole));
    }

    #[test]
    fn one_wrong_bit_is_found_wherever_it_is() {
        let whole = bytes(7, 0, 20_000);
        assert!(matches(7, 0, &whole));
        assert!(!matches(8, 0, &whole), "another seed");
        assert!(!matches(7, 4096, &whole), "another offset");
        for at in [0, 15, 16, 4095, 4096, 4111, 4112, 19_999] {
            let mut bad = whole.to_vec();
            bad[at] ^= 1;
            assert!(!matches(7, 0, &bad), "byte {at}");
        }
    }

    #[test]
    fn no_two_pages_are_alike() {
        let mut pages: Vec<Bytes> = (0..4).map(|seed| bytes(seed, 0, 2 * BASE)).collect();
        let mut pages: Vec<Bytes> = pages
            .iter_mut()
            .flat_map(|blob| (0..2 * BASE / PAGE).map(|_| blob.split_to(PAGE)).collect::<Vec<_>>())
            .collect();
        let count = pages.len();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(pages.len(), count);
    }

    #[test]
    fn digests_are_written_as_registries_write_them() {
        assert_eq!(
            digest_of(b"abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
