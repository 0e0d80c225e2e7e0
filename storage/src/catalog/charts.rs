//! Charts, as plain values: what a manifest says of the chart that it holds, and what a chart repository lists.

use super::model::RepositoryId;
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

/// What a new manifest may take the place of, where its tag is that of a published chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// The same archive, with the same provenance or with more of it than before.
    #[default]
    Same,
    /// Any other chart, where the project lets versions be replaced.
    Anything,
    /// This manifest alone, with this provenance, and only while nothing refers to it.
    Unreferred {
        /// The manifest.
        manifest: Digest,
        /// The provenance whose place the new one takes; `None` where the chart had none.
        provenance: Option<Digest>,
    },
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
    /// Why its version was yanked: it can be fetched and is listed nowhere. Empty where nobody said why.
    pub yanked: Option<String>,
    /// Whether its version is deprecated, whatever its archive says.
    pub deprecated: bool,
}

/// The chart that a tag is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartVersion {
    /// The chart.
    pub chart: Chart,
    /// Whether it is there; otherwise it has been deleted.
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

/// What is to be said of a chart's version.
#[derive(Clone, Debug)]
pub struct MarkChart {
    /// The repository.
    pub repository: RepositoryId,
    /// The version, as written.
    pub version: String,
    /// The version as a tag.
    pub tag: Tag,
    /// Whether it is listed.
    pub yank: Option<Yank>,
    /// Whether it is deprecated.
    pub deprecated: Option<bool>,
    /// The principal's name.
    pub by: Arc<str>,
}

/// Taking a version from every list, or putting it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yank {
    /// It is listed no more, for this reason; empty where none is given.
    Because(String),
    /// It is listed again.
    Undo,
}

/// A provenance that came after the chart that it is about, and that is kept beside the chart's manifest.
#[derive(Clone, Debug)]
pub struct LateProvenance {
    /// The repository. It links the provenance.
    pub repository: RepositoryId,
    /// The version as a tag.
    pub tag: Tag,
    /// The chart's manifest.
    pub chart: Digest,
    /// The provenance.
    pub provenance: Digest,
    /// The provenance whose place it takes, which the chart must have still; `None` where it had none.
    pub over: Option<Digest>,
    /// The principal's name.
    pub by: Arc<str>,
}

/// Where a page of what is not listed begins: behind this repository's manifest of this digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AfterUnlisted {
    /// The repository's name.
    pub repository: String,
    /// The digest.
    pub digest: String,
}

/// A manifest that says it holds a chart and that its chart repository does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlistedChart {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The tags that point at it, as many of them as one answer tells.
    pub tags: Vec<String>,
    /// Why it is not listed.
    pub why: WhyUnlisted,
}

/// Why a chart is not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyUnlisted {
    /// What it says and what it is do not agree, as this sentence tells.
    Disagrees(String),
    /// No tag that points at it is that of its version.
    Untagged {
        /// Its version, as written.
        version: String,
        /// That version as a tag.
        tag: String,
    },
    /// Its version was yanked.
    Yanked {
        /// The version, as written.
        version: String,
        /// Why; empty where nobody said it.
        reason: String,
    },
}
