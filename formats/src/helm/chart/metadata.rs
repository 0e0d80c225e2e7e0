//! Chart.yaml, in the fields that Helm knows and with the types that it gives them.
//!
//! One entry of an index that has a number where Helm wants text makes the whole index unreadable, so what is kept is
//! exactly what Helm itself would write (`chart.Metadata`), in its order. Fields that Helm does not know are left out.

use super::values::{Value, exact, flag, is_null, list, map, shorten, text, texts};
use super::yaml::Node;
use super::{Version, fault, yaml};
use granary_storage::limits::Limits;
use granary_storage::name::Tag;
use granary_storage::prefix::Prefix;
use granary_storage::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;

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
        let document = yaml::read(text, "Chart.yaml", limits)?;
        let Node::Map(fields) = &document.node else {
            return Err(fault("Chart.yaml is no mapping of fields to values"));
        };
        let mut found = Self::default();
        take(&mut found, FIELDS, fields)?;
        found.check(limits)?;
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

    /// The annotations, as written.
    pub(super) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        let most = limits.chart_annotation_key_bytes;
        if self.annotations.keys().any(|name| name.len() > most) {
            return Err(fault(format!("the name of an annotation is longer than {most} bytes")));
        }
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

/// What JSON allows in a text and YAML does not print (YAML 1.2 §5.1), or takes for the end of a line: an index that holds
/// it is read by half of the clients.
fn unprintable(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

/// A field: its name, and how its value becomes part of what is read. What is read and what has to be spelled so are one
/// table.
type Field<T> = (&'static str, fn(&mut T, &Value) -> Result<()>);

macro_rules! fields {
    ($of:literal: $($name:literal => $field:ident by $read:path,)+) => {
        &[$(($name, |found, value| {
            found.$field = $read(concat!($of, $name, " in Chart.yaml"), value)?;
            Ok(())
        })),+]
    };
}

const FIELDS: &[Field<Metadata>] = fields! {"":
    "name" => name by exact,
    "home" => home by text,
    "sources" => sources by texts,
    "version" => version by exact,
    "description" => description by text,
    "keywords" => keywords by texts,
    "maintainers" => maintainers by maintainers,
    "icon" => icon by text,
    "apiVersion" => api_version by text,
    "condition" => condition by text,
    "tags" => tags by text,
    "appVersion" => app_version by text,
    "deprecated" => deprecated by flag,
    "annotations" => annotations by annotations,
    "kubeVersion" => kube_version by text,
    "dependencies" => dependencies by dependencies,
    "type" => kind by text,
};

const MAINTAINER_FIELDS: &[Field<Maintainer>] = fields! {"a maintainer's ":
    "name" => name by text,
    "email" => email by text,
    "url" => url by text,
};

const DEPENDENCY_FIELDS: &[Field<Dependency>] = fields! {"a dependency's ":
    "name" => name by text,
    "version" => version by text,
    "repository" => repository by text,
    "condition" => condition by text,
    "tags" => tags by texts,
    "enabled" => enabled by flag,
    "import-values" => import_values by anything,
    "alias" => alias by text,
};

/// Reads the fields that are known into `found`. Others are left out.
fn take<T>(found: &mut T, fields: &[Field<T>], entries: &[(String, Value)]) -> Result<()> {
    for (key, value) in entries {
        spelled(key, fields)?;
        if let Some((_, take)) = fields.iter().find(|(name, _)| name == key) {
            take(found, value)?;
        }
    }
    Ok(())
}

/// Refuses another spelling of a field: helm reads through Go's JSON, to which `Version` and `verſion` are `version`.
fn spelled<T>(key: &str, fields: &[Field<T>]) -> Result<()> {
    let folded = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
    let names = fields.iter().map(|(name, _)| *name);
    match names.into_iter().find(|name| *name != key && name.eq_ignore_ascii_case(&folded)) {
        Some(field) => Err(fault(format!("{:?} in Chart.yaml must be written {field}", shorten(key)))),
        None => Ok(()),
    }
}

fn annotations(what: &str, value: &Value) -> Result<BTreeMap<String, String>> {
    let pairs = map(what, value)?.iter();
    pairs.map(|(name, value)| Ok((name.clone(), text(what, value)?))).collect()
}

/// Each as JSON, whatever shape it has.
fn anything(what: &str, value: &Value) -> Result<Vec<serde_json::Value>> {
    let items = list(what, value)?.iter();
    items
        .map(|item| serde_json::to_value(item.as_ref()).map_err(Error::internal))
        .collect()
}

fn maintainers(what: &str, value: &Value) -> Result<Vec<Maintainer>> {
    list(what, value)?.iter().map(maintainer).collect()
}

fn dependencies(what: &str, value: &Value) -> Result<Vec<Dependency>> {
    list(what, value)?.iter().map(dependency).collect()
}

fn maintainer(value: &Value) -> Result<Maintainer> {
    if is_null(value) {
        return Err(fault("a maintainer in Chart.yaml is empty"));
    }
    let mut found = Maintainer::default();
    take(&mut found, MAINTAINER_FIELDS, map("each of the maintainers in Chart.yaml", value)?)?;
    Ok(found)
}

fn dependency(value: &Value) -> Result<Dependency> {
    if is_null(value) {
        return Err(fault("a dependency in Chart.yaml is empty"));
    }
    let mut found = Dependency::default();
    take(&mut found, DEPENDENCY_FIELDS, map("each of the dependencies in Chart.yaml", value)?)?;
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
