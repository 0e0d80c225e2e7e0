//! The headers of tus 1.0 (<https://tus.io/protocols/resumable-upload>), which requests and answers share.

use super::labels;
use super::media;
use super::parse::check_coding;
use crate::conditions::http_date;
use crate::handler::{Head, Reply};
use crate::json_error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::clock::Millis;
use granary_storage::label::Labels;
use granary_storage::limits::Limits;
use granary_storage::name::FilePath;
use granary_storage::sums::{Sum, SumKind};
use granary_storage::{Error, ErrorKind, Result, What};
use http::header::RETRY_AFTER;
use http::{HeaderName, StatusCode};

/// The one version that is spoken.
pub(super) const VERSION: &str = "1.0.0";
pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
pub(super) const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

/// The extensions of the protocol that are understood.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation";

/// What a key of `Upload-Metadata` begins with that sets a label of the file: `label.build`.
const LABEL: &str = "label.";

/// The checksums of a request's body that are understood, SHA-1 first: every server of the protocol has it.
const CHECKSUMS: [SumKind; 3] = [SumKind::Sha1, SumKind::Sha256, SumKind::Md5];

/// The status of a body that has another checksum than was said (the checksum extension).
const CHECKSUM_MISMATCH: u16 = 460;

/// Whether a request is of the version that is spoken.
pub(super) fn is_spoken(head: &Head<'_>) -> bool {
    head.header(TUS_RESUMABLE.as_str()).map(str::trim) == Some(VERSION)
}

/// Headers that mean something with a file that comes in one request, and nothing with one that comes in many.
const NOT_KEPT: [&str; 15] = [
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "content-range",
    "content-md5",
    "content-digest",
    "repr-digest",
    "digest",
    "x-checksum",
    "x-checksum-md5",
    "x-checksum-sha1",
    "x-checksum-sha256",
    "x-checksum-sha512",
    "x-checksum-deploy",
    "x-explode-archive",
];

/// Refuses what would be taken for heard though nothing comes of it.
///
/// # Errors
/// `Invalid`/`Request` naming the header and what to say instead; `Unsupported`/`File` for a coding.
pub(super) fn check_kept(head: &Head<'_>) -> Result<()> {
    if let Some((name, _)) = head.headers.beginning_with(labels::HEADER).first() {
        let sentence = format!("{name} is for a file that comes in one request; say {LABEL}<key> in Upload-Metadata");
        return Err(Error::invalid(What::Request, sentence));
    }
    if let Some(name) = NOT_KEPT.into_iter().find(|name| head.header_list(name).is_some()) {
        let sentence = format!(
            "{name} is for a file that comes in one request, and an upload in pieces does not heed it; leave it out. \
             Upload-Checksum proves a piece, and a checksum sent before its file proves the file"
        );
        return Err(Error::invalid(What::Request, sentence));
    }
    check_coding(head)
}

/// A number in a header.
///
/// # Errors
/// `Invalid`/`Size` when it is none.
pub(super) fn number(head: &Head<'_>, name: &HeaderName) -> Result<Option<u64>> {
    let bad = || Error::invalid(What::Size, format!("{name} is not a number"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = head.header(name.as_str()).map(str::trim);
    value
        .map(|text| text.parse().ok().filter(|_| digits(text)).ok_or_else(bad))
        .transpose()
}

/// What `Upload-Metadata` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `filename`: the path of the file in its repository.
    pub path: FilePath,
    /// `filetype` or `contentType`: its media type, where that says something.
    pub media_type: Option<String>,
    /// `label.<key>`: its labels.
    pub labels: Labels,
    /// As it came.
    pub text: String,
}

impl Metadata {
    /// Understands the header: keys with values in base64, separated by commas.
    ///
    /// # Errors
    /// `Invalid`/`Request` when it cannot be read, names no file, or holds a label that breaks the grammar or the limits;
    /// `Invalid`/`Name` when the name is no path.
    pub(super) fn parse(text: &str, limits: &Limits) -> Result<Self> {
        let bad = |why: String| Error::invalid(What::Request, why);
        let (mut name, mut media_type, mut labels) = (None, None, Labels::default());
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (key, value) = entry.split_once(' ').unwrap_or((entry, ""));
            let value = STANDARD.decode(value.trim()).ok().and_then(|raw| String::from_utf8(raw).ok());
            match key {
                "filename" => {
                    let value = value.ok_or_else(|| bad("the filename in Upload-Metadata is not UTF-8 in base64".into()))?;
                    if name.replace(value).is_some() {
                        return Err(bad("Upload-Metadata names the file twice".into()));
                    }
                }
                // Both are in use; what cannot be read is of no use here.
                "filetype" | "contentType" => media_type = value.as_deref().and_then(media::named),
                _ => {
                    if let Some(label) = key.strip_prefix(LABEL) {
                        let value = value.ok_or_else(|| bad(format!("the label {label} in Upload-Metadata is not UTF-8 in base64")))?;
                        labels.add(label, &value, limits)?;
                    }
                }
            }
        }
        let name = name.ok_or_else(|| bad("Upload-Metadata has to name the file: filename, and its path in base64".into()))?;
        Ok(Self {
            path: name.parse()?,
            media_type,
            labels,
            text: text.to_owned(),
        })
    }
}

/// `Upload-Checksum`: the algorithm, and what it gives for the body in base64.
///
/// # Errors
/// `Invalid`/`Digest` for what cannot be read, or an algorithm that is not among [`CHECKSUMS`].
pub(super) fn checksum(head: &Head<'_>) -> Result<Option<Sum>> {
    let bad = || {
        let known = algorithms();
        let sentence = format!("Upload-Checksum is one of {known}, a space, and the checksum in base64");
        Error::invalid(What::Digest, sentence)
    };
    let Some(text) = head.header("upload-checksum") else {
        return Ok(None);
    };
    let (name, value) = text.trim().split_once(' ').ok_or_else(bad)?;
    let kind = CHECKSUMS.into_iter().find(|kind| kind.as_str() == name).ok_or_else(bad)?;
    let raw = STANDARD.decode(value.trim()).map_err(|_| bad())?;
    Sum::from_bytes(kind, &raw).map(Some).ok_or_else(bad)
}

fn algorithms() -> String {
    CHECKSUMS.map(SumKind::as_str).join(",")
}

/// Whether the body is of the one type that the protocol knows.
pub(super) fn is_typed(head: &Head<'_>) -> bool {
    let value = head.header("content-type");
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/offset+octet-stream"))
}

/// The answer to `OPTIONS`: what this server can.
pub(super) fn options(limits: &Limits) -> Reply {
    Reply::new(StatusCode::NO_CONTENT)
        .header(TUS_RESUMABLE, VERSION)
        .header(TUS_VERSION, VERSION)
        .header(TUS_EXTENSION, EXTENSIONS)
        .header(TUS_MAX_SIZE, limits.blob_bytes.to_string())
        .header(TUS_CHECKSUM_ALGORITHM, algorithms())
}

/// The answer to a request of another version, or of none.
pub(super) fn unspoken() -> Reply {
    let sentence = "send Tus-Resumable: 1.0.0; no other version of the protocol is spoken here";
    let refusal = Error::new(ErrorKind::PreconditionFailed, What::Request, sentence);
    json_error::body(&refusal)
        .header(TUS_RESUMABLE, VERSION)
        .header(TUS_VERSION, VERSION)
}

/// The answer to who asks where an upload stands that another request is at: 423, after which clients ask again.
pub(super) fn busy() -> Reply {
    let sentence = "another request is bringing the upload to its end; ask again shortly";
    let mut reply = json_error::body(&Error::new(ErrorKind::Conflict, What::Upload, sentence));
    reply.status = StatusCode::LOCKED;
    reply.header(RETRY_AFTER, "1")
}

/// The answer to a body that does not have the checksum that was said.
pub(super) fn mismatch() -> Reply {
    let sentence = "the body does not have the checksum of Upload-Checksum; nothing of it is kept";
    let mut reply = json_error::body(&Error::new(ErrorKind::DigestMismatch, What::Digest, sentence));
    reply.status = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    reply
}

/// The same answer with where the upload stands, and until when it can go on.
pub(super) fn standing(reply: Reply, offset: u64, expires_at: Option<Millis>) -> Reply {
    let reply = reply.header(UPLOAD_OFFSET, offset.to_string());
    match expires_at {
        Some(at) => reply.header(UPLOAD_EXPIRES, http_date(at)),
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn metadata_names_what_was_written_into_it(path in "[a-zé ]{1,8}(/[a-z]{1,8}){0,3}", key in "[a-z]{1,8}", value in "[^\\p{Cc}]{0,20}") {
            let (name, label) = (STANDARD.encode(&path), STANDARD.encode(&value));
            let text = format!("label.{key} {label},is_private, filename {name}");
            if let Ok(path) = path.parse::<FilePath>() {
                let metadata = Metadata::parse(&text, &Limits::default()).unwrap();
                prop_assert_eq!(metadata.path, path);
                prop_assert_eq!(metadata.labels.iter().collect::<Vec<_>>(), [(&*key, &*value)]);
                prop_assert_eq!(metadata.text, text);
            }
        }

        #[test]
        fn no_metadata_makes_the_parser_panic(text in "((filename|label\\.|filetype)?[ ,=A-Za-z0-9+/.-]{0,12}){0,6}|\\PC{0,60}") {
            let _ = Metadata::parse(&text, &Limits::default());
        }
    }
}
