//! Values of YAML as text, flags, lists and mappings, taken as Helm takes them. `what` is what a fault calls the value.

use super::fault;
use super::yaml::{Measured, Node, Plain, as_text, plain};
use granary_storage::{Error, Result};
use std::rc::Rc;

pub(super) type Value = Rc<Measured>;

/// The beginning of what a stranger wrote, for a sentence.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

fn wrong(what: &str, wanted: &str) -> Error {
    fault(format!("{what:.100} must be {wanted}"))
}

/// Text; what stands without quotes and means something else is taken as Helm takes it.
pub(super) fn text(what: &str, value: &Value) -> Result<String> {
    match &value.node {
        Node::Scalar { text, plain: false } => Ok(text.clone()),
        Node::Scalar { text, plain: true } => Ok(match plain(text) {
            Plain::Null => String::new(),
            Plain::Bool(value) => value.to_string(),
            Plain::Integer(number) => number.to_string(),
            Plain::Float(number) => as_text(number),
            Plain::Text => text.clone(),
        }),
        Node::List(_) | Node::Map(_) => Err(wrong(what, "text")),
    }
}

/// Text that means what it says: `1.10` without quotes is the number 1.1, and a chart of that version another one.
pub(super) fn exact(what: &str, value: &Value) -> Result<String> {
    let meant = text(what, value)?;
    match &value.node {
        Node::Scalar { text, plain: true } if *text != meant && !meant.is_empty() => Err(fault(format!(
            "the {what} must be in quotes: without them {text:.100} means {meant:.100}"
        ))),
        _ => Ok(meant),
    }
}

pub(super) fn flag(what: &str, value: &Value) -> Result<bool> {
    match &value.node {
        Node::Scalar { text, plain: true } => match plain(text) {
            Plain::Null => Ok(false),
            Plain::Bool(value) => Ok(value),
            Plain::Integer(_) | Plain::Float(_) | Plain::Text => Err(wrong(what, "true or false")),
        },
        _ => Err(wrong(what, "true or false")),
    }
}

pub(super) fn is_null(value: &Value) -> bool {
    matches!(&value.node, Node::Scalar { text, plain: true } if plain(text) == Plain::Null)
}

pub(super) fn list<'v>(what: &str, value: &'v Value) -> Result<&'v [Value]> {
    match &value.node {
        Node::List(items) => Ok(items),
        _ if is_null(value) => Ok(&[]),
        _ => Err(wrong(what, "a list")),
    }
}

pub(super) fn map<'v>(what: &str, value: &'v Value) -> Result<&'v [(String, Value)]> {
    match &value.node {
        Node::Map(entries) => Ok(entries),
        _ if is_null(value) => Ok(&[]),
        _ => Err(wrong(what, "a mapping")),
    }
}

pub(super) fn texts(what: &str, value: &Value) -> Result<Vec<String>> {
    list(what, value)?.iter().map(|item| text(what, item)).collect()
}
