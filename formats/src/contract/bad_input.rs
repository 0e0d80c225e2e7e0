//! What comes in broken is refused precisely and leaves nothing behind: no name, no
//! artifact, no bytes, no event.

use super::gate::FakeGate;
use super::request::{Request, broken, pieces};
use super::world::{World, principal};
use super::{Backend, PROJECT, Sample, Specimen};
use crate::handler::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use granary_storage::limits::Limits;
use granary_storage::{Digest, Error, ErrorKind, What};

/// A way in which a request that carries a body goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// The last byte never comes.
    Truncated,
    /// One more byte comes than was announced. A blank, which most parsers would let pass.
    Longer,
    /// The client stops sending.
    Stalled,
    /// The connection breaks.
    BrokenOff,
    /// Nothing comes.
    Missing,
    /// The length is announced in words.
    NoNumber,
    /// Other bytes come than the request promises by digest.
    OtherBytes,
    /// More comes than the limits allow, and is announced.
    TooLarge,
    /// More comes than the limits allow, unannounced.
    TooLargeUnannounced,
}

impl Mishap {
    const ALL: [Self; 9] = [
        Self::Truncated,
        Self::Longer,
        Self::Stalled,
        Self::BrokenOff,
        Self::Missing,
        Self::NoNumber,
        Self::OtherBytes,
        Self::TooLarge,
        Self::TooLargeUnannounced,
    ];

    /// Whether it can happen to the request.
    fn befalls(self, request: &Request) -> bool {
        self != Self::OtherBytes || promises_its_digest(request)
    }

    /// The request and its body with the mishap in them.
    fn of(self, request: &Request) -> (Request, Body) {
        let body = request.body.clone();
        let half = body.slice(..body.len() / 2);
        let other = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = body.to_vec();
            change(&mut bytes);
            pieces(vec![Ok(Bytes::from(bytes))])
        };
        let asked = match self {
            Self::NoNumber => request.clone().header("content-length", "many"),
            Self::TooLargeUnannounced => {
                let mut unannounced = request.clone();
                unannounced.headers.retain(|(name, _)| *name != "content-length");
                unannounced
            }
            _ => request.clone(),
        };
        let sent = match self {
            Self::Truncated => other(&|bytes| bytes.truncate(bytes.len() - 1)),
            Self::Longer => other(&|bytes| bytes.push(b' ')),
            Self::Missing => pieces(Vec::new()),
            Self::OtherBytes => other(&|bytes| {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
            }),
            // As the server says them.
            Self::Stalled => broken(half, Error::new(ErrorKind::Timeout, What::Request, "the body stopped arriving")),
            Self::BrokenOff => broken(half, Error::invalid(What::Size, "the body ended early")),
            Self::NoNumber | Self::TooLarge | Self::TooLargeUnannounced => request.stream(),
        };
        (asked, sent)
    }

    /// The limits under which it happens.
    fn limits(self, request: &Request) -> Limits {
        let just_too_small = request.body.len() as u64 - 1;
        match self {
            Self::TooLarge | Self::TooLargeUnannounced => Limits {
                manifest_bytes: just_too_small,
                blob_bytes: just_too_small,
                ..Limits::default()
            },
            _ => Limits::default(),
        }
    }
}

fn promises_its_digest(request: &Request) -> bool {
    let digest = Digest::sha256(&request.body);
    let (hex, base64) = (digest.hex(), STANDARD.encode(digest.as_bytes()));
    let said = |(_, value): &(&str, String)| value.contains(&hex) || value.contains(&base64);
    request.target.contains(&hex) || request.headers.iter().any(said)
}

/// The samples that carry a body, made anew.
async fn writes<S: Specimen>(world: &World) -> Vec<Sample> {
    let mut samples = S::samples(world, PROJECT, "plain").await;
    samples.retain(|sample| sample.asks.is_write() && !sample.request.body.is_empty());
    samples
}

/// Lets the mishap happen, and gives the status of the refusal.
async fn refused<S: Specimen>(world: &World, mishap: Mishap, what: &str, request: &Request) -> u16 {
    let door = world.limited(FakeGate::open(), mishap.limits(request));
    let (asked, body) = mishap.of(request);
    let answer = door.send(&asked, body, Ok(principal("robin"))).await;
    let case = format!("{mishap:?} in: {what}: {answer:?}");
    assert!((400..500).contains(&answer.status), "{case}");
    assert!(S::message(&answer).is_some_and(|message| !message.is_empty()), "{case}");
    answer.status
}

pub(super) async fn bad_input_is_refused_and_leaves_nothing<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let count = writes::<S>(&world).await.len();
    let mut promised = 0;
    for mishap in Mishap::ALL {
        for index in 0..count {
            // Anew each time: an upload that went wrong is over.
            let sample = writes::<S>(&world).await.swap_remove(index);
            if mishap.befalls(&sample.request) {
                let before = world.snapshot().await;
                let status = refused::<S>(&world, mishap, sample.what, &sample.request).await;
                let too_large = matches!(mishap, Mishap::TooLarge | Mishap::TooLargeUnannounced);
                assert_eq!(status == 413, too_large, "{mishap:?} in: {}: {status}", sample.what);
                assert_eq!(world.snapshot().await, before, "{mishap:?} in: {}", sample.what);
                promised += usize::from(mishap == Mishap::OtherBytes);
            }
        }
    }
    assert!(
        count > 0 && promised > 0,
        "nothing is uploaded, or never with a digest: this test has gone blind"
    );
}

pub(super) async fn bad_input_for_a_new_repository_leaves_no_content<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let samples = writes::<S>(&world).await;
    let before = world.snapshot().await;
    for mishap in Mishap::ALL {
        for sample in samples.iter().filter(|sample| mishap.befalls(&sample.request)) {
            let request = sample
                .request
                .at(sample.request.target.replacen(&format!("/{PROJECT}/"), "/fresh/", 1));
            refused::<S>(&world, mishap, sample.what, &request).await;
        }
    }
    let mut after = world.snapshot().await;
    // An empty repository may stay: it holds the upload while the bytes come in. It shows up nowhere.
    after
        .events
        .retain(|event| !matches!(event.kind.as_str(), "repository.created" | "project.created") || before.events.contains(event));
    assert_eq!(after, before);
}
