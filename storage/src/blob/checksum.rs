//! Checksums of a blob's pieces: what makes reading safe without hashing everything again.
//!
//! A blob's digest is proved once, when it is committed. A disk may still return other
//! bytes later. Hashing each download anew would cost more than sending it, so the
//! catalog also keeps a CRC-32 for each piece, and every read of a piece is compared
//! with it before a byte of it goes out. Against accidents, not against forgers:
//! whoever can write both the store and the catalog can write anything.

use bytes::Bytes;
use crc32fast::Hasher;

/// Bytes of a piece, the last one apart. Also the unit of reading: small enough that a short range
/// does not read much in vain, large enough that 10 GiB need 160 KiB of checksums.
pub const PIECE: usize = 256 * 1024;

/// One CRC-32 for each piece of a blob, in order. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(Bytes);

impl Checksums {
    /// From the form in which the catalog keeps them: four bytes each, little end first.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The form in which the catalog keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The checksums of `bytes`, in one go.
    pub fn of(bytes: &[u8]) -> Self {
        let mut summer = Summer::default();
        summer.update(bytes);
        summer.finish()
    }

    /// The CRC-32 of all of a blob of `size` bytes: that of ISO 3309, as ZIP and gzip have it, put together from those of
    /// its pieces.
    pub fn whole(&self, size: u64) -> u32 {
        let mut left = size;
        let mut whole = Hasher::new();
        for sum in self.0.chunks_exact(4) {
            let mut piece = [0; 4];
            piece.copy_from_slice(sum);
            let bytes = left.min(PIECE as u64);
            left -= bytes;
            whole.combine(&Hasher::new_with_initial_len(u32::from_le_bytes(piece), bytes));
        }
        whole.finalize()
    }

    /// Whether `piece` is piece number `index` of the blob.
    pub fn agree(&self, index: u64, piece: &[u8]) -> bool {
        let start = usize::try_from(index).ok().and_then(|index| index.checked_mul(4));
        let kept = start.and_then(|start| self.0.get(start..start + 4));
        kept == Some(&crc32fast::hash(piece).to_le_bytes()[..])
    }
}

/// Makes [`Checksums`] from a stream.
#[derive(Clone, Default)]
pub struct Summer {
    done: Vec<u8>,
    piece: Hasher,
    /// Bytes in the piece that is being summed.
    filled: usize,
}

impl Summer {
    /// Takes in `bytes`.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.filled));
            self.piece.update(now);
            self.filled += now.len();
            if self.filled == PIECE {
                self.close();
            }
            bytes = later;
        }
    }

    /// The checksums of everything taken in.
    pub fn finish(mut self) -> Checksums {
        if self.filled > 0 {
            self.close();
        }
        Checksums(self.done.into())
    }

    fn close(&mut self) {
        let sum = std::mem::take(&mut self.piece).finalize();
        self.done.extend_from_slice(&sum.to_le_bytes());
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_changed_bit_a_missing_byte_and_another_place_are_noticed() {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 5).collect();
        let sums = Checksums::of(&bytes);
        for (index, piece) in (0..).zip(bytes.chunks(PIECE)) {
            let mut piece = piece.to_vec();
            assert!(sums.agree(index, &piece));
            assert!(!sums.agree(index + 1, &piece), "piece {index} in another place");
            assert!(!sums.agree(index, &piece[1..]));
            piece[0] ^= 1;
            assert!(!sums.agree(index, &piece));
        }
        assert!(!sums.agree(u64::MAX, b"x"), "far past the end");
    }

    #[test]
    fn an_empty_blob_has_no_pieces() {
        assert_eq!(Checksums::of(b""), Checksums::default());
        assert!(!Checksums::default().agree(0, b""));
    }

    proptest! {
        #[test]
        fn summing_in_parts_equals_summing_at_once(cuts in proptest::collection::vec(0..2 * PIECE, 0..6)) {
            let bytes = vec![7_u8; 2 * PIECE + 17];
            let mut summer = Summer::default();
            let mut rest = &bytes[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                summer.update(now);
                rest = later;
            }
            summer.update(rest);
            prop_assert_eq!(summer.finish(), Checksums::of(&bytes));
        }

        #[test]
        fn the_checksum_of_the_whole_is_that_of_its_pieces_put_together(size in 0..3 * PIECE, seed in any::<u8>()) {
            let bytes: Vec<u8> = (0..size).map(|at| (at / 3) as u8 ^ seed).collect();
            prop_assert_eq!(Checksums::of(&bytes).whole(size as u64), crc32fast::hash(&bytes));
        }
    }
}
