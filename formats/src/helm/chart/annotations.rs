//! What a chart says about itself in annotations, in the words of Artifact Hub
//! (<https://artifacthub.io/docs/topics/annotations/helm/>): YAML inside of text, in part. It becomes labels of the chart's
//! version and a list of images.
//!
//! None of it decides whether helm can use a chart, so none of it makes a chart unfit: what cannot be read is left out as
//! a whole, and a label says why.

use super::fault;
use super::image::ImageReference;
use super::values::{self, Value, list, map};
use super::yaml::{self, Node};
use granary_storage::catalog::{CHART_LABELS, ChartImage};
use granary_storage::label::{self, Labels};
use granary_storage::limits::Limits;
use granary_storage::{Error, Result};
use std::collections::BTreeMap;

/// What the annotations of a chart say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Labels of its version, each key beginning with [`CHART_LABELS`].
    pub(crate) labels: Labels,
    /// The images that it runs, in its order. Which of them are here is not known yet.
    pub(crate) images: Vec<ChartImage>,
}

/// What one annotation says.
#[derive(Default)]
struct One {
    /// By their keys behind [`CHART_LABELS`].
    labels: Vec<(String, String)>,
    images: Vec<ChartImage>,
}

/// Reads an annotation: what faults call it, its name, its text.
type Read = fn(&str, &str, &str, &Limits) -> Result<One>;

/// The annotations that are read, by their names behind [`CHART_LABELS`]; those first that make one label.
const KNOWN: [(&str, Read); 9] = [
    ("license", words),
    ("category", words),
    ("prerelease", truth),
    ("containsSecurityUpdates", truth),
    ("signKey", sign_key),
    ("images", images),
    ("changes", changes),
    ("links", links),
    ("crds", crds),
];

/// The kinds of a change (<https://keepachangelog.com>).
const CHANGES: [&str; 6] = ["added", "changed", "deprecated", "removed", "fixed", "security"];

impl Said {
    /// What these annotations say. Blocks for as long as their limits let them be.
    pub(super) fn read(annotations: &BTreeMap<String, String>, limits: &Limits) -> Self {
        let mut said = Self::default();
        // There is always room to say that something was not read.
        let room = limits.labels_per_version.saturating_sub(KNOWN.len());
        let mut unread = Vec::new();
        for (name, read) in KNOWN {
            let Some(text) = annotations.get(&format!("{CHART_LABELS}{name}")) else {
                continue;
            };
            let what = format!("the annotation {CHART_LABELS}{name}");
            let one = read(&what, name, text, limits).and_then(|one| said.with(one, room, limits));
            match one {
                Ok(more) => said = more,
                Err(error) => unread.push((name, error)),
            }
        }
        for (name, error) in unread {
            let mut labels = said.labels.clone();
            let key = format!("{CHART_LABELS}unread/{name}");
            // Where the limits leave no room even for this, nothing is said.
            if labels.add(&key, &sentence(&error, limits), limits).is_ok() {
                said.labels = labels;
            }
        }
        said
    }

    /// The same and what one annotation says, all of it or nothing.
    fn with(&self, one: One, room: usize, limits: &Limits) -> Result<Self> {
        let mut labels = self.labels.clone();
        for (key, value) in one.labels {
            labels.add(&format!("{CHART_LABELS}{key}"), &value, limits)?;
        }
        if labels.iter().count() > room {
            return Err(fault(format!(
                "it would make more labels than the {} that a version may have leave room for",
                limits.labels_per_version
            )));
        }
        let images = [self.images.as_slice(), &one.images].concat();
        Ok(Self { labels, images })
    }
}

/// A fault as the value of a label: in one line that is short enough.
fn sentence(error: &Error, limits: &Limits) -> String {
    let most = limits.label_value_bytes.min(label::VALUE_MAX);
    let mut text = error.message().replace(char::is_control, " ");
    while text.len() > most {
        text.pop();
    }
    text
}

fn one(key: &str, value: impl Into<String>) -> One {
    One {
        labels: vec![(key.to_owned(), value.into())],
        images: Vec::new(),
    }
}

fn words(_: &str, name: &str, text: &str, _: &Limits) -> Result<One> {
    Ok(one(name, text.trim()))
}

fn truth(what: &str, name: &str, text: &str, _: &Limits) -> Result<One> {
    let word = text.trim().to_ascii_lowercase();
    match word.as_str() {
        "true" | "false" => Ok(one(name, word)),
        _ => Err(fault(format!("{what} must be true or false"))),
    }
}

fn sign_key(what: &str, name: &str, text: &str, limits: &Limits) -> Result<One> {
    let document = yaml::read(text, what, limits)?;
    let mut said = One::default();
    for (key, value) in map(what, &document)?.iter().filter(|(key, _)| key == "fingerprint" || key == "url") {
        said.labels
            .push((format!("{name}/{key}"), values::text(what, value)?.trim().to_owned()));
    }
    Ok(said)
}

/// The fields of an item of a list, as text where they are; other ones are not looked at.
fn fields<const N: usize>(what: &str, item: &Value, names: [&str; N]) -> Result<[String; N]> {
    let entries = map(&format!("each item of {what}"), item)?;
    let mut found = [const { String::new() }; N];
    for (place, name) in found.iter_mut().zip(names) {
        if let Some((_, value)) = entries.iter().find(|(key, _)| key == name) {
            *place = values::text(&format!("{name} in {what}"), value)?.trim().to_owned();
        }
    }
    Ok(found)
}

fn needed(what: &str, name: &str, text: &str) -> Result<()> {
    match text.is_empty() {
        true => Err(fault(format!("an item of {what} has no {name}"))),
        false => Ok(()),
    }
}

fn images(what: &str, name: &str, text: &str, limits: &Limits) -> Result<One> {
    let document = yaml::read(text, what, limits)?;
    let items = list(what, &document)?;
    if items.len() > limits.chart_images {
        return Err(fault(format!("{what} names more than {} images", limits.chart_images)));
    }
    let mut said = one(name, items.len().to_string());
    for item in items {
        let [called, image] = fields(what, item, ["name", "image"])?;
        needed(what, "image", &image)?;
        if called.chars().chain(image.chars()).any(char::is_control) {
            return Err(fault(format!("{what} holds control characters")));
        }
        let parts = ImageReference::read(&image);
        said.images.push(ChartImage {
            name: called,
            image,
            registry: parts.as_ref().map(|parts| parts.registry.clone()),
            path: parts.as_ref().map(|parts| parts.path.clone()),
            tag: parts.as_ref().and_then(|parts| parts.tag.clone()),
            digest: parts.and_then(|parts| parts.digest),
        });
    }
    Ok(said)
}

/// How many changes there are, and how many of each kind: what they say is in the annotation, for whoever reads the chart.
fn changes(what: &str, name: &str, text: &str, limits: &Limits) -> Result<One> {
    let document = yaml::read(text, what, limits)?;
    let items = list(what, &document)?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.iter().filter(|item| matches!(item.node, Node::Map(_) | Node::List(_))) {
        let [kind, description] = fields(what, item, ["kind", "description"])?;
        needed(what, "description", &description)?;
        match kind.as_str() {
            "" => {}
            kind if CHANGES.contains(&kind) => *kinds.entry(kind.to_owned()).or_default() += 1,
            other => return Err(fault(format!("{what} holds a change of the kind {other:.50}, which is none"))),
        }
    }
    let mut said = one(name, items.len().to_string());
    let each = kinds.into_iter().map(|(kind, count)| (format!("{name}/{kind}"), count.to_string()));
    said.labels.extend(each);
    Ok(said)
}

fn links(what: &str, name: &str, text: &str, limits: &Limits) -> Result<One> {
    let document = yaml::read(text, what, limits)?;
    let mut said = One::default();
    for item in list(what, &document)? {
        let [called, url] = fields(what, item, ["name", "url"])?;
        needed(what, "name", &called)?;
        needed(what, "url", &url)?;
        said.labels.push((format!("{name}/{}", as_key(&called)), url));
    }
    Ok(said)
}

/// A name in the characters that a key has.
fn as_key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// The resources that it defines, by their names, in all their versions.
fn crds(what: &str, name: &str, text: &str, limits: &Limits) -> Result<One> {
    let document = yaml::read(text, what, limits)?;
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in list(what, &document)? {
        let [called, kind, version] = fields(what, item, ["name", "kind", "version"])?;
        needed(what, "name", &called)?;
        known
            .entry(format!("{name}/{called}"))
            .or_default()
            .push(format!("{kind} {version}").trim().to_owned());
    }
    let labels = known.into_iter().map(|(key, versions)| (key, versions.join(", "))).collect();
    Ok(One {
        labels,
        images: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn read_with(annotations: &[(&str, &str)], limits: &Limits) -> Said {
        let all = annotations
            .iter()
            .map(|(name, text)| (format!("artifacthub.io/{name}"), (*text).to_owned()));
        Said::read(&all.collect(), limits)
    }

    /// The labels, without what all their keys begin with.
    fn labels(annotations: &[(&str, &str)]) -> Vec<(String, String)> {
        let said = read_with(annotations, &Limits::default());
        let labels = said.labels.iter();
        labels
            .map(|(key, value)| (key.strip_prefix("artifacthub.io/").unwrap().to_owned(), value.to_owned()))
            .collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_annotation_that_is_known_becomes_labels() {
        let all = [
            ("license", "Apache-2.0\n"),
            ("category", "security"),
            ("prerelease", "true"),
            ("containsSecurityUpdates", "False"),
            (
                "signKey",
                "fingerprint: C874011F0AB405110D02105534365D9472D7468F\nurl: https://keybase.io/hashicorp/pgp_keys.asc\n",
            ),
            (
                "links",
                "- name: Source Code\n  url: https://example.com/a\n- {name: support, url: 'https://example.com/b'}\n",
            ),
            (
                "changes",
                "- kind: security\n  description: a hole\n  links: [{name: x, url: y}]\n- kind: security\n  description: another\n- {kind: fixed, description: c}\n",
            ),
            (
                "crds",
                "- kind: Widget\n  version: v1\n  name: widgets.example.com\n- {kind: Widget, version: v2, name: widgets.example.com}\n",
            ),
            ("images", "- name: one\n  image: nginx:1\n  whitelisted: true\n"),
            ("recommendations", "- url: https://example.com\n"),
        ];
        let expected = [
            ("category", "security"),
            ("changes", "3"),
            ("changes/fixed", "1"),
            ("changes/security", "2"),
            ("containssecurityupdates", "false"),
            ("crds/widgets.example.com", "Widget v1, Widget v2"),
            ("images", "1"),
            ("license", "Apache-2.0"),
            ("links/source-code", "https://example.com/a"),
            ("links/support", "https://example.com/b"),
            ("prerelease", "true"),
            ("signkey/fingerprint", "C874011F0AB405110D02105534365D9472D7468F"),
            ("signkey/url", "https://keybase.io/hashicorp/pgp_keys.asc"),
        ];
        assert_eq!(labels(&all), pairs(&expected));
        assert_eq!(labels(&[("changes", "- one\n- two\n")]), pairs(&[("changes", "2")]));
        assert_eq!(labels(&[]), []);
    }

    #[test]
    fn images_are_kept_as_written_whether_or_not_they_can_be_read() {
        let said = read_with(
            &[(
                "images",
                "- name: web\n  image: registry.example.com/acme/web:1.4\n- image: '{{ .Values.image }}'\n",
            )],
            &Limits::default(),
        );
        let told: Vec<_> = said
            .images
            .iter()
            .map(|image| {
                (
                    image.name.as_str(),
                    image.image.as_str(),
                    image.path.as_deref(),
                    image.tag.as_deref(),
                )
            })
            .collect();
        let expected = [
            ("web", "registry.example.com/acme/web:1.4", Some("acme/web"), Some("1.4")),
            ("", "{{ .Values.image }}", None, None),
        ];
        assert_eq!(told, expected);
        assert_eq!(said.images[0].registry.as_deref(), Some("registry.example.com"));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_a_label_says_why() {
        for (name, text, why) in [
            ("license", "a\nb", "control characters"),
            ("prerelease", "yes", "must be true or false"),
            ("signKey", "- a\n", "must be a mapping"),
            ("images", "- image: [", "not valid YAML"),
            ("images", "web: nginx\n", "must be a list"),
            ("images", "- nginx\n", "each item of"),
            ("images", "- name: web\n", "has no image"),
            ("images", "- image: [a]\n", "must be text"),
            ("images", "", "is empty"),
            ("changes", "- kind: broken\n  description: x\n", "which is none"),
            ("changes", "- kind: fixed\n", "has no description"),
            ("links", "- name: ü\n  url: u\n", "the key of a label"),
            ("links", "- name: a\n  url: u\n- name: A\n  url: v\n", "given twice"),
            ("crds", "- kind: Widget\n", "has no name"),
            ("crds", "a: &a [*a]\n", "part of"),
        ] {
            // Others are read all the same.
            let found = labels(&[(name, text), ("category", "storage")]);
            let [category, unread] = found.as_slice() else {
                panic!("{name}: {found:?}")
            };
            assert_eq!(*category, ("category".to_owned(), "storage".to_owned()));
            assert_eq!(unread.0, format!("unread/{}", name.to_ascii_lowercase()));
            assert!(unread.1.contains(why), "{name}: {}", unread.1);
        }
    }

    #[test]
    fn a_chart_has_no_more_labels_and_images_than_the_limits_let_it() {
        let limits = Limits {
            chart_images: 2,
            labels_per_version: 12,
            label_value_bytes: 40,
            ..Limits::default()
        };
        let list = |count: usize| "- image: nginx\n".repeat(count);
        assert_eq!(read_with(&[("images", &list(2))], &limits).images.len(), 2);
        let said = read_with(&[("images", &list(3)), ("license", "MIT")], &limits);
        assert_eq!(said.images, []);
        let why = said.labels.iter().find(|(key, _)| key.ends_with("unread/images")).unwrap().1;
        assert_eq!(why, "the annotation artifacthub.io/images nam");
        let links: String = (0..4).map(|number| format!("- {{name: l{number}, url: u}}\n")).collect();
        let said = read_with(&[("links", &links), ("license", "MIT")], &limits);
        let keys: Vec<_> = said.labels.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["artifacthub.io/license", "artifacthub.io/unread/links"]);
        let least = Limits {
            labels_per_version: 1,
            ..Limits::default()
        };
        assert_eq!(read_with(&[("license", "MIT"), ("images", "[")], &least).labels.iter().count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_annotation_makes_a_chart_unfit(name in 0usize..KNOWN.len(), text in "(?s).{0,200}|(- |\\{|\\[|name|image|: |\n|&a|\\*a|,|\\}|\\]|kind|url){0,40}") {
            let limits = Limits::default();
            let said = read_with(&[(KNOWN[name].0, &text)], &limits);
            for (key, value) in said.labels.iter() {
                prop_assert_eq!(label::key(key, &limits).unwrap(), key);
                prop_assert_eq!(label::value(value, &limits).unwrap(), value);
            }
        }
    }
}
