//! Reading, storing and deleting manifests.

use super::blobs::{CONTENT_DIGEST, FOREVER};
use super::manifest;
use super::op::{Act, OPTIONAL_OVERWRITE, Op};
use crate::body::collect;
use crate::dispatch::{Granted, WARNING, warning};
use crate::gate::Held;
use crate::handler::{Body, Reply, ReplyBody};
use crate::helm;
use bytes::Bytes;
use granary_storage::catalog::{Condition, Deleted, NewChart, NewManifest, Over, RepositoryId, StorageFormat};
use granary_storage::limits::Limits;
use granary_storage::name::{Reference, Tag};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, StatusCode};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

fn unknown() -> Error {
    Error::not_found(What::Manifest, "there is no such manifest in this repository")
}

/// `GET` and `HEAD …/manifests/<reference>`. Always as stored: converting would change the digest.
pub(super) fn read(granted: &Granted<Op>) -> Result<Reply> {
    let Act::ReadManifest {
        reference,
        head,
        conditions,
    } = &granted.op().act
    else {
        return Err(unknown());
    };
    granted.existing_repository()?;
    let manifest = granted.manifest()?;
    let caching = if matches!(reference, Reference::Tag(_)) {
        "no-cache"
    } else {
        FOREVER
    };
    let digest = manifest.digest.to_string();
    let reply = |status| {
        Reply::new(status)
            .header(ETAG, format!("\"{digest}\""))
            .header(CACHE_CONTROL, caching)
            .header(CONTENT_DIGEST, digest.as_str())
    };
    if conditions.not_modified(&digest, None)? {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let body = match head {
        true => ReplyBody::Omitted {
            len: manifest.bytes.len() as u64,
        },
        false => ReplyBody::Bytes(manifest.bytes.clone()),
    };
    Ok(reply(StatusCode::OK).header(CONTENT_TYPE, &*manifest.media_type).with(body))
}

/// `PUT …/manifests/<reference>`.
pub(super) async fn put(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::PutManifest {
        reference,
        tags,
        media_type,
        condition,
        length,
    } = &granted.op().act
    else {
        return Err(unknown());
    };
    let Some(name) = &granted.op().name else { return Err(unknown()) };
    let bytes = collect(body, *length, stores.limits.manifest_bytes, What::Manifest).await?;
    let (digest, tags) = match reference {
        Reference::Tag(tag) => (Digest::sha256(&bytes), vec![tag.clone()]),
        Reference::Digest(digest) => (check_digest(digest, &bytes)?, tags.clone()),
    };
    let mut parsed = manifest::parse(&bytes, media_type.as_deref(), &stores.limits)?;
    if stores.limits.allow_missing_references {
        parsed.edges.iter_mut().for_each(|edge| edge.required = false);
    }
    // A manifest that cannot be stored must not leave a repository behind.
    if granted.repository().is_none() && !condition.holds(None) {
        let sentence = "the condition on what the tag points at does not hold";
        return Err(Error::new(ErrorKind::PreconditionFailed, What::Tag, sentence));
    }
    if granted.repository().is_none()
        && let Some(edge) = parsed.edges.iter().find(|edge| edge.required)
    {
        return Err(Error::invalid(
            What::Reference,
            format!("the manifest refers to {}, which is not in this repository", edge.child),
        ));
    }
    if granted.repository().is_none() {
        granted.confirm().await?;
    }
    stores.uploads.check_space().await?;
    let by = granted.by();
    let repository = stores
        .catalog
        .ensure_repository(name.repository.clone(), StorageFormat::Oci, granted.principal().account, by.clone())
        .await?;
    let chart = match &parsed.chart {
        Some(layers) => Some(helm::look_at(stores, &repository, layers).await?),
        None => None,
    };
    let (subject, warnings) = (parsed.subject, std::mem::take(&mut parsed.warnings));
    let unlisted = chart.as_ref().and_then(|chart| why_unlisted(chart, &tags));
    let new = NewManifest {
        tags: tags.clone(),
        condition: condition.clone(),
        may_overwrite: granted.optional(OPTIONAL_OVERWRITE) == Held::Yes,
        by,
        chart,
        ..parsed.into_new(repository.id, digest, bytes)
    };
    stores.catalog.put_manifest(new).await?;
    let mut reply = Reply::new(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{}/manifests/{digest}", name.requested))
        .header(CONTENT_DIGEST, digest.to_string());
    for text in warnings {
        reply = reply.header(WARNING, warning(text));
    }
    if let Some(text) = unlisted {
        reply = reply.header(WARNING, warning(&text));
    }
    if let Some(subject) = subject {
        reply = reply.header(OCI_SUBJECT, subject.to_string());
    }
    if matches!(reference, Reference::Digest(_)) {
        reply = tags.iter().fold(reply, |reply, tag| reply.header(OCI_TAG, tag.as_str()));
    }
    Ok(reply)
}

/// What the pusher of a chart should hear that no chart repository will show.
fn why_unlisted(chart: &NewChart, tags: &[Tag]) -> Option<String> {
    match chart {
        NewChart::Unlisted(reason) => Some(format!("kept, but in no chart repository: {reason}")),
        NewChart::Listed(facts) if tags.is_empty() || tags.contains(&facts.tag) => None,
        NewChart::Listed(facts) => Some(format!(
            "kept, but in no chart repository under this tag: the chart's version is {}, whose tag is {}",
            facts.version, facts.tag
        )),
    }
}

/// A manifest that this registry made, ready to be stored: its names are the caller's to add.
///
/// # Errors
/// As for one that a client sends.
pub(crate) fn made_here(repository: RepositoryId, bytes: Bytes, by: std::sync::Arc<str>, limits: &Limits) -> Result<NewManifest> {
    let parsed = manifest::parse(&bytes, None, limits)?;
    Ok(NewManifest {
        by,
        ..parsed.into_new(repository, Digest::sha256(&bytes), bytes)
    })
}

impl manifest::Parsed {
    /// What the catalog stores of it, under no name and for nobody yet.
    fn into_new(self, repository: RepositoryId, digest: Digest, bytes: Bytes) -> NewManifest {
        NewManifest {
            repository,
            digest,
            descriptor: self.subject.map(|_| self.descriptor(&digest, bytes.len())),
            bytes,
            media_type: self.media_type,
            kind: self.kind,
            artifact_type: self.artifact_type,
            subject: self.subject,
            labels: self.labels,
            total_size: self.total_size,
            edges: self.edges,
            tags: Vec::new(),
            condition: Condition::Always,
            may_overwrite: false,
            chart: None,
            over: Over::Same,
            by: std::sync::Arc::from(""),
        }
    }
}

fn check_digest(promised: &Digest, bytes: &[u8]) -> Result<Digest> {
    let actual = Digest::of(promised.algorithm(), bytes);
    if actual == *promised {
        return Ok(actual);
    }
    Err(Error::new(
        ErrorKind::DigestMismatch,
        What::Digest,
        format!("the manifest has the digest {actual}, not {promised}"),
    ))
}

/// `DELETE …/manifests/<reference>`: a tag alone, or a manifest with all its tags.
pub(super) async fn delete(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::DeleteManifest { reference } = &granted.op().act else {
        return Err(unknown());
    };
    let repository = granted.existing_repository()?.id;
    let deleted = match reference {
        Reference::Tag(tag) => match stores.catalog.delete_tag(repository, tag.clone(), granted.by()).await? {
            true => Deleted::Done,
            false => Deleted::Absent,
        },
        Reference::Digest(digest) => stores.catalog.delete_artifact(repository, *digest, granted.by()).await?,
    };
    match deleted {
        Deleted::Done => Ok(Reply::new(StatusCode::ACCEPTED)),
        Deleted::Absent => Err(unknown()),
        Deleted::InUse(holders) => {
            let holder = holders.first().map(ToString::to_string).unwrap_or_default();
            let sentence = format!("the index {holder} lists this manifest; delete the index first");
            Err(Error::new(ErrorKind::Conflict, What::Manifest, sentence))
        }
    }
}
