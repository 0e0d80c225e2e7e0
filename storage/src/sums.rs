//! The checksums that people compare files by, besides the digest that a blob is stored under: SHA-512, SHA-1 and MD5.
//! They prove nothing here (a blob's identity is its digest); they are what a build system wrote down years ago.

use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result, What};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;

/// An algorithm of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SumKind {
    /// SHA-256, what files are stored under.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1. Forgeable; against accidents only.
    Sha1,
    /// MD5. Forgeable; against accidents only.
    Md5,
}

impl SumKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Sha256, Self::Sha512, Self::Sha1, Self::Md5];

    /// Its name as file extensions have it: `sha256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
        }
    }

    /// Bytes in such a checksum.
    pub const fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Sha1 => 20,
            Self::Md5 => 16,
        }
    }
}

/// A checksum of some content. Small and `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sum {
    kind: SumKind,
    /// The first `kind.size()` bytes count; the rest are zero.
    bytes: [u8; 64],
}

impl Sum {
    /// From its raw bytes; `None` unless they are as many as the kind has.
    pub fn from_bytes(kind: SumKind, raw: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..raw.len())?.copy_from_slice(raw);
        (raw.len() == kind.size()).then_some(Self { kind, bytes })
    }

    /// From hexadecimal digits, of either case.
    ///
    /// # Errors
    /// `Invalid`/`Digest` for anything else.
    pub fn from_hex(kind: SumKind, text: &str) -> Result<Self> {
        let bad = || {
            let (name, digits) = (kind.as_str(), kind.size() * 2);
            Error::invalid(What::Digest, format!("a {name} checksum has {digits} hexadecimal digits"))
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut raw = Vec::with_capacity(kind.size());
        for pair in text.as_bytes().chunks(2) {
            let [high, low] = pair else { return Err(bad()) };
            let (high, low) = digit(*high).zip(digit(*low)).ok_or_else(bad)?;
            raw.push(high << 4 | low);
        }
        Self::from_bytes(kind, &raw).ok_or_else(bad)
    }

    /// Its kind.
    pub fn kind(&self) -> SumKind {
        self.kind
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.kind.size()]
    }

    /// The lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        crate::digest::hex(self.as_bytes())
    }
}

impl From<Digest> for Sum {
    fn from(digest: Digest) -> Self {
        let kind = match digest.algorithm() {
            Algorithm::Sha256 => SumKind::Sha256,
            Algorithm::Sha512 => SumKind::Sha512,
        };
        let mut bytes = [0; 64];
        bytes[..kind.size()].copy_from_slice(digest.as_bytes());
        Self { kind, bytes }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.hex())
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The checksums of a file besides its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSums {
    /// SHA-512.
    pub sha512: Sum,
    /// SHA-1.
    pub sha1: Sum,
    /// MD5.
    pub md5: Sum,
}

impl FileSums {
    /// Those of `bytes`, in one go.
    pub fn of(bytes: &[u8]) -> Self {
        let mut summer = FileSummer::default();
        summer.update(bytes);
        summer.finish()
    }

    /// The one of this kind; SHA-256 is not among them.
    pub fn get(&self, kind: SumKind) -> Option<&Sum> {
        match kind {
            SumKind::Sha256 => None,
            SumKind::Sha512 => Some(&self.sha512),
            SumKind::Sha1 => Some(&self.sha1),
            SumKind::Md5 => Some(&self.md5),
        }
    }
}

/// Makes one [`Sum`] from a stream.
#[derive(Clone)]
pub enum Summing {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
    /// SHA-1.
    Sha1(Sha1),
    /// MD5.
    Md5(md5::Md5),
}

impl Summing {
    /// Of nothing yet.
    pub fn new(kind: SumKind) -> Self {
        match kind {
            SumKind::Sha256 => Self::Sha256(Sha256::new()),
            SumKind::Sha512 => Self::Sha512(Sha512::new()),
            SumKind::Sha1 => Self::Sha1(Sha1::new()),
            SumKind::Md5 => Self::Md5(md5::Md5::new()),
        }
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
        }
    }

    /// Whether everything taken in has this checksum; one of another kind it never has.
    pub fn is(self, sum: &Sum) -> bool {
        let (kind, raw) = match self {
            Self::Sha256(hasher) => (SumKind::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (SumKind::Sha512, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (SumKind::Sha1, hasher.finalize().to_vec()),
            Self::Md5(hasher) => (SumKind::Md5, hasher.finalize().to_vec()),
        };
        Sum::from_bytes(kind, &raw) == Some(*sum)
    }
}

/// Makes [`FileSums`] from a stream.
#[derive(Clone, Default)]
pub(crate) struct FileSummer {
    sha512: Sha512,
    sha1: Sha1,
    md5: md5::Md5,
}

impl FileSummer {
    /// Takes in `bytes`.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha512.update(bytes);
        self.sha1.update(bytes);
        self.md5.update(bytes);
    }

    /// The checksums of everything taken in.
    pub(crate) fn finish(self) -> FileSums {
        fn sum(kind: SumKind, raw: &[u8]) -> Sum {
            let mut bytes = [0; 64];
            bytes[..raw.len()].copy_from_slice(raw);
            Sum { kind, bytes }
        }
        FileSums {
            sha512: sum(SumKind::Sha512, &self.sha512.finalize()),
            sha1: sum(SumKind::Sha1, &self.sha1.finalize()),
            md5: sum(SumKind::Md5, &self.md5.finalize()),
        }
    }
}

/// What somebody promised of bytes before they came. Nothing at all is fine: the digest is then the one computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promised {
    /// The digest that the blob shall have, and be stored under.
    pub digest: Option<Digest>,
    /// Further checksums that must be right.
    pub sums: Vec<Sum>,
}

impl From<Digest> for Promised {
    fn from(digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            sums: Vec::new(),
        }
    }
}

impl Promised {
    /// Whether checksums are promised that a digest of `algorithm` does not settle.
    pub fn needs_sums(&self, algorithm: Algorithm) -> bool {
        self.sums.iter().any(|sum| sum.kind().as_str() != algorithm.as_str())
    }

    /// Compares what was promised with what was computed.
    ///
    /// # Errors
    /// `DigestMismatch`/`Digest` naming both; `Internal` for a checksum that nobody computed.
    pub fn check(&self, digest: &Digest, sums: Option<&FileSums>) -> Result<()> {
        let digest_sum = Sum::from(*digest);
        let wrong = |actual: String, promised: String| {
            let sentence = format!("the bytes received have the digest {actual}, not {promised}");
            Err(Error::new(ErrorKind::DigestMismatch, What::Digest, sentence))
        };
        if let Some(promised) = self.digest.filter(|promised| promised != digest) {
            return wrong(digest.to_string(), promised.to_string());
        }
        for promised in &self.sums {
            let actual = match promised.kind() == digest_sum.kind() {
                true => Some(&digest_sum),
                false => sums.and_then(|sums| sums.get(promised.kind())),
            };
            match actual {
                Some(actual) if actual == promised => {}
                Some(actual) => return wrong(actual.to_string(), promised.to_string()),
                None => {
                    return Err(Error::internal(format!(
                        "nobody computed the {} of an upload",
                        promised.kind().as_str()
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_vectors_of_rfc_1321_and_fips_180_4() {
        let sums = FileSums::of(b"abc");
        assert_eq!(sums.md5.hex(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sums.sha1.hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(sums.sha512.hex().starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn a_checksum_is_read_in_either_case_and_in_no_other_length() {
        let hex = "900150983cd24fb0d6963f7d28e17f72";
        for text in [hex.to_owned(), hex.to_uppercase()] {
            assert_eq!(Sum::from_hex(SumKind::Md5, &text).unwrap().hex(), hex);
        }
        for bad in ["", "90", &hex[1..], &format!("{hex}00"), "900150983cd24fb0d6963f7d28e17fzz", "9é"] {
            assert_eq!(Sum::from_hex(SumKind::Md5, bad).unwrap_err().what(), What::Digest, "{bad:?}");
        }
        assert_eq!(Sum::from_bytes(SumKind::Sha1, &[0; 65]), None);
    }

    #[test]
    fn what_was_promised_is_compared_and_the_sentence_names_both() {
        let (digest, sums) = (Digest::sha256(b"abc"), FileSums::of(b"abc"));
        let promise = |sum: Sum| Promised {
            digest: None,
            sums: vec![sum],
        };
        for right in [sums.sha512, sums.sha1, sums.md5, digest.into()] {
            promise(right).check(&digest, Some(&sums)).unwrap();
        }
        for wrong in [FileSums::of(b"abd").md5, Digest::sha256(b"abd").into()] {
            let error = promise(wrong).check(&digest, Some(&sums)).unwrap_err();
            assert_eq!((error.kind(), error.what()), (ErrorKind::DigestMismatch, What::Digest));
            assert!(error.message().contains(&wrong.hex()), "{error}");
        }
    }

    proptest! {
        #[test]
        fn summing_in_pieces_equals_summing_at_once(bytes in proptest::collection::vec(any::<u8>(), 0..500), cut in 0usize..500) {
            let cut = cut.min(bytes.len());
            let mut summer = FileSummer::default();
            summer.update(&bytes[..cut]);
            summer.update(&bytes[cut..]);
            let sums = summer.finish();
            prop_assert_eq!(sums, FileSums::of(&bytes));
            for sum in [sums.sha512, sums.sha1, sums.md5] {
                prop_assert_eq!(Sum::from_hex(sum.kind(), &sum.hex()).unwrap(), sum);
                prop_assert_eq!(Sum::from_bytes(sum.kind(), sum.as_bytes()), Some(sum));
            }
        }
    }
}
