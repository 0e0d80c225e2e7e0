//! YAML from a stranger: read event by event, with a bound on everything that a few bytes can make many of.

use super::fault;
use granary_storage::Result;
use granary_storage::limits::Limits;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

/// A value. What an alias repeats is shared, not copied.
#[derive(Debug)]
pub(super) enum Node {
    /// Text, and whether it stood without quotes.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Rc<Measured>>),
    /// A mapping, in its order.
    Map(Vec<(String, Rc<Measured>)>),
}

/// A value, and how much it is when it is written out.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) node: Node,
    values: usize,
    bytes: u64,
}

/// What a scalar without quotes means (YAML 1.1, as Helm's reader has it).
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    Text,
}

/// Understands a scalar that stood without quotes.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Plain::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Plain::Bool(false),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Plain::Text;
    }
    let text = text.replace('_', "");
    if let Some(number) = integer(&text) {
        return Plain::Integer(number);
    }
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Plain::Float(number),
        _ => Plain::Text,
    }
}

/// A whole number as Go reads it: `010` is eight, `0x1F` thirty-one.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let number = sign
        * i128::from_str_radix(digits, radix)
            .ok()
            .filter(|number| *number <= i128::from(u64::MAX))?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

/// A number where Helm wants text, as Helm writes it: the shortest that a `float32` is read back from, by `%g`.
pub(super) fn as_text(number: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "it is what Helm does")]
    let short = number as f32;
    if short.is_infinite() {
        return if short > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{short:e}");
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match power.parse::<i32>() {
        Ok(power) if !(-4..6).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
        _ => short.to_string(),
    }
}

/// A mapping or list that is not complete.
enum Open {
    List(Vec<Rc<Measured>>),
    Map {
        entries: Vec<(String, Rc<Measured>)>,
        known: HashSet<String>,
        key: Option<String>,
    },
}

struct Frame {
    open: Open,
    anchor: usize,
    values: usize,
    bytes: u64,
}

/// Reads the first document; `of` is what faults call it.
pub(super) fn read(text: &str, of: &str, limits: &Limits) -> Result<Rc<Measured>> {
    let mut parser = Parser::new_from_str(text);
    let mut stack: Vec<Frame> = Vec::new();
    let mut anchors: HashMap<usize, Rc<Measured>> = HashMap::new();
    loop {
        let (event, at) = parser
            .next_token()
            .map_err(|cause| fault(format!("{of} is not valid YAML: {:.200}", cause.to_string())))?;
        let (node, anchor) = match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
            Event::StreamEnd | Event::DocumentEnd => return Err(fault(format!("{of} is empty"))),
            Event::SequenceStart(anchor, tag) => {
                untagged(tag.as_ref(), of)?;
                push(&mut stack, Open::List(Vec::new()), anchor, of, limits)?;
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                untagged(tag.as_ref(), of)?;
                let open = Open::Map {
                    entries: Vec::new(),
                    known: HashSet::new(),
                    key: None,
                };
                push(&mut stack, open, anchor, of, limits)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = stack.pop() else { continue };
                let node = match frame.open {
                    Open::List(items) => Node::List(items),
                    Open::Map { entries, .. } => Node::Map(entries),
                };
                let value = Rc::new(Measured {
                    node,
                    values: frame.values + 1,
                    bytes: frame.bytes + 2,
                });
                (value, frame.anchor)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = untagged(tag.as_ref(), of)?;
                let value = Rc::new(Measured {
                    bytes: text.len() as u64 + 2,
                    node: Node::Scalar {
                        text,
                        plain: style == TScalarStyle::Plain && !text_tag,
                    },
                    values: 1,
                });
                (value, anchor)
            }
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(value) => (value.clone(), 0),
                None => return Err(fault(format!("{of} holds an alias to something that the alias is part of"))),
            },
        };
        if anchor != 0 {
            anchors.insert(anchor, node.clone());
        }
        let Some(frame) = stack.last_mut() else {
            return Ok(node);
        };
        frame.take(node, of, at.line())?;
        if frame.values > limits.chart_metadata_values || frame.bytes > limits.chart_metadata_bytes {
            return Err(fault(format!(
                "{of} is more than {} values, or {} bytes, with its aliases resolved",
                limits.chart_metadata_values, limits.chart_metadata_bytes
            )));
        }
    }
}

fn push(stack: &mut Vec<Frame>, open: Open, anchor: usize, of: &str, limits: &Limits) -> Result<()> {
    if stack.len() == limits.chart_metadata_depth {
        return Err(fault(format!(
            "{of} is nested more than {} levels deep",
            limits.chart_metadata_depth
        )));
    }
    stack.push(Frame {
        open,
        anchor,
        values: 0,
        bytes: 0,
    });
    Ok(())
}

/// Whether a tag says that this is text; any other one is refused.
fn untagged(tag: Option<&Tag>, of: &str) -> Result<bool> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.suffix == "str" => Ok(true),
        Some(tag) => Err(fault(format!("{of} holds the tag {:.50}, which has no place there", tag.suffix))),
    }
}

impl Frame {
    fn take(&mut self, value: Rc<Measured>, of: &str, line: usize) -> Result<()> {
        self.values = self.values.saturating_add(value.values);
        self.bytes = self.bytes.saturating_add(value.bytes).saturating_add(2);
        match &mut self.open {
            Open::List(items) => items.push(value),
            Open::Map { entries, known, key } => match key.take() {
                Some(key) => entries.push((key, value)),
                None => {
                    let Node::Scalar { text, .. } = &value.node else {
                        return Err(fault(format!("{of} holds a key that is no text, in line {line}")));
                    };
                    if text == "<<" {
                        return Err(fault(format!("{of} holds a merge key (<<), which has no place there")));
                    }
                    // Readers differ in which of the two they take.
                    if !known.insert(text.clone()) {
                        return Err(fault(format!("the key {text:.100} stands twice in {of}, in line {line}")));
                    }
                    *key = Some(text.clone());
                }
            },
        }
        Ok(())
    }
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match &self.node {
            Node::Scalar { text, plain: false } => serializer.serialize_str(text),
            Node::Scalar { text, plain: true } => match plain(text) {
                Plain::Null => serializer.serialize_unit(),
                Plain::Bool(value) => serializer.serialize_bool(value),
                Plain::Integer(number) => match (i64::try_from(number), u64::try_from(number)) {
                    (Ok(number), _) => serializer.serialize_i64(number),
                    (_, Ok(number)) => serializer.serialize_u64(number),
                    _ => serializer.serialize_str(text),
                },
                Plain::Float(number) => serializer.serialize_f64(number),
                Plain::Text => serializer.serialize_str(text),
            },
            Node::List(items) => serializer.collect_seq(items.iter().map(Rc::as_ref)),
            Node::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value.as_ref())?;
                }
                map.end()
            }
        }
    }
}
