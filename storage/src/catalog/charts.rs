//! Charts, as plain values: what a manifest says of the chart that it holds, and what a chart repository lists.

use crate::clock::Millis;
use crate::digest::Digest;
use crate::label::Labels;
use crate::name::{RepositoryName, Tag};
use std::sync::Arc;

/// What is known of the chart in a new manifest that says it holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewChart {
    /// It is what it says, and its name is the repository's: listed under the tag of its version.
    Listed(Box<ChartFacts>),
    /// It is kept as any other artifact, and in no chart repository, for this reason.
    Unlisted(String),
}

impl NewChart {
    /// What is known of it, when it can be listed.
    pub fn facts(&self) -> Option<&ChartFacts> {
        match self {
            Self::Listed(facts) => Some(facts.as_ref()),
            Self::Unlisted(_) => None,
        }
    }
}

/// What a chart's archive says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartFacts {
    /// Its name: the last segment of the repository's.
    pub name: String,
    /// Its version, as written.
    pub version: String,
    /// The version as a tag.
    pub tag: Tag,
    /// The digest of its archive.
    pub content: Digest,
    /// Bytes of the archive.
    pub content_size: u64,
    /// The digest of its provenance.
    pub provenance: Option<Digest>,
    /// Chart.yaml as a JSON object, in the fields that clients know.
    pub metadata: String,
    /// What its annotations say of it, as labels of its version: every key begins with [`CHART_LABELS`].
    pub labels: Labels,
    /// The images that it says it runs, in its order.
    pub images: Vec<ChartImage>,
}

/// What the keys of the labels begin with that come from a chart's annotations; any other label of a version is not theirs.
pub const CHART_LABELS: &str = "artifacthub.io/";

/// An image that a chart says it runs. A statement of the chart's: it holds nothing alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartImage {
    /// What the chart calls it; empty when it has no name for it.
    pub name: String,
    /// The reference as the chart has it.
    pub image: String,
    /// The registry that it names; it and what follows are `None` where the reference cannot be read.
    pub registry: Option<String>,
    /// The repository there.
    pub path: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
    /// The repository here that the reference names; `None` when it names another registry.
    pub target: Option<RepositoryName>,
}

/// An image that a chart says it runs, and what of it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartImageView {
    /// What the chart says.
    pub image: ChartImage,
    /// The manifest that the reference leads to now: in the repository here that it names, or, where it names a digest,
    /// the same content anywhere. `None` where nothing of that can be seen.
    pub here: Option<(RepositoryName, Digest)>,
}

/// The `artifacthub-repo.yml` of a chart repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The file, verbatim.
    pub content: Vec<u8>,
    /// When it was last changed.
    pub updated_at: Millis,
    /// By whom.
    pub updated_by: Arc<str>,
}

impl ChartFacts {
    /// The name of its file in a chart repository. Made here alone, and looked up ever after: it cannot be taken apart.
    pub fn file(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }
}

/// A chart as a chart repository lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// Its version, as written.
    pub version: String,
    /// The name of its file.
    pub file: String,
    /// The digest of its archive.
    pub content: Digest,
    /// Bytes of the archive.
    pub content_size: u64,
    /// The digest of its provenance.
    pub provenance: Option<Digest>,
    /// Chart.yaml as a JSON object.
    pub metadata: String,
    /// When it was pushed.
    pub created_at: Millis,
}

/// The chart that a tag is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartVersion {
    /// The chart.
    pub chart: Chart,
    /// Whether it is listed; otherwise it has been deleted.
    pub live: bool,
}

/// What is listed directly under a prefix, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartsUnder {
    /// Grows with every change; 0 when there never was any.
    pub generation: i64,
    /// When the last change was.
    pub at: Millis,
    /// The names of the charts that `charts` tells all about, or `None` for every name.
    pub changed: Option<Vec<String>>,
    /// The charts of these names, in no particular order.
    pub charts: Vec<Chart>,
}
