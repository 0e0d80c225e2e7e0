//! Chart.yaml, in the fields that Helm knows and with the types that it gives them.
//!
//! One entry of an index that has a number where Helm wants text makes the whole index unreadable, so what is kept is
//! exactly what Helm itself would write (`chart.Metadata`), in its order. Fields that Helm does not know are left out.

use super::yaml::{Measured, Node, Plain, as_text, plain};
use super::{Version, fault, yaml};
use granary_storage::limits::Limits;
use granary_storage::name::Tag;
use granary_storage::prefix::Prefix;
use granary_storage::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;

type Value = Rc<Measured>;

/// What a chart says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// Its name: one segment of a repository's.
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    home: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
    /// Its version, as written.
    pub(crate) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintainers: Vec<Maintainer>,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon: String,
    /// The version of the format of charts: v1, v2 or v3.
    pub(crate) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tags: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) app_version: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    kube_version: String,
    /// Each as JSON, for what a dependency imports may have any shape.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Dependency>,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
struct Maintainer {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
struct Dependency {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enabled: bool,
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    alias: String,
}

impl Metadata {
    /// Reads and checks a Chart.yaml.
    ///
    /// # Errors
    /// `Invalid`/`Request` with a sentence that names what is wrong with it.
    pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| fault("Chart.yaml is not UTF-8"))?;
        let document = yaml::read(text, limits)?;
        let Node::Map(fields) = &document.node else {
            return Err(fault("Chart.yaml is no mapping of fields to values"));
        };
        let mut found = Self::default();
        for (key, value) in fields {
            spelled(key, FIELDS)?;
            found.take(key, value)?;
        }
        found.check()?;
        Ok(found)
    }

    /// As JSON: what goes into the config of a manifest and, with where to get it, into an index.
    pub(crate) fn to_json(&self) -> String {
        // Text, lists and maps with text for keys: there is nothing that could fail.
        let json = serde_json::to_string(self).unwrap_or_default();
        if !json.contains(unprintable) {
            return json;
        }
        // They stand in strings only, where JSON lets them be written so.
        json.chars()
            .map(|c| match unprintable(c) {
                true => format!("\\u{:04x}", u32::from(c)),
                false => c.to_string(),
            })
            .collect()
    }

    /// The version as a tag can hold it: `+` is the one character of a version that no tag has, `_` the reverse.
    ///
    /// # Errors
    /// `Invalid`/`Tag` for a version that is too long.
    pub(crate) fn tag(&self) -> Result<Tag> {
        self.version.replace('+', "_").parse()
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<()> {
        match key {
            "name" => self.name = exact(key, value)?,
            "home" => self.home = text(key, value)?,
            "sources" => self.sources = texts(key, value)?,
            "version" => self.version = exact(key, value)?,
            "description" => self.description = text(key, value)?,
            "keywords" => self.keywords = texts(key, value)?,
            "maintainers" => self.maintainers = list(key, value)?.iter().map(maintainer).collect::<Result<_>>()?,
            "icon" => self.icon = text(key, value)?,
            "apiVersion" => self.api_version = text(key, value)?,
            "condition" => self.condition = text(key, value)?,
            "tags" => self.tags = text(key, value)?,
            "appVersion" => self.app_version = text(key, value)?,
            "deprecated" => self.deprecated = flag(key, value)?,
            "annotations" => {
                let pairs = map(key, value)?.iter();
                if pairs.clone().any(|(name, _)| name.len() > KEY_MAX) {
                    return Err(fault(format!("the name of an annotation is longer than {KEY_MAX} bytes")));
                }
                self.annotations = pairs
                    .map(|(name, value)| Ok((name.clone(), text("annotations", value)?)))
                    .collect::<Result<_>>()?;
            }
            "kubeVersion" => self.kube_version = text(key, value)?,
            "dependencies" => self.dependencies = list(key, value)?.iter().map(dependency).collect::<Result<_>>()?,
            "type" => self.kind = text(key, value)?,
            _ => {}
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if !matches!(self.api_version.as_str(), "v1" | "v2" | "v3") {
            return Err(fault(match self.api_version.as_str() {
                "" => "Chart.yaml has no apiVersion".to_owned(),
                other => format!("the apiVersion in Chart.yaml is {other:.50}; it must be v1, v2 or v3"),
            }));
        }
        if self.name.is_empty() {
            return Err(fault("Chart.yaml has no name"));
        }
        // Any prefix will do: the name is what is looked at.
        if self.name.len() > 200 || "charts".parse::<Prefix>().and_then(|any| any.repository(&self.name)).is_err() {
            return Err(fault(format!(
                "the chart's name, {:?}, is not one that a repository can have: lower-case letters and digits, with single '.', '_', \
                 '__' or dashes between them",
                shorten(&self.name)
            )));
        }
        if self.version.is_empty() {
            return Err(fault("Chart.yaml has no version"));
        }
        if Version::read(&self.version).is_none() || self.tag().is_err() {
            return Err(fault(format!(
                "the chart's version, {:?}, is not a semantic version of at most 128 characters",
                shorten(&self.version)
            )));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return Err(fault(format!(
                "the chart's type is {:?}; it must be application or library",
                shorten(&self.kind)
            )));
        }
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

fn wrong(key: &str, wanted: &str) -> Error {
    fault(format!("{key:.100} in Chart.yaml must be {wanted}"))
}

/// Text; what stands without quotes and means something else is taken as Helm takes it.
fn text(key: &str, value: &Value) -> Result<String> {
    match &value.node {
        Node::Scalar { text, plain: false } => Ok(text.clone()),
        Node::Scalar { text, plain: true } => Ok(match plain(text) {
            Plain::Null => String::new(),
            Plain::Bool(value) => value.to_string(),
            Plain::Integer(number) => number.to_string(),
            Plain::Float(number) => as_text(number),
            Plain::Text => text.clone(),
        }),
        Node::List(_) | Node::Map(_) => Err(wrong(key, "text")),
    }
}

/// Text that means what it says: `1.10` without quotes is the number 1.1, and a chart of that version another one.
fn exact(key: &str, value: &Value) -> Result<String> {
    let meant = text(key, value)?;
    match &value.node {
        Node::Scalar { text, plain: true } if *text != meant && !meant.is_empty() => Err(fault(format!(
            "the {key} in Chart.yaml must be in quotes: without them {text:.100} means {meant:.100}"
        ))),
        _ => Ok(meant),
    }
}

fn flag(key: &str, value: &Value) -> Result<bool> {
    match &value.node {
        Node::Scalar { text, plain: true } => match plain(text) {
            Plain::Null => Ok(false),
            Plain::Bool(value) => Ok(value),
            Plain::Integer(_) | Plain::Float(_) | Plain::Text => Err(wrong(key, "true or false")),
        },
        _ => Err(wrong(key, "true or false")),
    }
}

fn is_null(value: &Value) -> bool {
    matches!(&value.node, Node::Scalar { text, plain: true } if plain(text) == Plain::Null)
}

fn list<'v>(key: &str, value: &'v Value) -> Result<&'v [Value]> {
    match &value.node {
        Node::List(items) => Ok(items),
        _ if is_null(value) => Ok(&[]),
        _ => Err(wrong(key, "a list")),
    }
}

fn map<'v>(key: &str, value: &'v Value) -> Result<&'v [(String, Value)]> {
    match &value.node {
        Node::Map(entries) => Ok(entries),
        _ if is_null(value) => Ok(&[]),
        _ => Err(wrong(key, "a mapping")),
    }
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>> {
    list(key, value)?.iter().map(|item| text(key, item)).collect()
}

/// What JSON allows in a text and YAML does not print (YAML 1.2 §5.1), or takes for the end of a line: an index that holds
/// it is read by half of the clients.
fn unprintable(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

/// Fields of a Chart.yaml, of a maintainer and of a dependency.
const FIELDS: &[&str] = &[
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];
const MAINTAINER_FIELDS: &[&str] = &["name", "email", "url"];
const DEPENDENCY_FIELDS: &[&str] = &[
    "name",
    "version",
    "repository",
    "condition",
    "tags",
    "enabled",
    "import-values",
    "alias",
];

/// Refuses another spelling of a field: helm reads through Go's JSON, to which `Version` and `verſion` are `version`.
fn spelled(key: &str, fields: &[&str]) -> Result<()> {
    let folded = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
    match fields.iter().find(|field| **field != key && field.eq_ignore_ascii_case(&folded)) {
        Some(field) => Err(fault(format!("{:?} in Chart.yaml must be written {field}", shorten(key)))),
        None => Ok(()),
    }
}

/// Bytes in a key of a map that an index holds, at most: YAML knows no longer key without a mark before it (§7.4.2).
const KEY_MAX: usize = 1000;

fn maintainer(value: &Value) -> Result<Maintainer> {
    if is_null(value) {
        return Err(fault("a maintainer in Chart.yaml is empty"));
    }
    let mut found = Maintainer::default();
    for (key, value) in map("each of the maintainers", value)? {
        spelled(key, MAINTAINER_FIELDS)?;
        match key.as_str() {
            "name" => found.name = text("a maintainer's name", value)?,
            "email" => found.email = text("a maintainer's email", value)?,
            "url" => found.url = text("a maintainer's url", value)?,
            _ => {}
        }
    }
    Ok(found)
}

fn dependency(value: &Value) -> Result<Dependency> {
    if is_null(value) {
        return Err(fault("a dependency in Chart.yaml is empty"));
    }
    let mut found = Dependency::default();
    for (key, value) in map("each of the dependencies", value)? {
        spelled(key, DEPENDENCY_FIELDS)?;
        match key.as_str() {
            "name" => found.name = text("a dependency's name", value)?,
            "version" => found.version = text("a dependency's version", value)?,
            "repository" => found.repository = text("a dependency's repository", value)?,
            "condition" => found.condition = text("a dependency's condition", value)?,
            "tags" => found.tags = texts("a dependency's tags", value)?,
            "enabled" => found.enabled = flag("a dependency's enabled", value)?,
            "import-values" => {
                let items = list("a dependency's import-values", value)?.iter();
                found.import_values = items
                    .map(|item| serde_json::to_value(item.as_ref()).map_err(Error::internal))
                    .collect::<Result<_>>()?;
            }
            "alias" => found.alias = text("a dependency's alias", value)?,
            _ => {}
        }
    }
    if found.name.is_empty() {
        return Err(fault("a dependency in Chart.yaml has no name"));
    }
    // Helm passes over an index's entry with any other one, and says so at every refresh.
    if !found
        .alias
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    {
        return Err(fault(format!(
            "a dependency's alias in Chart.yaml is {:?}; it may hold letters, digits, _ and - alone",
            shorten(&found.alias)
        )));
    }
    Ok(found)
}
