//! The one road of every request to a format: parse → authorize → resolve → admit →
//! serve → render. Access is decided here, before a byte of the body is read.

use crate::gate::{Gate, Held, Needs, Rights};
use crate::handler::{Body, Challenge, FormatHandler, Head, Operation, Reply, ReplyBody};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use granary_storage::access::{Access, Action, Actions, Principal, Visible};
use granary_storage::blob::ByteStream;
use granary_storage::catalog::{AccountId, Catalog, Chart, FileView, Holder, ManifestView, Repository, StorageFormat, TusUpload};
use granary_storage::name::Reference;
use granary_storage::{Error, ErrorKind, Result, Stores, What};
use http::HeaderName;
use std::sync::Arc;

/// An operation that may run, with who runs it and what was looked up on the way.
///
/// Only the dispatch makes one; a format that holds it has been through the gate.
pub struct Granted<Op> {
    gate: Arc<dyn Gate>,
    needs: Needs,
    op: Op,
    principal: Principal,
    rights: Rights,
    repository: Option<Repository>,
    manifest: Option<ManifestView>,
    file: Option<FileView>,
    chart: Option<Chart>,
    upload: Option<TusUpload>,
}

impl<Op> Granted<Op> {
    /// The operation.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// Who runs it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The name under which it is recorded.
    pub fn by(&self) -> Arc<str> {
        self.principal.name.clone()
    }

    /// Whether the optional access number `index` of the operation's needs is held.
    pub fn optional(&self, index: usize) -> Held {
        self.rights.optional.get(index).copied().unwrap_or(Held::No)
    }

    /// What the principal may see across repositories.
    pub fn visible(&self) -> &Visible {
        &self.rights.visible
    }

    /// The repository that the operation names, if it exists.
    pub fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// The repository that the operation names.
    ///
    /// # Errors
    /// `NotFound`/`Repository` when it does not exist.
    pub fn existing_repository(&self) -> Result<&Repository> {
        self.repository
            .as_ref()
            .ok_or_else(|| Error::not_found(What::Repository, "there is no such repository"))
    }

    /// The manifest that the operation serves, resolved once.
    ///
    /// # Errors
    /// `NotFound`/`Manifest` when there is none.
    pub fn manifest(&self) -> Result<&ManifestView> {
        self.manifest
            .as_ref()
            .ok_or_else(|| Error::not_found(What::Manifest, "there is no such manifest in this repository"))
    }

    /// The file that the operation serves, or the archive that it would be in, resolved once; `None` when there is none.
    pub fn file(&self) -> Option<&FileView> {
        self.file.as_ref()
    }

    /// Asks the gate once more, for an operation that is about to make what was not there when it was first asked:
    /// somebody else may have made it meanwhile, and it is theirs.
    ///
    /// # Errors
    /// Those of [`Gate::authorize`].
    pub async fn confirm(&self) -> Result<()> {
        self.gate.authorize(&self.principal, &self.needs).await.map(drop)
    }

    /// The same, for an operation that took its time: whether the optional access number `index` is held by now.
    ///
    /// # Errors
    /// Those of [`Gate::authorize`], when what is required is not held any more.
    pub async fn still_holds(&self, index: usize) -> Result<Held> {
        let rights = self.gate.authorize(&self.principal, &self.needs).await?;
        Ok(rights.optional.get(index).copied().unwrap_or(Held::No))
    }

    /// The upload that the operation goes on with, found once.
    ///
    /// # Errors
    /// `NotFound`/`Upload` when it names none.
    pub fn upload(&self) -> Result<&TusUpload> {
        self.upload.as_ref().ok_or_else(granary_storage::upload::unknown)
    }

    /// The chart whose file the operation serves, found once; `None` when there is none.
    pub fn chart(&self) -> Option<&Chart> {
        self.chart.as_ref()
    }

    /// Asks the gate about a repository that only the body named, before anything of it is stored.
    ///
    /// # Errors
    /// Those of [`Gate::authorize`].
    pub async fn allow(&self, access: Access) -> Result<()> {
        self.gate.authorize(&self.principal, &Needs::one(access)).await.map(drop)
    }

    /// Whether the principal holds an access that only the body told of: one that widens what may be done.
    ///
    /// # Errors
    /// Those of [`Gate::authorize`].
    pub async fn may(&self, access: Access) -> Result<bool> {
        let needs = Needs::Access {
            required: Vec::new(),
            optional: vec![access],
            across: false,
        };
        let rights = self.gate.authorize(&self.principal, &needs).await?;
        Ok(rights.optional.first() == Some(&Held::Yes))
    }

    /// Whether the bytes of one more file of the repository may go out; gives the warnings to send along.
    ///
    /// # Errors
    /// `Blocked` with the sentence of the policy, `NotFound`/`Repository`.
    pub async fn admit_file(&self, file: &FileView) -> Result<Vec<String>> {
        let repository = self.existing_repository()?;
        self.gate.admit_file(&self.principal, repository, file).await
    }

    /// Whether the bytes of something that lies elsewhere may go out to this principal now.
    ///
    /// # Errors
    /// Those of catalog and gate, a policy's refusal not among them.
    pub async fn admits(&self, catalog: &Catalog, holder: &Holder) -> Result<bool> {
        let Holder {
            repository,
            artifact,
            path,
        } = holder;
        let admitted = match path {
            Some(path) => match catalog.file(repository.id, path.clone()).await? {
                Some(file) if file.blob.digest == *artifact && !file.damaged => {
                    self.gate.admit_file(&self.principal, repository, &file).await
                }
                _ => return Ok(false),
            },
            None => match catalog.manifest(repository.id, Reference::Digest(*artifact)).await? {
                Some(manifest) => self.gate.admit(&self.principal, repository, &manifest).await,
                None => return Ok(false),
            },
        };
        match admitted {
            Err(error) if error.kind() == ErrorKind::Blocked => Ok(false),
            admitted => admitted.map(|_| true),
        }
    }

    /// Asks the policies about one more manifest whose content goes out; gives the warnings to send along.
    ///
    /// # Errors
    /// Those of [`Gate::admit`].
    pub async fn admit(&self, repository: &Repository, manifest: &ManifestView) -> Result<Vec<String>> {
        self.gate.admit(&self.principal, repository, manifest).await
    }

    /// The operation, by value.
    pub fn into_op(self) -> Op {
        self.op
    }
}

/// Who calls, as far as the server could tell before the operation is known.
pub struct Caller {
    /// The principal, or why the credentials do not hold.
    pub principal: Result<Principal>,
    /// `scheme://host[:port]` as the client knows this server; for challenges.
    pub origin: String,
    /// What the answer calls this request, so that the log can be searched for it.
    pub request: String,
}

/// What dispatch needs besides the request.
pub struct Dispatch {
    /// Decides.
    pub gate: Arc<dyn Gate>,
    /// The stores.
    pub stores: Stores,
    /// The fixed name of the service that tokens are for.
    pub service: String,
}

/// A format without its types, as the registry of formats keeps it.
#[async_trait(?Send)]
pub(crate) trait Mounted: Send + Sync {
    fn name(&self) -> &'static str;
    fn mount(&self) -> &'static str;
    async fn dispatch(&self, cx: &Dispatch, caller: Caller, head: Head<'_>, body: Body) -> Reply;
}

#[async_trait(?Send)]
impl<F: FormatHandler> Mounted for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn mount(&self) -> &'static str {
        F::MOUNT
    }

    async fn dispatch(&self, cx: &Dispatch, caller: Caller, head: Head<'_>, body: Body) -> Reply {
        let Caller {
            principal,
            origin,
            request,
        } = caller;
        let mut scope = String::new();
        let outcome = async {
            head.check_headers()?;
            let op = self.parse(&head, &cx.stores)?;
            let needs = op.needs();
            let principal = principal.inspect_err(|_| scope = scope_of(&needs))?;
            let authorized = cx.gate.authorize(&principal, &needs).await;
            let mut rights = authorized.inspect_err(|_| scope = scope_of(&needs))?;
            let mut needs = needs;
            let upload = upload(cx, &op, &principal).await?;
            if let Some(upload) = &upload {
                needs = Needs::to_store(&upload.repository_name, false);
                let authorized = cx.gate.authorize(&principal, &needs).await;
                rights = authorized.inspect_err(|_| scope = scope_of(&needs))?;
            }
            let reader = principal.account;
            let (granted, warnings) = resolve(cx, F::STORES, op, needs.clone(), principal, rights, upload).await?;
            // Widening a token is the one refusal that an operation itself can find (a mount).
            let reply = self.serve(&cx.stores, granted, body).await.inspect_err(|error| {
                if error.kind() == ErrorKind::Unauthenticated {
                    scope = scope_of(&needs);
                }
            })?;
            let reply = counted(&cx.stores, reader, reply)?;
            Ok::<_, Error>(
                warnings
                    .into_iter()
                    .fold(reply, |reply, text| reply.header(WARNING, warning(&text))),
            )
        }
        .await;
        match outcome {
            Ok(reply) => reply,
            Err(error) => {
                log::<F>(&request, &head, &error);
                self.render_error(
                    &error,
                    &Challenge {
                        origin,
                        service: cx.service.clone(),
                        scope,
                    },
                )
            }
        }
    }
}

/// Bytes of an answer that go out at a time.
const SLICE: usize = 64 * 1024;

/// Lets a large reply be one of the downloads under way until it is out. What is at hand goes out in slices, so that the
/// connection does not hold all of it a second time.
fn counted(stores: &Stores, reader: Option<AccountId>, mut reply: Reply) -> Result<Reply> {
    let (len, stream, held) = match reply.body {
        ReplyBody::Stream { len, piece, stream } => (Some(len), stream, piece),
        ReplyBody::Unsized { stream } => (None, stream, 1),
        ReplyBody::Bytes(bytes) if bytes.len() > SLICE => (Some(bytes.len() as u64), slices(bytes.clone()), bytes.len() as u64),
        small => {
            reply.body = small;
            return Ok(reply);
        }
    };
    let download = stores.downloads.begin(reader, held)?;
    let stream = stream.inspect(move |_| {
        let _until_the_end = &download;
    });
    let stream: ByteStream = Box::pin(stream);
    reply.body = match len {
        Some(len) => ReplyBody::stream(len, stream),
        None => ReplyBody::Unsized { stream },
    };
    Ok(reply)
}

fn slices(bytes: Bytes) -> ByteStream {
    Box::pin(stream::unfold(bytes, |mut rest| async move {
        let next = rest.split_to(rest.len().min(SLICE));
        (!next.is_empty()).then_some((Ok(next), rest))
    }))
}

/// The upload that an operation goes on with. It is known to its principal alone, whatever others may do where it goes.
async fn upload<Op: Operation>(cx: &Dispatch, op: &Op, principal: &Principal) -> Result<Option<TusUpload>> {
    let Some(id) = op.goes_on_with() else { return Ok(None) };
    let found = cx.stores.catalog.tus_upload(id, principal.name.clone()).await?;
    found.ok_or_else(granary_storage::upload::unknown).map(Some)
}

async fn resolve<Op: Operation>(
    cx: &Dispatch,
    stores: StorageFormat,
    op: Op,
    needs: Needs,
    principal: Principal,
    rights: Rights,
    upload: Option<TusUpload>,
) -> Result<(Granted<Op>, Vec<String>)> {
    let catalog = &cx.stores.catalog;
    let (mut repository, mut chart) = (None, None);
    if let Some(name) = upload.as_ref().map(|upload| &upload.repository_name).or(op.repository()) {
        repository = own(catalog.repository(name.clone()).await?, stores, &needs)?;
    }
    if let Some((prefix, file)) = op.finds() {
        let found = catalog.chart_by_file(prefix.clone(), file.to_owned(), rights.visible.clone());
        (repository, chart) = found.await?.unzip();
    }
    let reference = op.serves().cloned();
    let reference = reference.or_else(|| chart.as_ref().map(|chart: &Chart| Reference::Digest(chart.digest)));
    let manifest = match (&repository, reference) {
        (Some(repository), Some(reference)) => catalog.manifest(repository.id, reference).await?,
        _ => None,
    };
    // Told of what only shows headers, too: a version that was withdrawn is no secret to who knows its name.
    let yank = manifest.as_ref().and_then(|manifest| manifest.yanked.as_deref());
    let mut warnings: Vec<String> = yank.map(yanked).into_iter().collect();
    if let (Some(repository), Some(manifest), false) = (&repository, &manifest, op.metadata_only()) {
        warnings.extend(cx.gate.admit(&principal, repository, manifest).await?);
    }
    let mut file = None;
    for path in [op.serves_file(), op.serves_within()].into_iter().flatten() {
        if let (Some(repository), None) = (&repository, &file) {
            file = catalog.file(repository.id, path.clone()).await?;
        }
    }
    if let (Some(repository), Some(file), false) = (&repository, &file, op.metadata_only()) {
        warnings.extend(cx.gate.admit_file(&principal, repository, file).await?);
    }
    Ok((
        Granted {
            gate: cx.gate.clone(),
            needs,
            op,
            principal,
            rights,
            repository,
            manifest,
            file,
            chart,
            upload,
        },
        warnings,
    ))
}

/// The repository, unless it holds something else than the format that was asked for it. Nothing of it can be read
/// or removed so; what would be added to it stands against what is there.
fn own(found: Option<Repository>, stores: StorageFormat, needs: &Needs) -> Result<Option<Repository>> {
    let Some(other) = found.as_ref().filter(|found| found.format != stores) else {
        return Ok(found);
    };
    let adds = match needs {
        Needs::Access { required, .. } => required.iter().any(|access| access.actions.contains(Action::Create.into())),
        Needs::Login | Needs::Listing | Needs::Under { .. } => false,
    };
    if adds {
        let sentence = format!("{} is a repository of another format ({})", other.name, other.format.as_str());
        return Err(Error::new(ErrorKind::Conflict, What::Repository, sentence));
    }
    Ok(None)
}

/// The scopes that would satisfy `needs`, in the grammar of the token endpoint.
fn scope_of(needs: &Needs) -> String {
    match needs {
        // No token names a prefix; clients of such operations send their password.
        Needs::Login | Needs::Under { .. } => String::new(),
        Needs::Listing => "registry:catalog:*".into(),
        Needs::Access { required, optional, .. } => {
            let mut merged: Vec<Access> = Vec::new();
            for access in required.iter().chain(optional) {
                let mut actions = access.actions;
                // Who pushes also looks at what is there: clients expect the two together and would ask again.
                if !(actions & Actions::PUSH).is_empty() {
                    actions = actions | Actions::PULL;
                }
                match merged.iter_mut().find(|known| known.repository == access.repository) {
                    Some(known) => known.actions = known.actions | actions,
                    None => merged.push(Access { actions, ..access.clone() }),
                }
            }
            let scopes = merged.iter().map(|access| {
                let words: Vec<_> = access.actions.scope_words().collect();
                format!("repository:{}:{}", access.repository, words.join(","))
            });
            scopes.collect::<Vec<_>>().join(" ")
        }
    }
}

/// What who fetches a yanked version should hear.
pub(crate) fn yanked(reason: &str) -> String {
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("this version was yanked{why}")
}

/// The header that carries a [`warning`].
pub(crate) const WARNING: HeaderName = HeaderName::from_static("warning");

/// `299 - "text"` (RFC 7234 §5.5). The text is a quoted string (RFC 9110 §5.6.4): quotes and backslashes are escaped, and
/// what is not printable ASCII is a question mark, for no client agrees with another on what else it could be.
pub(crate) fn warning(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars().take(1024) {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    format!("299 - \"{quoted}\"")
}

fn log<F: FormatHandler>(id: &str, head: &Head<'_>, error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let (format, mount, method, path) = (F::NAME, F::MOUNT, head.method.as_str(), head.path);
    match error.kind() {
        // A limit that holds is no failure, and a flood must not flood the log; the metrics count it.
        ErrorKind::Unavailable if error.what() == What::Request => {
            tracing::debug!(
                id,
                format,
                method,
                path = format_args!("{mount}{path}"),
                "request turned away: {error}"
            );
        }
        ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::StorageFull | ErrorKind::Unavailable => {
            tracing::error!(id, format, method, path = format_args!("{mount}{path}"), kind = ?error.kind(), what = ?error.what(), cause, "request failed: {error}");
        }
        _ => {
            tracing::debug!(id, format, method, path = format_args!("{mount}{path}"), kind = ?error.kind(), what = ?error.what(), cause, "request refused: {error}");
        }
    }
}
