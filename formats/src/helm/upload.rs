//! A chart that comes over HTTP. It becomes what `helm push` would have made of it (config, archive, provenance,
//! manifest, tag), through the same upload engine and the same transaction.

use super::chart::{Inspected, Inspection, Metadata, Signed};
use super::form::{Counted, Form};
use super::op::{Act, Op, Upload};
use super::{CONFIG, CONTENT, PROVENANCE};
use super::{mend, provenance, rfc3339, taken};
use crate::dispatch::{Granted, WARNING, warning, yanked};
use crate::handler::{Body, Reply};
use crate::json_error::json_reply;
use crate::oci::made_here;
use bytes::Bytes;
use granary_storage::access::{Access, Action};
use granary_storage::catalog::{Chart, NewChart, NewManifest, Over, RepositoryId, StorageFormat};
use granary_storage::limits::Limits;
use granary_storage::name::RepositoryName;
use granary_storage::upload::{Home, Writing};
use granary_storage::{Algorithm, Digest, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use serde_json::{Value, json};

/// Bytes of a field of a form that says yes or no, at most.
const FLAG_MAX: usize = 16;

pub(super) fn access(repository: &RepositoryName, action: Action) -> Access {
    Access {
        repository: repository.clone(),
        actions: action.into(),
    }
}

/// What has come.
pub(super) struct Received {
    pub(super) chart: Inspected,
    pub(super) provenance: Option<Bytes>,
    /// Whether it is to replace another chart of its version.
    pub(super) force: bool,
}

/// `POST api/charts`, `PUT charts/<file>.tgz`.
pub(super) async fn upload(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Upload(upload) = &granted.op().act else {
        return Err(Error::internal("not an upload"));
    };
    let body = Counted::new(body, upload.length, most(upload, &stores.limits))?;
    let mut writing = stores.uploads.single(Home::Undecided, granted.by(), Algorithm::Sha256).await?;
    let placed = async {
        let received = receive(stores, upload, &mut writing, body).await?;
        let repository = place(upload, granted, &received).await?;
        let known = meet(stores, granted, &repository, &received).await?;
        if matches!(known.place, Place::Open(_)) {
            taken::check(stores, &repository, &received.chart.metadata).await?;
        }
        Ok::<_, Error>((known, repository, received))
    };
    let (known, repository, received) = match placed.await {
        Ok(placed) => placed,
        Err(error) => {
            writing.give_up().await?;
            return Err(error);
        }
    };
    let warning = match known.place {
        Place::Open(terms) => {
            publish(stores, granted, writing, &repository, &received, terms).await?;
            None
        }
        Place::Same(at, chart) => {
            mend::with(stores, granted, at, &chart, writing, &received).await?;
            None
        }
        Place::Unsigned(at, chart, provenance) => {
            mend::with(stores, granted, at, &chart, writing, &received).await?;
            provenance::add(stores, granted, at, &chart, received.chart, provenance).await?
        }
    };
    let yank = known.yanked.map(|reason| format!("it is in no list: {}", yanked(&reason)));
    Ok(saved(warning.or(yank)))
}

/// Bytes of a body that can be a chart, or a form that holds one, at most.
fn most(upload: &Upload, limits: &Limits) -> u64 {
    let around = match upload.boundary {
        Some(_) => limits.chart_provenance_bytes.saturating_add(limits.form_other_bytes),
        None => 0,
    };
    limits.chart_bytes.saturating_add(around).min(limits.blob_bytes)
}

/// The answer to what was stored, with what its sender should hear.
pub(super) fn saved(text: Option<String>) -> Reply {
    let reply = json_reply(StatusCode::CREATED, json!({"saved": true}).to_string());
    match text {
        Some(text) => reply.header(WARNING, warning(&text)),
        None => reply,
    }
}

/// Takes in the archive, to the store and to be looked at, and what comes with it.
async fn receive(stores: &Stores, upload: &Upload, writing: &mut Writing, mut body: Counted) -> Result<Received> {
    let mut inspection = Inspection::new(stores.limits.clone());
    let Some(boundary) = &upload.boundary else {
        while let Some(chunk) = body.chunk().await? {
            inspection = inspection.push(&chunk).await?;
            writing.write(chunk).await?;
        }
        return Ok(Received {
            chart: inspection.finish().await?,
            provenance: None,
            force: upload.force,
        });
    };
    let mut form = Form::new(body, boundary, stores.limits.clone());
    let (mut came, mut provenance, mut force) = (false, None, upload.force);
    while let Some(name) = form.next_part().await? {
        match name.as_str() {
            "chart" if came => return Err(Error::invalid(What::Request, "the form holds two charts")),
            "chart" => {
                came = true;
                while let Some(chunk) = form.chunk().await? {
                    inspection = inspection.push(&chunk).await?;
                    writing.write(chunk).await?;
                }
            }
            "prov" if provenance.is_some() => return Err(Error::invalid(What::Request, "the form holds two provenances")),
            "prov" => provenance = Some(collect(&mut form, stores.limits.chart_provenance_bytes).await?),
            "force" => force |= flag(&mut form).await?,
            // Fields that plugins send along.
            _ => form.skip().await?,
        }
    }
    if !came {
        return Err(Error::invalid(What::Request, "the form has no part called chart"));
    }
    let chart = inspection.finish().await?;
    if let Some(provenance) = &provenance {
        let signed = signed(stores, provenance.clone()).await?;
        signed.check(&chart.metadata.name, &chart.metadata.version, &chart.digest)?;
    }
    Ok(Received { chart, provenance, force })
}

/// Whether a field of a form says yes.
pub(super) async fn flag(form: &mut Form) -> Result<bool> {
    let mut all = Vec::new();
    while let Some(chunk) = form.chunk().await? {
        if all.len() + chunk.len() > FLAG_MAX {
            return Err(Error::invalid(What::Request, "the form's field force is longer than a yes or a no"));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(says_yes(&String::from_utf8_lossy(&all)))
}

/// Whether the value of a flag is none of those that stand for no.
pub(super) fn says_yes(value: &str) -> bool {
    let value = value.trim();
    !["", "0", "false"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// Reads a provenance, off the async workers.
pub(super) async fn signed(stores: &Stores, provenance: Bytes) -> Result<Signed> {
    let limits = stores.limits.clone();
    let work = tokio::task::spawn_blocking(move || Signed::read(&provenance, &limits));
    work.await.map_err(Error::internal)?
}

/// All of a part of a form.
pub(super) async fn collect(form: &mut Form, limit: u64) -> Result<Bytes> {
    let mut all = Vec::new();
    while let Some(chunk) = form.chunk().await? {
        if (all.len() + chunk.len()) as u64 > limit {
            let sentence = format!("the provenance is larger than the limit of {limit} bytes");
            return Err(Error::new(ErrorKind::TooLarge, What::Blob, sentence));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

/// The repository that the chart belongs to, where the caller may add to it.
async fn place(upload: &Upload, granted: &Granted<Op>, received: &Received) -> Result<RepositoryName> {
    let Inspected { metadata, digest, .. } = &received.chart;
    keeps_its_promise(upload, digest)?;
    repository_of(upload, granted, metadata).await
}

/// Whether what came is what its sender meant to send.
pub(super) fn keeps_its_promise(upload: &Upload, digest: &Digest) -> Result<()> {
    match upload.promised.filter(|promised| promised != digest) {
        None => Ok(()),
        Some(promised) => {
            let sentence = format!("what was sent has the digest {digest}, not {promised}");
            Err(Error::new(ErrorKind::DigestMismatch, What::Digest, sentence))
        }
    }
}

/// The repository of a chart, where the caller may add to it and sent it by its own name.
pub(super) async fn repository_of(upload: &Upload, granted: &Granted<Op>, metadata: &Metadata) -> Result<RepositoryName> {
    let repository = granted.op().prefix.repository(&metadata.name)?;
    granted.allow(access(&repository, Action::Create)).await?;
    let own = format!("{}-{}.tgz", metadata.name, metadata.version);
    if upload.file.as_ref().is_some_and(|file| *file != own) {
        let sentence = format!("the chart is {} {}, so its file is called {own}", metadata.name, metadata.version);
        return Err(Error::invalid(What::Name, sentence));
    }
    Ok(repository)
}

/// On what terms a chart is entered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    /// Which published chart it may take the place of.
    pub(super) over: Over,
    /// Whether the caller may point a tag elsewhere that is not one of a published chart.
    pub(super) may_overwrite: bool,
}

/// What a chart that comes meets where it belongs.
struct Known {
    place: Place,
    /// Why its version was yanked, if it was.
    yanked: Option<String>,
}

enum Place {
    /// Nothing, or what it may take the place of.
    Open(Terms),
    /// All of it.
    Same(RepositoryId, Box<Chart>),
    /// The chart, to which its provenance is to be added.
    Unsigned(RepositoryId, Box<Chart>, Bytes),
}

/// The terms on which the caller may enter what has come, and whether the project lets versions be replaced.
///
/// By force they allow what the project allows, whatever is there now: something else may be there by the time it counts.
async fn terms(stores: &Stores, granted: &Granted<Op>, name: &RepositoryName, force: bool) -> Result<(Terms, bool)> {
    let may_overwrite = granted.may(access(name, Action::Overwrite)).await?;
    let mutable = mutable_versions(stores, name).await?;
    let over = match (force, mutable, may_overwrite) {
        (true, true, true) => Over::Anything,
        _ => Over::Same,
    };
    Ok((Terms { over, may_overwrite }, mutable))
}

/// Whether the project of the repository lets versions be replaced.
pub(super) async fn mutable_versions(stores: &Stores, name: &RepositoryName) -> Result<bool> {
    let project = stores.catalog.project(name.project_name()).await?;
    Ok(project.is_some_and(|project| project.mutable_versions))
}

/// Looks at what is there. What the catalog would refuse is refused before anything is stored.
async fn meet(stores: &Stores, granted: &Granted<Op>, name: &RepositoryName, received: &Received) -> Result<Known> {
    let open = |terms: Terms, yanked: Option<String>| Known {
        place: Place::Open(terms),
        yanked,
    };
    let Some(repository) = stores.catalog.repository(name.clone()).await? else {
        let terms = match received.force {
            true => terms(stores, granted, name, true).await?.0,
            false => Terms::default(),
        };
        return Ok(open(terms, None));
    };
    if repository.format != StorageFormat::Oci {
        let sentence = format!("{name} is a repository of another format ({})", repository.format.as_str());
        return Err(Error::new(ErrorKind::Conflict, What::Repository, sentence));
    }
    let Inspected { metadata, digest, .. } = &received.chart;
    let (terms, mutable) = terms(stores, granted, name, received.force).await?;
    let Some(known) = stores.catalog.chart_version(repository.id, metadata.tag()?).await? else {
        return Ok(open(terms, None));
    };
    let (live, chart) = (known.live, known.chart);
    let vouched = (&received.provenance, chart.provenance);
    let differs = match vouched {
        _ if chart.content != *digest => Some(format!("other content ({})", chart.content)),
        (Some(new), Some(old)) if live && Digest::sha256(new) != old => Some("another provenance".to_owned()),
        _ => None,
    };
    if let Some(other) = differs {
        // The content is the same, and what vouches for it has a road of its own.
        let signature = chart.content == *digest;
        let (kind, rest) = match (received.force, mutable, terms.may_overwrite) {
            (_, false, _) if signature => (
                ErrorKind::Conflict,
                "which changes only by force and by itself, as api/prov?force takes it",
            ),
            (true, true, true) => return Ok(open(terms, chart.yanked)),
            (true, true, false) => (ErrorKind::Denied, "which you may not replace"),
            (true, false, _) => (
                ErrorKind::Conflict,
                "and a version never changes, not even by force; publish a new one",
            ),
            (false, true, _) => (
                ErrorKind::Conflict,
                "and a version changes only by force (?force); better publish a new one",
            ),
            (false, false, _) => (ErrorKind::Conflict, "and a version never changes; publish a new one"),
        };
        let sentence = format!("{} {} was published with {other}, {rest}", metadata.name, metadata.version);
        return Err(Error::new(kind, What::Tag, sentence));
    }
    let yanked = chart.yanked.clone();
    let place = match vouched {
        _ if !live => Place::Open(terms),
        (Some(provenance), None) => Place::Unsigned(repository.id, Box::new(chart), provenance.clone()),
        _ => Place::Same(repository.id, Box::new(chart)),
    };
    Ok(Known { place, yanked })
}

/// Makes an artifact of it.
async fn publish(
    stores: &Stores,
    granted: &Granted<Op>,
    mut writing: Writing,
    name: &RepositoryName,
    received: &Received,
    terms: Terms,
) -> Result<()> {
    let chart = &received.chart;
    let (by, owner) = (granted.by(), granted.principal().account);
    writing.settle(Home::ToBeMade {
        name: name.clone(),
        format: StorageFormat::Oci,
        owner,
    });
    writing.finish(&chart.digest).await?;
    let repository = stores
        .catalog
        .ensure_repository(name.clone(), StorageFormat::Oci, owner, by.clone())
        .await?
        .id;
    enter(stores, granted, repository, received, terms).await
}

/// Enters an artifact of a chart whose archive is in the repository, under the tag of its version.
pub(super) async fn enter(
    stores: &Stores,
    granted: &Granted<Op>,
    repository: RepositoryId,
    received: &Received,
    terms: Terms,
) -> Result<()> {
    let (chart, by) = (&received.chart, granted.by());
    let config = Bytes::from(chart.metadata.to_json());
    store(stores, granted, repository, config.clone()).await?;
    if let Some(provenance) = &received.provenance {
        store(stores, granted, repository, provenance.clone()).await?;
    }
    let signed = received.provenance.as_ref();
    let signed = signed.map(|bytes| (Digest::sha256(bytes), bytes.len() as u64));
    let manifest = manifest(chart, &config, signed);
    let provenance = received.provenance.as_deref().map(Digest::sha256);
    let facts = chart.facts(provenance)?;
    let new = NewManifest {
        tags: vec![facts.tag.clone()],
        chart: Some(NewChart::Listed(Box::new(facts))),
        over: terms.over,
        may_overwrite: terms.may_overwrite,
        ..made_here(repository, manifest.into(), by, &stores.limits)?
    };
    stores.catalog.put_manifest(new).await.map(drop)
}

/// Stores a few bytes as a blob.
pub(super) async fn store(stores: &Stores, granted: &Granted<Op>, repository: RepositoryId, bytes: Bytes) -> Result<()> {
    let digest = Digest::sha256(&bytes);
    let mut writing = stores.uploads.single(repository, granted.by(), Algorithm::Sha256).await?;
    match writing.write(bytes).await {
        Ok(()) => writing.finish(&digest).await.map(drop),
        Err(error) => {
            writing.give_up().await?;
            Err(error)
        }
    }
}

/// The digest of the manifest that was made here for a chart with a provenance of this digest and size, or without any.
pub(super) fn made_of(chart: &Inspected, provenance: Option<(Digest, u64)>) -> Digest {
    let config = chart.metadata.to_json();
    Digest::sha256(manifest(chart, config.as_bytes(), provenance).as_bytes())
}

/// The manifest that stands for a chart: the same for the same archive, wherever and whenever it is made.
fn manifest(chart: &Inspected, config: &[u8], provenance: Option<(Digest, u64)>) -> String {
    let described =
        |media_type: &str, digest: Digest, size: u64| json!({"mediaType": media_type, "digest": digest.to_string(), "size": size});
    let mut layers = vec![described(CONTENT, chart.digest, chart.size)];
    if let Some((digest, size)) = provenance {
        layers.push(described(PROVENANCE, digest, size));
    }
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described(CONFIG, Digest::sha256(config), config.len() as u64),
        "layers": layers,
        "annotations": annotations(&chart.metadata, chart.modified),
    })
    .to_string()
}

fn annotations(metadata: &Metadata, modified: i64) -> Value {
    let mut all = json!({
        "org.opencontainers.image.created": rfc3339(modified.saturating_mul(1000)),
        "org.opencontainers.image.title": metadata.name,
        "org.opencontainers.image.version": metadata.version,
    });
    if !metadata.description.is_empty() {
        all["org.opencontainers.image.description"] = json!(metadata.description);
    }
    all
}
