//! One file of several uploads by tus (the concatenation extension), which a client sends side by side.
//!
//! Parts are the principal's own, of one repository, complete, and each of them goes into one file. That is made of them
//! in the request that asks for it, which is answered once it is stored; who does not hear the answer asks again in the
//! same words and gets the same upload. The parts' bytes go with the file's commit, or in time.

use super::files::unknown;
use super::sidecar;
use super::tus_create::check_place;
use super::tus_finish::Finish;
use super::tus_headers::{Metadata, TUS_RESUMABLE, UPLOAD_CONCAT, VERSION, standing};
use crate::dispatch::Granted;
use crate::handler::{Head, Reply};
use granary_storage::blob::UploadId;
use granary_storage::catalog::{NewTusWhole, TusUpload};
use granary_storage::limits::Limits;
use granary_storage::name::FilePath;
use granary_storage::{Error, Result, Stores, What, clock};
use http::StatusCode;
use http::header::LOCATION;
use std::collections::HashSet;
use std::sync::Arc;

/// What `Upload-Concat` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concat {
    /// A part.
    Part,
    /// A file of these parts, in this order.
    Whole {
        /// The parts.
        parts: Vec<UploadId>,
        /// The header, as it came.
        text: String,
    },
}

fn bad(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(What::Request, why)
}

/// Understands the header.
///
/// # Errors
/// `Invalid`/`Request` when it cannot be read, names a part twice, or too many.
pub(super) fn parse(head: &Head<'_>, limits: &Limits) -> Result<Option<Concat>> {
    const SHAPE: &str = "Upload-Concat is partial, or final; and the addresses of the parts with a space between";
    let Some(text) = head.header(UPLOAD_CONCAT.as_str()).map(str::trim) else {
        return Ok(None);
    };
    if text == "partial" {
        return Ok(Some(Concat::Part));
    }
    let addresses = text.strip_prefix("final;").ok_or_else(|| bad(SHAPE))?;
    let most = limits.upload_parts;
    let (mut parts, mut known) = (Vec::new(), HashSet::new());
    for address in addresses.split(' ').filter(|address| !address.is_empty()) {
        if parts.len() == most {
            return Err(bad(format!("a file is made of at most {most} parts")));
        }
        let part = part(address).ok_or_else(|| bad(SHAPE))?;
        if !known.insert(part) {
            return Err(bad(format!("Upload-Concat names the part /uploads/{part} twice")));
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return Err(bad(SHAPE));
    }
    let text = text.to_owned();
    Ok(Some(Concat::Whole { parts, text }))
}

/// The upload that an address names, absolute or relative. Whatever its host is called: its bytes are here or nowhere.
fn part(address: &str) -> Option<UploadId> {
    let path = match address.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => address,
    };
    path.strip_prefix("/uploads/")?.parse().ok()
}

/// `POST …/` with parts.
pub(super) async fn join<Op: Send>(
    stores: &Stores,
    granted: &Granted<Op>,
    metadata: &Metadata,
    concat: (&[UploadId], &str),
    may_overwrite: bool,
) -> Result<Reply> {
    let repository = granted.repository().ok_or_else(unknown)?.id;
    if sidecar::of(stores, repository, &metadata.path).await?.is_some() {
        return Err(bad(
            "the path is that of a file's checksum; send it in one piece, and it is held against the file",
        ));
    }
    let (parts, text) = concat;
    let new = NewTusWhole {
        id: UploadId::random(),
        repository,
        principal: granted.by(),
        parts: parts.to_vec(),
        concat: text.to_owned(),
        metadata: metadata.text.clone(),
        max_length: stores.limits.blob_bytes,
        max_open: stores.limits.uploads_per_principal,
        expires_at: clock::now() + clock::millis(stores.limits.upload_expiry),
    };
    let new = Arc::new(new);
    let upload = match joined(stores, granted, &metadata.path, new.clone(), may_overwrite).await {
        // Its session was closed under it, as when the disk failed; the parts are as they were.
        Err(error) if error.is_not_found() => joined(stores, granted, &metadata.path, new, may_overwrite).await?,
        ended => ended?,
    };
    let reply = Reply::new(StatusCode::CREATED)
        .header(TUS_RESUMABLE, VERSION)
        .header(LOCATION, format!("/uploads/{}", upload.id));
    Ok(standing(reply, upload.length.unwrap_or(0), None))
}

async fn joined<Op: Send>(
    stores: &Stores,
    granted: &Granted<Op>,
    path: &FilePath,
    new: Arc<NewTusWhole>,
    may_overwrite: bool,
) -> Result<TusUpload> {
    let upload = stores.catalog.join_tus_uploads(new).await?;
    let finish = Finish {
        stores,
        upload: &upload,
        may_overwrite,
        by: granted.by(),
    };
    // Before anything is copied that would be refused in the end. What is there may be this upload's own file, too.
    if !upload.done
        && upload.digest.is_none()
        && let Err(error) = check_place(stores, granted.repository(), path, may_overwrite).await
    {
        // The same request, sent twice: the other one was quicker, and what is in the way is their file.
        if finish.is_joined_by_now().await? {
            finish.joined().await?;
            return Ok(upload);
        }
        finish.give_up().await?;
        return Err(error);
    }
    finish.joined().await?;
    Ok(upload)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_part_has_an_address_with_or_without_a_host() {
        let id = UploadId::random();
        for address in [
            format!("/uploads/{id}"),
            format!("https://registry.example/uploads/{id}"),
            format!("http://127.0.0.1:5000/uploads/{id}"),
        ] {
            assert_eq!(part(&address), Some(id), "{address}");
        }
        for address in [
            String::new(),
            id.to_string(),
            format!("uploads/{id}"),
            format!("/uploads/{id}/"),
            format!("/uploads/{id}?x"),
            format!("/files/{id}"),
            "https://registry.example".to_owned(),
            "://".to_owned(),
        ] {
            assert_eq!(part(&address), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_an_address_or_none(text in "\\PC{0,60}") {
            prop_assert!(part(&text).is_none_or(|id| text.ends_with(&id.to_string())));
        }
    }
}
