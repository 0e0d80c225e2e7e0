//! One resource, one decision: a path that is spelled another way must not reach
//! anything that its plain spelling would not.

use super::gate::FakeGate;
use super::request::Request;
use super::world::World;
use super::{Backend, PROJECT, Specimen};
use granary_storage::{ErrorKind, What};

pub(super) async fn another_spelling_of_a_path_asks_for_the_same_access_or_is_refused<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let door = world.behind(FakeGate::refusing(ErrorKind::Denied, What::Repository));
    let mut understood = 0;
    for sample in S::samples(&world, PROJECT, "plain").await {
        let plain = door.needs(&sample.request).await.unwrap();
        for target in spellings(&sample.request) {
            if let Some(needs) = door.needs(&sample.request.at(&target)).await {
                assert_eq!(needs, plain, "{target} is not {}", sample.request.target);
                understood += 1;
            }
        }
    }
    assert!(understood > 0, "no spelling was understood: this test has gone blind");
}

fn spellings(request: &Request) -> Vec<String> {
    let (path, query) = request.split();
    let with_query = |path: String| if query.is_empty() { path } else { format!("{path}?{query}") };
    let mut all = vec![
        with_query(format!("{path}/")),
        with_query(format!("{path}//")),
        with_query(format!("{path}/.")),
        with_query(format!("{path}%2F")),
        with_query(format!("{path}%00")),
        with_query(format!("{path}%20")),
        with_query(format!("{path}%3F{query}")),
        with_query(format!("/{path}")),
        with_query(format!("/.{path}")),
    ];
    for (at, character) in request.target.char_indices() {
        let (head, tail) = (&request.target[..at], &request.target[at + character.len_utf8()..]);
        let separators: &[&str] = &[
            "%2F", "%2f", "//", "/./", "/../", "/x/../", "/%2e/", "/%2E%2E/", "\\", "%5C", "%252F", "/%2F", ";/",
        ];
        let instead: Vec<String> = match character {
            '/' if at < path.len() => separators.iter().map(ToString::to_string).collect(),
            '&' | '=' | '?' | '%' | '/' => continue,
            other => {
                let code = u32::from(other);
                let mut spellings = vec![format!("%{code:02x}"), format!("%{code:02X}")];
                // In the query these would spell another parameter, and one that nobody knows means nothing.
                if at < path.len() {
                    spellings.extend([
                        format!("%25{code:02X}"),
                        format!("{other}%00"),
                        other.to_ascii_uppercase().to_string(),
                    ]);
                }
                spellings
            }
        };
        all.extend(instead.into_iter().map(|text| format!("{head}{text}{tail}")));
    }
    all
}
