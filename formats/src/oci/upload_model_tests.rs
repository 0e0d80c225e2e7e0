//! Upload sessions against a model: whatever order requests come in, the answers and the
//! bytes are those of a vector that is appended to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::{codes, session};
use crate::contract::Backend;
use crate::contract::request::{Answer, Request, pieces};
use crate::contract::world::World;
use bytes::Bytes;
use granary_storage::{Digest, Error, What};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Sessions that a story has at most; it begins with one.
const SESSIONS: usize = 3;

/// How the bytes of a request are announced.
#[derive(Clone, Copy, Debug)]
enum Announced {
    /// Not at all: a chunked body.
    No,
    /// By `Content-Length`, `off` bytes from the truth.
    Length { off: i64 },
    /// By `Content-Range`, beginning and ending so many bytes from the truth; with or without a true `Content-Length`.
    Range { first: i64, last: i64, length: bool },
}

#[derive(Clone, Debug)]
enum Step {
    Start,
    Status,
    Cancel,
    /// PATCH with these pieces; the connection may break after them.
    Append {
        bytes: Vec<Vec<u8>>,
        announced: Announced,
        breaks: bool,
    },
    /// PUT with these pieces, promising the right digest or another one.
    Finish {
        bytes: Vec<Vec<u8>>,
        announced: Announced,
        promise_kept: bool,
    },
}

/// What a session is: its bytes while it is open.
type Model = Option<Vec<u8>>;

fn announced() -> impl Strategy<Value = Announced> {
    let off = || prop_oneof![4 => Just(0i64), 1 => -2i64..3];
    prop_oneof![
        2 => Just(Announced::No),
        2 => off().prop_map(|off| Announced::Length { off }),
        3 => (off(), off(), any::<bool>()).prop_map(|(first, last, length)| Announced::Range { first, last, length }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let bytes = || vec(vec(any::<u8>(), 0..5), 0..4);
    let breaks = prop_oneof![4 => Just(false), 1 => Just(true)];
    let kept = prop_oneof![3 => Just(true), 1 => Just(false)];
    let append = (bytes(), announced(), breaks).prop_map(|(bytes, announced, breaks)| Step::Append { bytes, announced, breaks });
    let finish = (bytes(), announced(), kept).prop_map(|(bytes, announced, promise_kept)| Step::Finish {
        bytes,
        announced,
        promise_kept,
    });
    let step = prop_oneof![1 => Just(Step::Start), 2 => Just(Step::Status), 1 => Just(Step::Cancel), 8 => append, 3 => finish];
    vec((0..SESSIONS, step), 1..12)
}

/// How the pieces of a request end in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    All,
    OutOfOrder,
    WrongSize,
    BrokenOff,
}

/// What the session holds after a request with these pieces.
fn take(held: &mut Vec<u8>, bytes: &[Vec<u8>], headers: &Headers, breaks: bool) -> Taken {
    if let Some((first, last)) = headers.range {
        if first != held.len() as u64 {
            return Taken::OutOfOrder;
        }
        let total: u64 = bytes.iter().map(|piece| piece.len() as u64).sum();
        let agrees = last - first + 1 == total && headers.length.is_none_or(|length| length == total);
        if agrees && !breaks {
            held.extend(bytes.concat());
            return Taken::All;
        }
        // What broke and what did not agree are answered alike.
        return Taken::WrongSize;
    }
    let mut taken = 0;
    for piece in bytes {
        taken += piece.len() as u64;
        if headers.length.is_some_and(|length| taken > length) {
            return Taken::WrongSize;
        }
        held.extend(piece);
    }
    match headers.length {
        _ if breaks => Taken::BrokenOff,
        Some(length) if length != taken => Taken::WrongSize,
        _ => Taken::All,
    }
}

/// The numbers that a request announces.
struct Headers {
    range: Option<(u64, u64)>,
    length: Option<u64>,
}

impl Headers {
    /// `None` when the step cannot be said in headers: a range of nothing, a negative number.
    fn of(announced: Announced, held: usize, bytes: &[Vec<u8>]) -> Option<Self> {
        let (held, total) = (i64::try_from(held).unwrap(), i64::try_from(bytes.concat().len()).unwrap());
        let number = |value: i64| u64::try_from(value).ok();
        Some(match announced {
            Announced::No => Self { range: None, length: None },
            Announced::Length { off } => Self {
                range: None,
                length: Some(number(total + off)?),
            },
            Announced::Range { first, last, length } => {
                let range = (number(held + first)?, number(held + total - 1 + last)?);
                Self {
                    range: (range.0 <= range.1).then_some(range),
                    length: if length { Some(number(total)?) } else { None },
                }
            }
        })
        .filter(|headers| headers.range.is_some() || !matches!(announced, Announced::Range { .. }))
    }

    fn on(&self, mut request: Request) -> Request {
        if let Some((first, last)) = self.range {
            request = request.header("content-range", format!("{first}-{last}"));
        }
        match self.length {
            Some(length) => request.header("content-length", length.to_string()),
            None => request,
        }
    }
}

fn body(bytes: &[Vec<u8>], breaks: bool) -> crate::handler::Body {
    let mut all: Vec<Result<Bytes, Error>> = bytes.iter().map(|piece| Ok(Bytes::from(piece.clone()))).collect();
    if breaks {
        all.push(Err(Error::invalid(What::Size, "the body ended early")));
    }
    pieces(all)
}

fn standing(held: &[u8]) -> String {
    format!("0-{}", held.len().saturating_sub(1))
}

/// The answers to a session that stands where the model says.
fn stands(answer: &Answer, status: u16, place: &str, held: &[u8]) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("range"), Some(standing(held).as_str()), "{answer:?}");
    assert_eq!(answer.header("location"), Some(place), "{answer:?}");
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, codes(answer)), (status, vec![code.to_owned()]), "{answer:?}");
}

async fn act(world: &World, repository: &str, place: &mut String, model: &mut Model, step: Step) {
    let door = world.open();
    match (step, model.as_mut()) {
        (Step::Start, _) => {
            *place = session(world, repository).await;
            *model = Some(Vec::new());
        }
        (Step::Status, held) => {
            let answer = door.ask(&Request::get(&**place)).await;
            match held {
                Some(held) => stands(&answer, 204, place, held),
                None => refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN"),
            }
        }
        (Step::Cancel, held) => {
            let answer = door.ask(&Request::delete(&**place)).await;
            match held {
                Some(_) => assert_eq!(answer.status, 204),
                None => refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN"),
            }
            *model = None;
        }
        (Step::Append { bytes, announced, breaks }, held) => {
            let Some(headers) = Headers::of(announced, held.as_ref().map_or(0, |held| held.len()), &bytes) else {
                return;
            };
            let answer = door.ask_with(&headers.on(Request::patch(&**place)), body(&bytes, breaks)).await;
            let Some(held) = held else {
                return refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN");
            };
            match take(held, &bytes, &headers, breaks) {
                Taken::All => stands(&answer, 202, place, held),
                Taken::OutOfOrder => stands(&answer, 416, place, held),
                Taken::WrongSize | Taken::BrokenOff => refused(&answer, 400, "SIZE_INVALID"),
            }
        }
        (
            Step::Finish {
                bytes,
                announced,
                promise_kept,
            },
            held,
        ) => {
            let Some(headers) = Headers::of(announced, held.as_ref().map_or(0, |held| held.len()), &bytes) else {
                return;
            };
            let mut whole = held.as_deref().cloned().unwrap_or_default();
            whole.extend(bytes.concat());
            let digest = if promise_kept {
                Digest::sha256(&whole)
            } else {
                Digest::sha256(b"something else")
            };
            let put = Request::put(format!("{place}?digest={digest}"));
            let answer = door.ask_with(&headers.on(put), body(&bytes, false)).await;
            let Some(held) = held else {
                return refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN");
            };
            match take(held, &bytes, &headers, false) {
                Taken::All if promise_kept => {
                    assert_eq!((answer.status, answer.digest()), (201, digest));
                    let blob = Request::get(format!("/v2/{repository}/blobs/{digest}"));
                    assert_eq!(door.ask(&blob).await.expect(200).body, whole);
                    *model = None;
                }
                Taken::All => {
                    refused(&answer, 400, "DIGEST_INVALID");
                    *model = None;
                }
                Taken::OutOfOrder => stands(&answer, 416, place, held),
                Taken::WrongSize | Taken::BrokenOff => refused(&answer, 400, "SIZE_INVALID"),
            }
        }
    }
}

fn agrees_with_the_model(backend: Backend) {
    if !backend.is_here() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new(backend);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(150)
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            let mut sessions: Vec<(String, Model)> = Vec::new();
            for _ in 0..SESSIONS {
                sessions.push((session(&world, "acme/app").await, Some(Vec::new())));
            }
            for (index, step) in steps {
                let (place, model) = &mut sessions[index];
                act(&world, "acme/app", place, model, step).await;
            }
            // The ones that were left alone stand where they stood.
            for (place, model) in &mut sessions {
                act(&world, "acme/app", place, model, Step::Status).await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
    let orphans = runtime.block_on(world.snapshot()).orphans;
    assert!(orphans.is_empty(), "bytes without a session: {orphans:?}");
}

#[test]
fn every_order_of_requests_agrees_with_the_model_on_sqlite() {
    agrees_with_the_model(Backend::Sqlite);
}

#[test]
fn every_order_of_requests_agrees_with_the_model_on_postgres() {
    agrees_with_the_model(Backend::Postgres);
}
