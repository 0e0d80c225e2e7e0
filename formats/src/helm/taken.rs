//! Whether a new version's tag and file are free. The catalog decides that when the version is entered; it is asked
//! before, so that what it would refuse leaves no bytes and no repository behind.

use super::chart::Metadata;
use granary_storage::access::Visible;
use granary_storage::catalog::{Kind, StorageFormat};
use granary_storage::name::{Reference, RepositoryName};
use granary_storage::prefix::Prefix;
use granary_storage::{Error, ErrorKind, Result, Stores, What};

/// Every repository, whoever asks: a name is taken also by what they may not see.
const ALL: Visible = Visible {
    projects: None,
    public: true,
    only: None,
};

/// Whether a chart may be entered in the repository under its version.
///
/// # Errors
/// `Conflict`/`Tag` when the version is something else than a chart there, or another chart under the prefix has the
/// chart's file; those of the catalog.
pub(super) async fn check(stores: &Stores, name: &RepositoryName, metadata: &Metadata) -> Result<()> {
    let conflict = |sentence: String| Err(Error::new(ErrorKind::Conflict, What::Tag, sentence));
    let file = format!("{}-{}.tgz", metadata.name, metadata.version);
    let (prefix, _) = Prefix::of(name);
    if let Some((holder, chart)) = stores.catalog.chart_by_file(prefix, file.clone(), ALL).await?
        && holder.name != *name
    {
        return conflict(format!("the file {file} is that of the chart {} {}", chart.name, chart.version));
    }
    let Some(repository) = stores.catalog.repository(name.clone()).await? else {
        return Ok(());
    };
    if repository.format != StorageFormat::Oci {
        return Ok(());
    }
    let tag = metadata.tag()?;
    match stores.catalog.manifest(repository.id, Reference::Tag(tag.clone())).await? {
        Some(there) if there.kind != Kind::Chart => conflict(format!(
            "the tag {tag} is an {} here, and a version never becomes anything else; push the chart under another prefix",
            there.kind.as_str()
        )),
        _ => Ok(()),
    }
}
