//! What the fuzz targets reach of this format.

use super::op::{Act, Op, PutFile};
use super::parse::parse;
use super::path::file_address;
use crate::fuzzing::Lines;
use crate::gate::Needs;
use crate::handler::{Head, Operation as _};
use granary_storage::limits::Limits;
use http::Method;

fn parsed(method: &Method, path: &str, query: &str, headers: &Lines<'_>) -> Option<Op> {
    let head = Head {
        method,
        path,
        query,
        headers,
        length_unknown: false,
    };
    parse(&head, &Limits::default()).ok()
}

/// The end of a ZIP and its directory.
pub fn zip(bytes: &[u8]) {
    super::archive::fuzz(bytes);
}

/// A request's head: lines of method, path, query and headers (`name: value`).
pub fn dispatch(text: &str) {
    let mut lines = text.split('\n');
    let method = lines.next().and_then(|line| Method::from_bytes(line.as_bytes()).ok());
    let (Some(method), Some(path), query) = (method, lines.next(), lines.next().unwrap_or("")) else {
        return;
    };
    let headers = Lines(lines.filter_map(|line| line.split_once(": ")).collect());
    let Some(op) = parsed(&method, path, query, &headers) else {
        return;
    };
    // What is decided about is what is acted on.
    let Needs::Access { required, optional, .. } = op.needs() else {
        panic!("a file needs no access")
    };
    assert!(!required.is_empty());
    for access in required.iter().chain(&optional) {
        assert_eq!(access.repository, op.repository);
        assert!(!access.actions.is_empty());
    }
    let (Act::ReadFile { path, .. }
    | Act::ReadLabels { path, .. }
    | Act::PutFile(PutFile { path, .. })
    | Act::ChangeLabels { path, .. }
    | Act::DeleteFile { path, .. }) = &op.act
    else {
        return;
    };
    assert!(path.as_str().split('/').all(|part| !matches!(part, "" | "." | "..")));
    // The address that an answer names leads to the same file, and sets no label.
    let address = file_address(&op.repository, path);
    assert!(address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'));
    if text.contains(';') {
        return;
    }
    let rest = address.strip_prefix("/generic").unwrap_or_default();
    assert_eq!(parsed(&method, rest, query, &headers), Some(op));
}
