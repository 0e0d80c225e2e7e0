//! A gate that decides as the test says, and remembers what it was asked.

use crate::gate::{Gate, Held, Needs, Rights};
use async_trait::async_trait;
use granary_storage::access::{Principal, Visible};
use granary_storage::catalog::{FileView, ManifestView, Repository};
use granary_storage::{Digest, Error, ErrorKind, Result, What};
use std::sync::Mutex;

/// What the client reads of a refusal, and what only the log may show.
pub(crate) const SENTENCE: &str = "the sentence for the client";
pub(crate) const CAUSE: &str = "the cause, for the operator alone";

/// Grants everything, unless told otherwise.
pub(crate) struct FakeGate {
    /// Refuses every operation so.
    refusal: Option<(ErrorKind, What)>,
    /// Refuses so whatever names its repository.
    refusal_once_known: Option<(ErrorKind, What)>,
    /// What it says of every optional access.
    held: Held,
    visible: Visible,
    /// Warnings of admission, or the sentence with which it blocks.
    admission: Result<Vec<String>, &'static str>,
    /// What it was asked to authorize.
    pub(crate) asked: Mutex<Vec<Needs>>,
    /// What it was asked to admit.
    pub(crate) admitted: Mutex<Vec<(String, Digest)>>,
}

impl FakeGate {
    /// Grants everything.
    pub(crate) fn open() -> Self {
        Self {
            refusal: None,
            refusal_once_known: None,
            held: Held::Yes,
            visible: Visible {
                projects: None,
                public: true,
                only: None,
            },
            admission: Ok(Vec::new()),
            asked: Mutex::default(),
            admitted: Mutex::default(),
        }
    }

    /// Grants nothing.
    pub(crate) fn refusing(kind: ErrorKind, what: What) -> Self {
        Self {
            refusal: Some((kind, what)),
            ..Self::open()
        }
    }

    /// Grants what is about a prefix, and nothing that names its repository.
    pub(crate) fn refusing_once_known(self, kind: ErrorKind, what: What) -> Self {
        Self {
            refusal_once_known: Some((kind, what)),
            ..self
        }
    }

    /// Grants what is required, and says this of what is optional.
    pub(crate) fn holding(held: Held) -> Self {
        Self { held, ..Self::open() }
    }

    /// Grants everything, and shows this much across repositories.
    pub(crate) fn showing(visible: Visible) -> Self {
        Self { visible, ..Self::open() }
    }

    /// Admits with these warnings.
    pub(crate) fn warning(texts: &[&str]) -> Self {
        Self {
            admission: Ok(texts.iter().map(ToString::to_string).collect()),
            ..Self::open()
        }
    }

    fn answer(&self, repository: &Repository, digest: Digest, what: What) -> Result<Vec<String>> {
        self.admitted.lock().unwrap().push((repository.name.to_string(), digest));
        self.admission
            .clone()
            .map_err(|sentence| Error::new(ErrorKind::Blocked, what, sentence).because(CAUSE))
    }

    /// Admits nothing.
    pub(crate) fn blocking(sentence: &'static str) -> Self {
        Self {
            admission: Err(sentence),
            ..Self::open()
        }
    }
}

#[async_trait]
impl Gate for FakeGate {
    async fn authorize(&self, _: &Principal, needs: &Needs) -> Result<Rights> {
        self.asked.lock().unwrap().push(needs.clone());
        let known = matches!(needs, Needs::Access { .. });
        if let Some((kind, what)) = self.refusal.or(self.refusal_once_known.filter(|_| known)) {
            return Err(Error::new(kind, what, SENTENCE).because(CAUSE));
        }
        let optional = match needs {
            Needs::Access { optional, .. } => optional.len(),
            Needs::Login | Needs::Listing | Needs::Under { .. } => 0,
        };
        // As a real gate: nothing is shown across repositories to an operation that did not ask for it.
        let across = matches!(needs, Needs::Listing | Needs::Under { .. } | Needs::Access { across: true, .. });
        Ok(Rights {
            optional: vec![self.held; optional],
            visible: if across { self.visible.clone() } else { Visible::NOTHING },
        })
    }

    async fn admit(&self, _: &Principal, repository: &Repository, manifest: &ManifestView) -> Result<Vec<String>> {
        self.answer(repository, manifest.digest, What::Manifest)
    }

    async fn admit_file(&self, _: &Principal, repository: &Repository, file: &FileView) -> Result<Vec<String>> {
        self.answer(repository, file.blob.digest, What::File)
    }
}
