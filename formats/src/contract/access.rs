//! Access is decided before anything else happens, and by what the request really asks for.

use super::gate::FakeGate;
use super::request::watched;
use super::world::{World, principal};
use super::{Backend, PROJECT, Specimen};
use crate::gate::Needs;
use crate::handler::{FormatHandler as _, Head};
use granary_storage::{Error, ErrorKind, What};
use std::collections::BTreeSet;

pub(super) async fn every_operation_has_a_sample_and_every_sample_succeeds<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let mut covered = BTreeSet::new();
    let count = S::samples(&world, PROJECT, "plain").await.len();
    for index in 0..count {
        // Made anew for each: one sample deletes what another one reads.
        let sample = S::samples(&world, PROJECT, "plain").await.swap_remove(index);
        let (path, query) = sample.request.split();
        let (_, path) = crate::formats().route(path).unwrap();
        let head = Head {
            method: &sample.request.method,
            path,
            query,
            headers: &sample.request,
            length_unknown: false,
        };
        let op = S::FORMAT.parse(&head, &world.stores).unwrap();
        covered.insert(S::operation(&op));
        let answer = world.open().ask(&sample.request).await;
        assert_eq!(answer.status, sample.status, "{}: {answer:?}", sample.what);
    }
    assert_eq!(covered, S::OPERATIONS.iter().copied().collect());
}

pub(super) async fn every_operation_states_what_it_needs<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let door = world.behind(FakeGate::refusing(ErrorKind::Denied, What::Repository));
    for sample in S::samples(&world, PROJECT, "plain").await {
        let needs = door.needs(&sample.request).await.unwrap();
        assert!(sample.asks.is(&needs), "{}: {needs:?}", sample.what);
        if sample.request.method == http::Method::GET {
            let head = door.needs(&sample.request.as_head()).await.unwrap();
            assert_eq!(head, needs, "HEAD of: {}", sample.what);
        }
        if let Needs::Access { required, optional, .. } = &needs {
            let empty = required.iter().chain(optional).any(|access| access.actions.is_empty());
            assert!(!empty && !required.is_empty(), "{}: {needs:?}", sample.what);
        }
    }
}

pub(super) async fn a_refusal_comes_before_the_body_is_read_and_leaves_nothing<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let samples = S::samples(&world, PROJECT, "plain").await;
    let before = world.snapshot().await;
    let kinds = [
        (ErrorKind::Unauthenticated, What::Credentials, 401),
        (ErrorKind::Unauthenticated, What::Scope, 401),
        (ErrorKind::Denied, What::Repository, 403),
        (ErrorKind::Unavailable, What::Storage, 503),
    ];
    for sample in &samples {
        for (kind, what, status) in kinds {
            // The gate says no to somebody known; or nobody knows who it is, and the gate is not even asked.
            let refused = world.behind(FakeGate::refusing(kind, what));
            let unknown = world.open();
            for (door, principal) in [
                (&refused, Ok(principal("robin"))),
                (&unknown, Err(Error::new(kind, what, "who are you?"))),
            ] {
                let (body, looked_at) = watched();
                let answer = door.send(&sample.request, body, principal).await;
                assert_eq!(answer.status, status, "{}", sample.what);
                assert!(!looked_at.get(), "the body was read: {}", sample.what);
            }
            assert!(unknown.gate.asked.lock().unwrap().is_empty(), "{}", sample.what);
        }
    }
    assert_eq!(world.snapshot().await, before);
}
