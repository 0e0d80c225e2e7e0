//! Requests that no client sends, made of pieces that real ones are made of: whatever
//! comes, the parser answers, and what it understands goes past the gate.

use super::gate::{FakeGate, SENTENCE};
use super::request::{Request, watched};
use super::world::{World, principal};
use super::{Backend, PROJECT, Sample, Specimen};
use crate::gate::Needs;
use crate::handler::FormatHandler;
use futures_util::FutureExt as _;
use granary_storage::access::{Action, Actions};
use granary_storage::{ErrorKind, What};
use http::Method;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;

const METHODS: [&str; 9] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

/// Pieces that have no place in a path, or an unexpected one.
const PIECES: &[&str] = &[
    "/",
    "//",
    "/./",
    "/../",
    "..",
    ".",
    "%2F",
    "%2f",
    "%252F",
    "%",
    "%z",
    "%00",
    "%C3",
    "%ff",
    "\\",
    "\0",
    "\n",
    " ",
    "+",
    "~",
    ";",
    ":",
    "@",
    "?",
    "&",
    "=",
    "#",
    "ä",
    "é",
    "e\u{301}",
    "🦀",
    "\u{202e}",
    "A",
    "_",
    "-",
    "__",
    "a",
    "0",
    "0123456789abcdef",
    "sha256:",
    "sha512:",
    "md5:00",
    "00000000-0000-0000-0000-000000000000",
];

/// Values for any header.
const VALUES: &[&str] = &[
    "",
    " ",
    "0",
    "1",
    "-1",
    "18446744073709551615",
    "18446744073709551616",
    "0-",
    "-0",
    "0-0",
    "5-2",
    "0-18446744073709551615",
    "bytes",
    "bytes ",
    "bytes=",
    "bytes=0-",
    "bytes=-1",
    "bytes=0-0,-1",
    "bytes 0-9/10",
    "*",
    "\"*\"",
    "W/\"x\"",
    ",",
    "\"",
    "application/json; a=b",
    ";",
    "/",
    "many",
    "é",
];

const HEADERS: [&str; 9] = [
    "accept",
    "content-length",
    "content-range",
    "content-type",
    "if-match",
    "if-none-match",
    "if-range",
    "range",
    "x-checksum-sha256",
];

pub(super) async fn no_text_makes_the_parser_panic<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let door = world.behind(FakeGate::refusing(ErrorKind::Denied, What::Repository));
    let samples = S::samples(&world, PROJECT, "plain").await;
    let understood = Cell::new(0);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(4000)
    };
    let outcome = TestRunner::new(config).run(&requests(&samples), |request| {
        let path = request.split().0;
        let rest = path.strip_prefix(<S::Format as FormatHandler>::MOUNT);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            // It has become another format's, or nobody's.
            return Ok(());
        }
        let (body, looked_at) = watched();
        // A refusal waits for nothing: neither for the body nor for a store.
        let answer = door.try_send(&request, body, Ok(principal("robin"))).now_or_never().unwrap();
        let asked = std::mem::take(&mut *door.gate.asked.lock().unwrap());
        let Some(answer) = answer else { return Ok(()) };
        prop_assert!(!looked_at.get(), "the body was read");
        prop_assert!((400..500).contains(&answer.status), "{:?}", answer);
        let message = S::message(&answer).unwrap_or_default();
        prop_assert!(!message.is_empty(), "{:?}", answer);
        // Whatever the parser let through came to the gate, and asked for something.
        prop_assert_eq!(asked.len(), usize::from(message == SENTENCE));
        prop_assert!(asked.iter().all(|needs| asks_for_something(needs, &request.method)), "{:?}", asked);
        understood.set(understood.get() + asked.len());
        Ok(())
    });
    outcome.unwrap();
    assert!(understood.get() > 100, "hardly anything was understood: this test has gone blind");
}

fn asks_for_something(needs: &Needs, method: &Method) -> bool {
    match needs {
        Needs::Login | Needs::Listing => true,
        Needs::Under { actions, .. } => {
            let safe = matches!(*method, Method::GET | Method::HEAD);
            let changes = Actions::PUSH | Actions::DELETE;
            !actions.is_empty() && (!safe || (*actions & changes).is_empty())
        }
        Needs::Access { required, optional, .. } => {
            let all = || required.iter().chain(optional);
            let changes = Actions::DELETE | Action::Overwrite.into();
            let safe = matches!(*method, Method::GET | Method::HEAD);
            !required.is_empty()
                && all().all(|access| !access.actions.is_empty())
                && !(safe && all().any(|access| !(access.actions & changes).is_empty()))
        }
    }
}

/// Requests near the samples, and far from them.
fn requests(samples: &[Sample]) -> impl Strategy<Value = Request> + use<> {
    let targets: Vec<String> = samples.iter().map(|sample| sample.request.target.clone()).collect();
    let mount = targets[0].split('/').nth(1).unwrap_or_default().to_owned();
    let mut words: Vec<String> = targets
        .iter()
        .flat_map(|target| target.split(['/', '?', '&', '=']))
        .map(str::to_owned)
        .collect();
    words.extend(PIECES.iter().map(ToString::to_string));
    words.push("long".repeat(100));
    let piece = select(words);
    let far = vec(piece.clone(), 0..12).prop_map(move |pieces| format!("/{mount}/{}", pieces.concat()));
    let joined = vec(piece.clone(), 0..8).prop_map(|pieces| pieces.join("/"));
    let appended = (select(targets.clone()), joined).prop_map(|(target, tail)| target + &tail);
    let replaced = (select(targets.clone()), piece, any::<Index>(), 0usize..3).prop_map(|(target, piece, at, width)| {
        let mut characters: Vec<char> = target.chars().collect();
        let from = at.index(characters.len());
        let to = (from + width).min(characters.len());
        characters.splice(from..to, piece.chars());
        characters.into_iter().collect()
    });
    let target = prop_oneof![1 => select(targets), 2 => far, 1 => appended, 4 => replaced];
    let headers = vec((select(&HEADERS[..]), select(VALUES).prop_map(str::to_owned)), 0..3);
    (select(&METHODS[..]), target, headers).prop_map(|(method, target, headers)| Request {
        headers,
        ..Request::new(Method::from_bytes(method.as_bytes()).unwrap(), target)
    })
}
