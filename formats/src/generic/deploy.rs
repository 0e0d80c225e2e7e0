//! Files that are stored by their checksum alone, as Artifactory's clients do it (`X-Checksum-Deploy: true`): the bytes
//! are here already, and the caller could fetch them. To everybody else they are as absent as if nobody had them
//! (DESIGN §5.3); such clients then send the bytes.

use super::files::told;
use super::op::{Op, PutFile};
use super::sidecar::{self, Claim};
use crate::body::content_length;
use crate::dispatch::Granted;
use crate::handler::{Head, Reply};
use granary_storage::catalog::{Holder, NewFile, StorageFormat};
use granary_storage::{Algorithm, Digest, Error, Result, Stores, What};
use std::sync::Arc;

/// Whether a PUT asks for it.
///
/// # Errors
/// `Invalid`/`Request` when the header is neither true nor false, or bytes come with it: nobody would look at them.
pub(super) fn asked(head: &Head<'_>) -> Result<bool> {
    let bad = |why| Err(Error::invalid(What::Request, why));
    match head.header("x-checksum-deploy").map(str::trim) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) if !value.eq_ignore_ascii_case("true") => bad("X-Checksum-Deploy is true or false"),
        Some(_) if content_length(head)?.is_some_and(|length| length > 0) => {
            bad("X-Checksum-Deploy stores what is here already: send no body with it")
        }
        Some(_) => Ok(true),
    }
}

fn absent() -> Error {
    Error::not_found(What::Blob, "nothing that you may read has this SHA-256; send the bytes")
}

/// `PUT …/<path>` without the bytes. What stands at the path has been looked at.
pub(super) async fn by_checksum(stores: &Stores, granted: &Granted<Op>, put: &PutFile, claims: &[Claim]) -> Result<Reply> {
    let named = put.promises.sha256().and_then(|sum| sum.to_string().parse::<Digest>().ok());
    let Some(digest) = named else {
        let why = "what is stored by its checksum alone is named by X-Checksum-Sha256; send it, or the bytes";
        return Err(Error::not_found(What::Blob, why));
    };
    let held = stores
        .catalog
        .held(digest, granted.visible().clone(), stores.limits.deploy_holders)
        .await?;
    let held = held.ok_or_else(absent)?;
    let source = admitted(stores, granted, &held.holders).await?.ok_or_else(absent)?;
    let promised = put.promises.promised(claims);
    if promised.needs_sums(Algorithm::Sha256) && held.sums.is_none() {
        let why = "of this content only the SHA-256 is known, so no other checksum can be compared; send the bytes";
        return Err(Error::not_found(What::Blob, why));
    }
    let checked = promised.check(&digest, held.sums.as_ref());
    checked.map_err(|error| sidecar::explained(error, claims))?;
    let repository = match granted.repository() {
        Some(repository) => repository.id,
        None => {
            granted.confirm().await?;
            let owner = granted.principal().account;
            let made = stores
                .catalog
                .ensure_repository(granted.op().repository.clone(), StorageFormat::Generic, owner, granted.by());
            made.await?.id
        }
    };
    let new = NewFile {
        source: Some(source.repository.id),
        ..put.with(granted, repository, digest, held.size)
    };
    let stored = stores.catalog.put_file(Arc::new(new)).await?;
    Ok(told(granted.op(), &put.path, stored, &digest, held.size, held.sums.as_ref()))
}

/// The first of these that no policy keeps from the caller.
async fn admitted<'h>(stores: &Stores, granted: &Granted<Op>, holders: &'h [Holder]) -> Result<Option<&'h Holder>> {
    for holder in holders {
        if granted.admits(&stores.catalog, holder).await? {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}
