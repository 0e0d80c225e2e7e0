//! What the fuzz targets reach of this format: each function takes what a stranger sends, and fails by panicking
//! where what was understood is not what it must be.

use super::{manifest, op::Op, parse};
use crate::fuzzing::Lines;
use crate::gate::Needs;
use crate::handler::{Head, Operation as _};
use crate::range;
use granary_storage::limits::Limits;
use http::Method;

fn parsed(method: &Method, path: &str, query: &str, headers: &Lines<'_>, limits: &Limits) -> Option<Op> {
    let head = Head {
        method,
        path,
        query,
        headers,
        length_unknown: false,
    };
    parse::parse(&head, limits).ok()
}

/// A request's head: lines of method, path, query and headers (`name: value`).
pub fn dispatch(text: &str) {
    let limits = Limits::default();
    let mut lines = text.split('\n');
    let method = lines.next().and_then(|line| Method::from_bytes(line.as_bytes()).ok());
    let (Some(method), Some(path), query) = (method, lines.next(), lines.next().unwrap_or("")) else {
        return;
    };
    let headers = Lines(lines.filter_map(|line| line.split_once(": ")).collect());
    let Some(op) = parsed(&method, path, query, &headers, &limits) else {
        return;
    };
    assert_eq!(parsed(&method, path, query, &headers, &limits).as_ref(), Some(&op));
    match op.needs() {
        Needs::Access { required, .. } => {
            let name = op.name.as_ref().map(|name| &name.repository);
            assert!(!required.is_empty());
            // What is decided about is what is acted on, and it has one spelling.
            for access in &required {
                assert_eq!(Some(&access.repository), name);
                assert!(!access.actions.is_empty());
                let name = access.repository.as_str();
                assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !b"%\\?#".contains(&byte)));
                assert!(name.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
        // Only what is about no repository needs none.
        Needs::Login | Needs::Listing => assert!(op.name.is_none()),
        Needs::Under { .. } => panic!("nothing here is about a prefix"),
    }
}

/// A manifest, and the type that it is declared as.
pub fn manifest(bytes: &[u8], declared: Option<&str>) {
    let limits = Limits::default();
    let Ok(first) = manifest::parse(bytes, declared, &limits) else {
        return;
    };
    assert!(first.edges.len() <= limits.manifest_references);
    // Any reader of JSON gets through it, what is skipped here included, unless it is nested deeper than they go.
    let text = std::str::from_utf8(bytes);
    assert!(text.is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()));
    assert!(serde_json::from_str::<serde_json::Value>(&first.labels).is_ok());
    let digest = granary_storage::Digest::sha256(bytes);
    let descriptor = first.descriptor(&digest, bytes.len());
    assert!(serde_json::from_str::<serde_json::Value>(&descriptor).is_ok());
    // Under the type that was found, the same is found again.
    let again = manifest::parse(bytes, Some(&first.media_type), &limits);
    assert!(again.is_ok_and(|again| again.edges.len() == first.edges.len() && again.total_size == first.total_size));
}

/// A `Range` header, the size of what it is about, and how many parts are allowed.
pub fn range(header: &str, size: u64, most: usize) {
    let parts = match range::wanted(header, size, most) {
        range::Wanted::Whole | range::Wanted::Unsatisfiable => return,
        range::Wanted::One(part) => vec![part],
        range::Wanted::Many(parts) => parts,
    };
    assert!(!parts.is_empty() && parts.len() <= most);
    assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
    let total: u128 = parts.iter().map(|part| u128::from(part.end - part.start)).sum();
    assert!(total <= u128::from(size), "more than there is");
}
