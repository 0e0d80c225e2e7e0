//! Checksums of files: those that a client promises, those that an answer carries, and the files beside a file that
//! hold one (`fw.bin.sha256`), which are computed and not stored.

use super::sidecar::Claim;
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
    /// Those of a request: `X-Checksum-*`, `Content-MD5`, and the digest fields, which say the same of what is sent as it
    /// is. However often and however they are written, each of them is to be kept.
    ///
    /// # Errors
    /// `Invalid`/`Digest` for one that cannot be read, and for a field of which nothing can be compared.
    pub(super) fn of(head: &Head<'_>) -> Result<Self> {
        let mut promises = Vec::new();
        for kind in SumKind::ALL {
            for text in head
                .header_list(&format!("x-checksum-{}", kind.as_str()))
                .iter()
                .flat_map(|list| list.split(','))
            {
                promises.push(Sum::from_hex(kind, text.trim())?);
            }
        }
        // Artifactory's name for a checksum whose kind its length tells.
        for text in head.header_list("x-checksum").iter().flat_map(|list| list.split(',')) {
            promises.push(of_any_kind(text.trim())?);
        }
        for text in head.header_list("content-md5").iter().flat_map(|list| list.split(',')) {
            promises.push(from_base64(SumKind::Md5, text)?);
        }
        for (header, form) in [
            ("content-digest", Form::Structured),
            ("repr-digest", Form::Structured),
            ("digest", Form::Plain),
        ] {
            if let Some(list) = head.header_list(header) {
                promises.extend(digest_field(header, form, &list)?);
            }
        }
        Ok(Self(promises))
    }

    /// The SHA-256, where one was promised.
    pub(super) fn sha256(&self) -> Option<&Sum> {
        self.0.iter().find(|sum| sum.kind() == SumKind::Sha256)
    }

    /// For the store, which compares: these, and what the checksums say that were stored beside the file before it.
    pub(super) fn promised(&self, claims: &[Claim]) -> Promised {
        Promised {
            digest: None,
            sums: self.0.iter().copied().chain(claims.iter().map(|claim| claim.sum)).collect(),
        }
    }
}

/// How a field writes digests.
#[derive(Clone, Copy)]
enum Form {
    /// `sha-256=:<base64>:` (RFC 9530), members of a dictionary of structured fields (RFC 9651 §3.2).
    Structured,
    /// `SHA-256=<base64>` (RFC 3230): out of use, and sent all the same.
    Plain,
}

/// The digests of a field. One of an algorithm that is not known here may stand beside others (RFC 9530 §2), and not
/// alone: the client would take for compared what nobody compared.
fn digest_field(header: &str, form: Form, list: &str) -> Result<Vec<Sum>> {
    let written = match form {
        Form::Structured => "<algorithm>=:<base64>:",
        Form::Plain => "<algorithm>=<base64>",
    };
    let bad = || Error::invalid(What::Digest, format!("a digest in {header} is written {written}"));
    let (mut sums, mut members) = (Vec::new(), 0);
    for member in members_of(list).ok_or_else(bad)? {
        let member = member.trim();
        if member.is_empty() {
            continue;
        }
        members += 1;
        let (name, value) = member.split_once('=').unwrap_or((member, ""));
        let kind = match name.trim().to_ascii_lowercase().as_str() {
            // What RFC 3230 calls id-… is of the content without a coding, and there never is one.
            "sha-256" | "id-sha-256" => SumKind::Sha256,
            "sha-512" | "id-sha-512" => SumKind::Sha512,
            "sha" => SumKind::Sha1,
            "md5" => SumKind::Md5,
            _ => continue,
        };
        // Parameters may follow, of which none is defined.
        let value = value.split(';').next().unwrap_or_default().trim();
        let text = match form {
            Form::Structured => value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(bad)?,
            Form::Plain => value,
        };
        sums.push(from_base64(kind, text)?);
    }
    if sums.is_empty() && members > 0 {
        let sentence = format!("of the algorithms in {header} none is known here; those known are sha-256, sha-512, sha and md5");
        return Err(Error::invalid(What::Digest, sentence));
    }
    Ok(sums)
}

/// The members of a list, between commas that no quotes enclose; `None` where quotes do not end.
fn members_of(list: &str) -> Option<Vec<&str>> {
    let (mut members, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                members.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.push(&list[start..]);
    (!quoted).then_some(members)
}

/// A checksum in hexadecimal digits, of the kind that has as many.
fn of_any_kind(text: &str) -> Result<Sum> {
    match SumKind::ALL.into_iter().find(|kind| text.len() == kind.size() * 2) {
        Some(kind) => Sum::from_hex(kind, text),
        None => Err(Error::invalid(
            What::Digest,
            "a checksum has 32 hexadecimal digits (md5), 40 (sha1), 64 (sha256) or 128 (sha512)",
        )),
    }
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
