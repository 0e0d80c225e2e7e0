//! A checksum that is stored beside its file (`PUT fw.bin.sha256`), as build tools do: it is computed here anyway, so it
//! is held against the file and not kept.

use super::checksums::beside;
use super::op::Op;
use crate::body::collect;
use crate::dispatch::Granted;
use crate::handler::{Body, Reply};
use crate::json_error::json_reply;
use granary_storage::catalog::{FileView, RepositoryId};
use granary_storage::name::FilePath;
use granary_storage::sums::{Sum, SumKind};
use granary_storage::{Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use serde_json::json;

/// The file that a path beside it would be the checksum of, where there is one whose checksum is known.
pub(super) async fn of(stores: &Stores, repository: RepositoryId, path: &FilePath) -> Result<Option<(FileView, Sum)>> {
    let Some((file, kind)) = beside(path) else {
        return Ok(None);
    };
    let Some(file) = stores.catalog.file(repository, file).await? else {
        return Ok(None);
    };
    let sum = match kind {
        SumKind::Sha256 => Some(Sum::from(file.blob.digest)),
        _ => file.sums.as_ref().and_then(|sums| sums.get(kind).copied()),
    };
    Ok(sum.map(|sum| (file, sum)))
}

/// Holds what is sent against the file.
///
/// # Errors
/// As [`check`]; `TooLarge` when it is longer than a checksum is.
pub(super) async fn verify(
    stores: &Stores,
    granted: &Granted<Op>,
    (file, sum): (FileView, Sum),
    body: Body,
    length: Option<u64>,
) -> Result<Reply> {
    let sent = collect(body, length, stores.limits.sidecar_bytes, What::File).await?;
    check(&sent, &file, &sum)?;
    let told = json!({
        "repository": granted.op().repository.as_str(),
        "path": file.path.as_str(),
        "verified": sum.kind().as_str(),
    });
    Ok(json_reply(StatusCode::OK, format!("{told}\n")))
}

/// Whether what was sent is this checksum of a file.
///
/// # Errors
/// `DigestMismatch` when it is not.
pub(super) fn check(sent: &[u8], file: &FileView, sum: &Sum) -> Result<()> {
    let text = std::str::from_utf8(sent).unwrap_or_default();
    if agrees(text, sum, file.path.file_name()) {
        return Ok(());
    }
    let (kind, hex) = (sum.kind().as_str(), sum.hex());
    let sentence = format!("this is not the {kind} checksum of {}, which is {hex}", file.path);
    Err(Error::new(ErrorKind::DigestMismatch, What::Digest, sentence))
}

/// Whether a text is this checksum: its digits alone, or a line of `sha256sum` (`<digits>  <name>`, `<digits> *<name>`)
/// about a file of this name, wherever that stood.
fn agrees(text: &str, sum: &Sum, name: &str) -> bool {
    let text = text.trim();
    let (digits, named) = match text.split_once(' ') {
        None => (text, None),
        Some((digits, named)) => (digits, named.strip_prefix([' ', '*'])),
    };
    let about = match named {
        None => digits.len() == text.len(),
        Some(named) => named.rsplit('/').next() == Some(name),
    };
    about && Sum::from_hex(sum.kind(), digits).is_ok_and(|sent| sent == *sum)
}
