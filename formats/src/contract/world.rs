//! A registry without a server: the real formats over real stores, behind a gate that
//! the test chooses, and a way to see everything that was stored.

use super::database::{Backend, OwnDatabase};
use super::gate::FakeGate;
use super::request::{Answer, Request};
use crate::dispatch::{Caller, Dispatch};
use crate::gate::Needs;
use crate::handler::{Body, Head, Reply, ReplyBody};
use crate::registry::Registry;
use futures_util::StreamExt as _;
use granary_storage::access::{Principal, Visible};
use granary_storage::blob::{BlobStore as _, MemoryStore, Stored};
use granary_storage::catalog::{Catalog, Event, StorageFormat};
use granary_storage::limits::Limits;
use granary_storage::name::Reference;
use granary_storage::{Result, Stores};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Who records the marks that [`World::events`] reads up to.
const MARKER: &str = "the marker";

/// A store of its own, empty at first.
pub(crate) struct World {
    pub(crate) stores: Stores,
    bytes: MemoryStore,
    /// Last, so that it is dropped after the catalog.
    _database: OwnDatabase,
}

impl World {
    pub(crate) fn new(backend: Backend) -> Self {
        let database = backend.database();
        let bytes = MemoryStore::default();
        let catalog = Catalog::open(&database.at, 2).unwrap();
        Self {
            stores: Stores::new(Arc::new(bytes.clone()), catalog, Limits::default()),
            bytes,
            _database: database,
        }
    }

    /// The way in behind a gate.
    pub(crate) fn behind(&self, gate: FakeGate) -> Door {
        self.limited(gate, Limits::default())
    }

    /// The way in behind a gate that grants everything.
    pub(crate) fn open(&self) -> Door {
        self.behind(FakeGate::open())
    }

    /// The way in behind a gate that grants everything, to a registry that its users know by name.
    pub(crate) fn known_as(&self, host: &str) -> Door {
        self.open().known_as(host)
    }

    /// The same stores with other limits.
    pub(crate) fn limited(&self, gate: FakeGate, limits: Limits) -> Door {
        let gate = Arc::new(gate);
        Door {
            dispatch: Dispatch {
                gate: gate.clone(),
                stores: Stores::new(Arc::new(self.bytes.clone()), self.stores.catalog.clone(), limits),
                service: "granary".into(),
            },
            gate,
            formats: crate::formats(),
        }
    }

    /// Everything that was ever recorded.
    pub(crate) async fn events(&self) -> Vec<Event> {
        // The log shows an event only when no open transaction can still slip in front of it, and on PostgreSQL
        // any transaction of the server counts. So a mark is made, and the log read once the mark is there.
        let catalog = &self.stores.catalog;
        let mark = format!("mark-{}", granary_storage::blob::UploadId::random());
        catalog
            .create_project(mark.parse().unwrap(), false, None, MARKER.into())
            .await
            .unwrap();
        for _ in 0..1000 {
            let mut events = catalog.events(0, usize::MAX).await.unwrap();
            if events.iter().any(|event| event.body.contains(&mark)) {
                events.retain(|event| &*event.principal != MARKER);
                return events;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the log never shows what was just recorded");
    }

    /// Everything that is stored, to be compared with a later look.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let catalog = &self.stores.catalog;
        let everything = Visible {
            projects: None,
            public: true,
            only: None,
        };
        let mut names = BTreeMap::new();
        for repository in catalog.list_repositories(everything, None, None, 1000).await.unwrap() {
            let found = catalog.repository(repository.parse().unwrap()).await.unwrap().unwrap();
            // Tags, or the paths of files.
            for name in catalog.tags(found.id, None, 1000).await.unwrap() {
                let target = match found.format {
                    StorageFormat::Oci => {
                        let target = catalog.manifest(found.id, Reference::Tag(name.parse().unwrap())).await;
                        target.unwrap().unwrap().digest
                    }
                    StorageFormat::Generic => {
                        let target = catalog.file(found.id, name.parse().unwrap()).await;
                        target.unwrap().unwrap().blob.digest
                    }
                };
                names.insert(format!("{repository}:{name}"), target.to_string());
            }
            names.insert(repository, String::new());
        }
        let (mut blobs, mut uploads) = (BTreeSet::new(), Vec::new());
        let mut files = self.bytes.list().await.unwrap();
        while let Some(batch) = files.next().await {
            for file in batch.unwrap() {
                match file {
                    Stored::Blob { key, .. } => drop(blobs.insert(key.to_string())),
                    Stored::Upload { id, .. } => uploads.push(id),
                }
            }
        }
        // What a session holds may change with every request; bytes that no session holds may not come to be.
        let sessions = catalog.uploads_exist(uploads.clone()).await.unwrap();
        uploads.retain(|id| !sessions.contains(id));
        Snapshot {
            events: self.events().await,
            names,
            blobs,
            orphans: uploads.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What is stored, apart from the inside of open sessions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) events: Vec<Event>,
    /// Repositories that hold something, and their tags with their targets.
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) blobs: BTreeSet<String>,
    /// Bytes of uploads without a session.
    pub(crate) orphans: BTreeSet<String>,
}

/// The way in: the dispatch of every format, behind one gate.
pub(crate) struct Door {
    pub(crate) dispatch: Dispatch,
    pub(crate) gate: Arc<FakeGate>,
    formats: Registry,
}

impl Door {
    /// The same way in, to a registry that its users know by name.
    pub(crate) fn known_as(mut self, host: &str) -> Self {
        self.dispatch.stores = self.dispatch.stores.clone().known_as(Some(host));
        self
    }

    /// The stores behind it.
    pub(crate) fn stores(&self) -> &Stores {
        &self.dispatch.stores
    }

    /// Asks as the usual principal.
    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        self.send(request, request.stream(), Ok(principal("robin"))).await
    }

    /// Asks with a body that is not the request's own.
    pub(crate) async fn ask_with(&self, request: &Request, body: Body) -> Answer {
        self.send(request, body, Ok(principal("robin"))).await
    }

    /// Asks as somebody.
    pub(crate) async fn ask_as(&self, name: &str, request: &Request) -> Answer {
        self.send(request, request.stream(), Ok(principal(name))).await
    }

    /// Asks with whatever the server made of the credentials.
    pub(crate) async fn send(&self, request: &Request, body: Body, principal: Result<Principal>) -> Answer {
        self.try_send(request, body, principal).await.unwrap()
    }

    /// The same; `None` when no format owns the path.
    pub(crate) async fn try_send(&self, request: &Request, body: Body, principal: Result<Principal>) -> Option<Answer> {
        Some(Answer::read(self.reply(request, body, principal).await?).await)
    }

    /// Asks as the usual principal, and is cut off: how many bytes came, and the sentence that only the log has.
    pub(crate) async fn ask_in_vain(&self, request: &Request) -> (usize, String) {
        let reply = self.reply(request, request.stream(), Ok(principal("robin"))).await.unwrap();
        let (ReplyBody::Stream { mut stream, .. } | ReplyBody::Unsized { mut stream }) = reply.body else {
            panic!("{request:?} is answered in one piece, with {}", reply.status)
        };
        let mut bytes = 0;
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => bytes += piece.len(),
                Err(error) => return (bytes, error.message().to_owned()),
            }
        }
        panic!("{request:?} is answered with {bytes} bytes, to the end")
    }

    async fn reply(&self, request: &Request, body: Body, principal: Result<Principal>) -> Option<Reply> {
        let (path, query) = request.split();
        let (route, path) = self.formats.route(path)?;
        let caller = Caller {
            principal,
            origin: "https://registry.example".into(),
            request: "1".into(),
        };
        let head = Head {
            method: &request.method,
            path,
            query,
            headers: request,
            length_unknown: false,
        };
        Some(route.dispatch(&self.dispatch, caller, head, body).await)
    }

    /// What the request turns out to need, or `None` when it is refused before anybody is asked.
    pub(crate) async fn needs(&self, request: &Request) -> Option<Needs> {
        self.gate.asked.lock().unwrap().clear();
        let answer = self.try_send(request, request.stream(), Ok(principal("robin"))).await;
        let asked = std::mem::take(&mut *self.gate.asked.lock().unwrap());
        assert!(asked.len() < 2, "the gate was asked {} times: {request:?}", asked.len());
        if asked.is_empty()
            && let Some(answer) = answer
        {
            assert!((400..500).contains(&answer.status), "{request:?}: {answer:?}");
        }
        asked.into_iter().next()
    }
}

/// Somebody with a name. The fake gate does not look at it; sessions and events do.
pub(crate) fn principal(name: &str) -> Principal {
    Principal {
        account: None,
        name: name.into(),
        scopes: None,
    }
}
