//! A checksum that is stored beside its file (`PUT fw.bin.sha256`), as build tools do: it is computed here anyway, so it
//! is held against the file and not kept. One that comes before its file is kept as a file of its own; it is what a GET
//! of it answers, and the file is held against it when it comes. Whatever comes in its place then is held against the file.

use super::checksums::beside;
use super::op::Op;
use crate::body::collect;
use crate::handler::{Body, Reply};
use crate::json_error::json_reply;
use bytes::Bytes;
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

/// What is sent, once it is held against the file.
///
/// # Errors
/// As [`check`]; `TooLarge` when it is longer than a checksum is.
pub(super) async fn verified(stores: &Stores, (file, sum): &(FileView, Sum), body: Body, length: Option<u64>) -> Result<Bytes> {
    let sent = collect(body, length, stores.limits.sidecar_bytes, What::File).await?;
    check(&sent, file, sum)?;
    Ok(sent)
}

/// What is said of a checksum that is right, and that is not kept.
pub(super) fn told(op: &Op, (file, sum): &(FileView, Sum)) -> Reply {
    let told = json!({
        "repository": op.repository.as_str(),
        "path": file.path.as_str(),
        "verified": sum.kind().as_str(),
    });
    json_reply(StatusCode::OK, format!("{told}\n"))
}

/// Whether what was sent is this checksum of a file.
///
/// # Errors
/// `DigestMismatch` when it is not.
pub(super) fn check(sent: &[u8], file: &FileView, sum: &Sum) -> Result<()> {
    let text = std::str::from_utf8(sent).unwrap_or_default();
    if checksum(text, sum.kind(), file.path.file_name()) == Some(*sum) {
        return Ok(());
    }
    // Not what it would be: who may only store need not be able to read.
    let sentence = format!("this is not the {} checksum of {}", sum.kind().as_str(), file.path);
    Err(Error::new(ErrorKind::DigestMismatch, What::Digest, sentence))
}

/// The checksum that a text is: its digits alone, or a line of `sha256sum` (`<digits>  <name>`, `<digits> *<name>`) about
/// a file of this name, wherever that stood.
fn checksum(text: &str, kind: SumKind, name: &str) -> Option<Sum> {
    let text = text.trim();
    let digits = match text.split_once(' ') {
        None => text,
        Some((digits, named)) => {
            let named = named.strip_prefix([' ', '*'])?;
            (named.rsplit('/').next() == Some(name)).then_some(digits)?
        }
    };
    Sum::from_hex(kind, digits).ok()
}

/// What a checksum says that was stored beside a file before it.
pub(super) struct Claim {
    /// The checksum's file.
    at: FilePath,
    /// What it says.
    pub(super) sum: Sum,
}

/// The checksums among the files that are named as those of `path` are. They were stored when there was nothing to hold
/// them against; the file is held against them when it comes. What is no checksum claims nothing.
pub(super) async fn claims(stores: &Stores, path: &FilePath, sidecars: &[FileView]) -> Result<Vec<Claim>> {
    let limit = stores.limits.sidecar_bytes;
    let mut claims = Vec::new();
    for sidecar in sidecars.iter().filter(|sidecar| sidecar.blob.size <= limit) {
        let Some((_, kind)) = beside(&sidecar.path) else { continue };
        let read = stores.read(&sidecar.blob, 0..sidecar.blob.size).await;
        let text = match read {
            Ok(stream) => collect(stream, None, limit, What::File).await,
            Err(error) => Err(error),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            Err(error) => return Err(error),
        };
        let said = std::str::from_utf8(&text).ok();
        claims.extend(said.and_then(|text| checksum(text, kind, path.file_name())).map(|sum| Claim {
            at: sidecar.path.clone(),
            sum,
        }));
    }
    Ok(claims)
}

/// Names the checksum's file in what is said when the bytes are not those that it says.
pub(super) fn explained(error: Error, claims: &[Claim]) -> Error {
    let broken = claims.iter().find(|claim| error.message().ends_with(&claim.sum.to_string()));
    match broken.filter(|_| error.kind() == ErrorKind::DigestMismatch) {
        Some(claim) => {
            let sentence = format!(
                "{}, which {} says; delete that one first, if it is not the right one",
                error.message(),
                claim.at
            );
            Error::new(error.kind(), error.what(), sentence)
        }
        None => error,
    }
}
