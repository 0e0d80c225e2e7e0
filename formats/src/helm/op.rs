//! What a client of a chart repository can ask for, typed. How a request becomes one is `parse.rs`.

use super::chart::Part;
use super::coding::Coding;
use super::diff::Form;
use crate::conditions::ReadConditions;
use crate::gate::Needs;
use crate::handler::Operation;
use crate::paging;
use granary_storage::Digest;
use granary_storage::access::{Access, Action, Actions};
use granary_storage::name::{Reference, RepositoryName, Tag};
use granary_storage::prefix::Prefix;

/// How an upload comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// `Content-Length`.
    pub length: Option<u64>,
    /// The boundary of a form; the body is the archive itself without one.
    pub boundary: Option<String>,
    /// The digest that the archive must have.
    pub promised: Option<Digest>,
    /// The name that its file must have.
    pub file: Option<String>,
    /// Whether another chart of this version, or another provenance of it, is to be replaced, as the client would have it.
    pub force: bool,
}

/// Which charts of a list are wanted, by the order of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many are passed over.
    pub offset: usize,
    /// How many at most.
    pub limit: Option<usize>,
}

/// The operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `GET index.yaml`, and `index.json`.
    Index {
        /// Of what type the answer says it is: both are the same JSON, which is YAML too.
        media_type: &'static str,
        /// How the client would like it compressed.
        coding: Option<Coding>,
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `GET charts/<file>.tgz`, and `.tgz.prov`.
    ReadFile {
        /// The name of the archive's file.
        file: String,
        /// Whether it is the provenance that is wanted.
        provenance: bool,
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `POST api/charts`, and `PUT charts/<file>.tgz`.
    Upload(Upload),
    /// `GET api/charts`.
    Charts {
        /// Which of them.
        page: Page,
        /// Whether only the headers are wanted.
        head: bool,
    },
    /// `GET api/charts/<name>`.
    Versions {
        /// The chart's repository.
        repository: RepositoryName,
    },
    /// `GET api/charts/<name>/<version>`.
    Version {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version, as written.
        version: String,
    },
    /// `GET api/charts/<name>/<version>/values`, and the other parts.
    Part {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version, as written.
        version: String,
        /// The tag of the version; none for the latest one, of which only the catalog knows which it is.
        tag: Option<Reference>,
        /// What of the chart.
        part: Part,
        /// Whether only the headers are wanted.
        head: bool,
    },
    /// `GET api/charts/<name>/<version>/images`.
    Images {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version, as written.
        version: String,
    },
    /// `GET api/charts/<name>/<version>/labels`.
    Labels {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version, as written.
        version: String,
    },
    /// `GET api/charts/<name>/<version>/diff/<other>`.
    Diff {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version that it was, as written.
        version: String,
        /// Its tag; none for the latest one, of which only the catalog knows which it is.
        tag: Option<Reference>,
        /// The version that it became, as written.
        other: String,
        /// Its tag, as that of the first.
        other_tag: Option<Reference>,
        /// How the answer is written.
        form: Form,
        /// Whether only the headers are wanted.
        head: bool,
    },
    /// `GET artifacthub-repo.yml`.
    Publisher {
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `PUT artifacthub-repo.yml`.
    PutPublisher {
        /// What stands for the file where access is asked for: it speaks for the whole prefix, so that a right to one of
        /// the charts there is none to it.
        own: RepositoryName,
        /// `Content-Length`.
        length: Option<u64>,
    },
    /// `DELETE artifacthub-repo.yml`.
    DeletePublisher {
        /// As for `PutPublisher`.
        own: RepositoryName,
    },
    /// `POST api/prov`, and `PUT charts/<file>.tgz.prov`.
    Provenance(Upload),
    /// `GET api/unlisted`.
    Unlisted(paging::Page),
    /// `GET health`.
    Health,
    /// `GET info`.
    Info,
    /// `DELETE api/charts/<name>/<version>`.
    Delete {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version, as written.
        version: String,
    },
    /// `PATCH api/charts/<name>/<version>`.
    Mark {
        /// The chart's repository.
        repository: RepositoryName,
        /// The version, as written.
        version: String,
        /// The tag of the version.
        tag: Tag,
        /// `Content-Length`.
        length: Option<u64>,
    },
}

/// An operation and the chart repository it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The prefix whose charts it lists.
    pub prefix: Prefix,
    /// The path of the chart repository: `/helm/acme`, or `/helm` alone for the library.
    pub base: String,
    /// What is asked.
    pub act: Act,
}

impl Operation for Op {
    fn needs(&self) -> Needs {
        let under = |actions: Actions| Needs::Under {
            prefix: self.prefix.clone(),
            actions,
        };
        let of = |repository: &RepositoryName, actions: Actions| {
            Needs::one(Access {
                repository: repository.clone(),
                actions,
            })
        };
        match &self.act {
            Act::Index { .. }
            | Act::ReadFile { .. }
            | Act::Charts { .. }
            | Act::Unlisted(_)
            | Act::Publisher { .. }
            | Act::Health
            | Act::Info => under(Actions::PULL),
            Act::Upload(_) | Act::Provenance(_) => under(Action::Create.into()),
            Act::Versions { repository }
            | Act::Version { repository, .. }
            | Act::Part { repository, .. }
            | Act::Labels { repository, .. }
            | Act::Diff { repository, .. } => of(repository, Actions::PULL),
            // What it runs may lie in any repository.
            Act::Images { repository, .. } => Needs::Access {
                required: vec![Access {
                    repository: repository.clone(),
                    actions: Actions::PULL,
                }],
                optional: Vec::new(),
                across: true,
            },
            Act::PutPublisher { own, .. } | Act::DeletePublisher { own } => of(own, Actions::ALL),
            // Who may take a version away may take it back.
            Act::Delete { repository, .. } | Act::Mark { repository, .. } => of(repository, Actions::DELETE),
        }
    }

    fn repository(&self) -> Option<&RepositoryName> {
        match &self.act {
            Act::Versions { repository }
            | Act::Version { repository, .. }
            | Act::Part { repository, .. }
            | Act::Images { repository, .. }
            | Act::Labels { repository, .. }
            | Act::Diff { repository, .. }
            | Act::Delete { repository, .. }
            | Act::Mark { repository, .. } => Some(repository),
            Act::Index { .. }
            | Act::ReadFile { .. }
            | Act::Upload(_)
            | Act::Provenance(_)
            | Act::Charts { .. }
            | Act::Unlisted(_)
            | Act::Publisher { .. }
            | Act::PutPublisher { .. }
            | Act::DeletePublisher { .. }
            | Act::Health
            | Act::Info => None,
        }
    }

    fn serves(&self) -> Option<&Reference> {
        match &self.act {
            Act::Part { tag, .. } | Act::Diff { tag, .. } => tag.as_ref(),
            _ => None,
        }
    }

    fn finds(&self) -> Option<(&Prefix, &str)> {
        match &self.act {
            Act::ReadFile { file, .. } => Some((&self.prefix, file)),
            _ => None,
        }
    }

    fn metadata_only(&self) -> bool {
        matches!(
            self.act,
            Act::ReadFile { head: true, .. } | Act::Part { head: true, .. } | Act::Diff { head: true, .. }
        )
    }
}
