//! Checksums of files: those that a client promises, those that an answer carries, and the files beside a file that
//! hold one (`fw.bin.sha256`), which are computed and not stored.

use crate::handler::{Head, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::catalog::FileView;
use granary_storage::name::FilePath;
use granary_storage::sums::{FileSums, Promised, Sum, SumKind};
use granary_storage::{Digest, Error, Result, What};
use http::HeaderName;
use http::header::ETAG;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// What a client says of the bytes that it sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises(Vec<Sum>);

impl Promises {
    /// Those of a request: `X-Checksum-*`, `Content-MD5`, `Content-Digest` and `Repr-Digest`, which are the same here.
    ///
    /// # Errors
    /// `Invalid`/`Digest` for one that cannot be read.
    pub(super) fn of(head: &Head<'_>) -> Result<Self> {
        let mut promises = Vec::new();
        for kind in SumKind::ALL {
            if let Some(text) = head.header(&format!("x-checksum-{}", kind.as_str())) {
                promises.push(Sum::from_hex(kind, text.trim())?);
            }
        }
        if let Some(text) = head.header("content-md5") {
            promises.push(from_base64(SumKind::Md5, text)?);
        }
        for header in ["content-digest", "repr-digest"] {
            for entry in head.header_list(header).iter().flat_map(|list| list.split(',')) {
                promises.extend(digest_field(entry)?);
            }
        }
        Ok(Self(promises))
    }

    /// The SHA-256, where one was promised.
    pub(super) fn sha256(&self) -> Option<&Sum> {
        self.0.iter().find(|sum| sum.kind() == SumKind::Sha256)
    }

    /// For the store, which compares.
    pub(super) fn promised(&self) -> Promised {
        Promised {
            digest: None,
            sums: self.0.clone(),
        }
    }
}

/// One entry of a `Content-Digest` (RFC 9530): `sha-256=:…:`, base64 between the colons. Of an algorithm that is not
/// known here nothing is learnt.
fn digest_field(entry: &str) -> Result<Option<Sum>> {
    let bad = || Error::invalid(What::Digest, "a digest field is written <algorithm>=:<base64>:");
    if entry.trim().is_empty() {
        return Ok(None);
    }
    let (name, value) = entry.trim().split_once('=').ok_or_else(bad)?;
    let kind = match name.trim() {
        "sha-256" => SumKind::Sha256,
        "sha-512" => SumKind::Sha512,
        "sha" => SumKind::Sha1,
        "md5" => SumKind::Md5,
        _ => return Ok(None),
    };
    // Parameters may follow, of which none is defined.
    let value = value.split(';').next().unwrap_or_default().trim();
    let text = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(bad)?;
    from_base64(kind, text).map(Some)
}

fn from_base64(kind: SumKind, text: &str) -> Result<Sum> {
    let raw = STANDARD.decode(text.trim()).ok();
    raw.and_then(|raw| Sum::from_bytes(kind, &raw)).ok_or_else(|| {
        let name = kind.as_str();
        Error::invalid(
            What::Digest,
            format!("a {name} checksum of {} bytes in base64 is expected", kind.size()),
        )
    })
}

/// What an answer says of a file's content, by its digest and what else is known.
pub(super) fn describe(reply: Reply, digest: &Digest, sums: Option<&FileSums>) -> Reply {
    let sha256 = Sum::from(*digest);
    let mut repr = format!("sha-256=:{}:", STANDARD.encode(sha256.as_bytes()));
    if let Some(sums) = sums {
        repr.push_str(&format!(", sha-512=:{}:", STANDARD.encode(sums.sha512.as_bytes())));
    }
    let reply = reply.header(ETAG, format!("\"{digest}\"")).header(REPR_DIGEST, repr);
    SumKind::ALL.into_iter().fold(reply, |reply, kind| {
        let (name, sum) = match kind {
            SumKind::Sha256 => ("x-checksum-sha256", Some(&sha256)),
            SumKind::Sha512 => ("x-checksum-sha512", sums.map(|sums| &sums.sha512)),
            SumKind::Sha1 => ("x-checksum-sha1", sums.map(|sums| &sums.sha1)),
            SumKind::Md5 => ("x-checksum-md5", sums.map(|sums| &sums.md5)),
        };
        match sum {
            Some(sum) => reply.header(HeaderName::from_static(name), sum.hex()),
            None => reply,
        }
    })
}

/// The file that a path beside it is the checksum of.
pub(super) fn beside(path: &FilePath) -> Option<(FilePath, SumKind)> {
    SumKind::ALL
        .into_iter()
        .find_map(|kind| path.without_suffix(&format!(".{}", kind.as_str())).map(|file| (file, kind)))
}

/// A file's checksum as `sha256sum` and its kin write and check it; `None` where it is not known.
pub(super) fn line(file: &FileView, kind: SumKind) -> Option<String> {
    let hex = match kind {
        SumKind::Sha256 => file.blob.digest.hex(),
        _ => file.sums.as_ref()?.get(kind)?.hex(),
    };
    Some(format!("{hex}  {}\n", file.path.file_name()))
}
