//! From the bytes of a manifest to what the catalog has to know of it. Pure: whether
//! what it names exists is the catalog's question.
//!
//! Tolerant where the specification is (unknown fields, any media type of a layer),
//! strict where two readers could disagree about what the bytes mean.

use crate::helm::{self, ChartLayers};
use granary_storage::catalog::{EdgeRole, Kind, NewEdge};
use granary_storage::limits::Limits;
use granary_storage::{Digest, Error, ErrorKind, Result, What};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a manifest says.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) media_type: String,
    pub(super) kind: Kind,
    pub(super) artifact_type: Option<String>,
    pub(super) subject: Option<Digest>,
    /// Its annotations, as JSON.
    pub(super) labels: String,
    pub(super) total_size: u64,
    pub(super) edges: Vec<NewEdge>,
    /// What of it holds a chart, when it says that it holds one.
    pub(super) chart: Option<ChartLayers>,
    /// What the pusher should hear, though nothing is refused.
    pub(super) warnings: Vec<&'static str>,
    annotations: BTreeMap<String, String>,
}

const DEPRECATED_ARTIFACT: &str =
    "the OCI artifact manifest was withdrawn from the specification; push an image manifest with an artifactType instead";
const KEPT_ELSEWHERE: &str = "some layers are not distributable: this registry may not hold them, and a pull fetches them from elsewhere";

impl Parsed {
    /// Its descriptor, as a list of referrers shows it (distribution-spec, "Listing Referrers").
    pub(super) fn descriptor(&self, digest: &Digest, size: usize) -> String {
        let mut descriptor = json!({"mediaType": self.media_type, "digest": digest.to_string(), "size": size});
        if let Some(artifact_type) = &self.artifact_type {
            descriptor["artifactType"] = json!(artifact_type);
        }
        if !self.annotations.is_empty() {
            descriptor["annotations"] = json!(self.annotations);
        }
        descriptor.to_string()
    }
}

/// The fields that carry meaning here. Serde refuses a field that stands twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'m> {
    schema_version: Option<i64>,
    #[serde(borrow)]
    media_type: Option<Cow<'m, str>>,
    #[serde(borrow)]
    artifact_type: Option<Cow<'m, str>>,
    #[serde(borrow)]
    config: Option<Descriptor<'m>>,
    #[serde(borrow)]
    layers: Option<Vec<Descriptor<'m>>>,
    /// The layers of the deprecated artifact manifest.
    #[serde(borrow)]
    blobs: Option<Vec<Descriptor<'m>>>,
    #[serde(borrow)]
    manifests: Option<Vec<Descriptor<'m>>>,
    #[serde(borrow)]
    subject: Option<Descriptor<'m>>,
    annotations: Option<BTreeMap<String, String>>,
    /// Only schema 1 has it.
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'m> {
    #[serde(borrow, default)]
    media_type: Cow<'m, str>,
    #[serde(borrow)]
    digest: Cow<'m, str>,
    size: u64,
    urls: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(borrow)]
    data: Option<Cow<'m, str>>,
}

/// The sentence about what is no manifest, without a copy of all that was sent.
fn not_json(error: &serde_json::Error) -> Error {
    invalid(format!("the manifest is not valid: {:.200}", error.to_string()))
}

/// The fields that decide what a manifest is and refers to.
const MEANINGFUL: [&str; 9] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "blobs",
    "manifests",
    "subject",
    "annotations",
];

/// The keys of an object, in order, as often as they stand.
struct Keys<'m>(Vec<Cow<'m, str>>);

impl<'de: 'm, 'm> Deserialize<'de> for Keys<'m> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<Cow<'de, str>>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = map.next_key()? {
                    let _: serde::de::IgnoredAny = map.next_value()?;
                    keys.push(key);
                }
                Ok(keys)
            }
        }
        deserializer.deserialize_map(Visitor).map(Self)
    }
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::invalid(What::Manifest, message)
}

/// Reads a manifest of the declared media type; without one, of the type that the manifest itself states.
pub(super) fn parse(bytes: &[u8], declared: Option<&str>, limits: &Limits) -> Result<Parsed> {
    if declared.is_some_and(|kind| kind.ends_with("manifest.v1+json") && kind.contains("docker") || kind.ends_with("v1+prettyjws")) {
        return Err(schema_1());
    }
    // Serde would also read an array, field by position.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(invalid("a manifest is a JSON object"));
    }
    // What is skipped over below is not looked at, and other readers refuse what is no text (RFC 8259, section 8.1).
    let text = std::str::from_utf8(bytes).map_err(|cause| invalid("a manifest is written in UTF-8").because(cause))?;
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let Keys(keys) = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    // Some readers take "Layers" for "layers", and the last of the two wins there.
    if let Some(key) = keys
        .iter()
        .find(|key| MEANINGFUL.iter().any(|known| key.eq_ignore_ascii_case(known) && key != known))
    {
        return Err(invalid(format!(
            "the field {key:.40} is one that some readers would take for another; write it as the specification does"
        )));
    }
    if raw.fs_layers.is_some() || raw.schema_version == Some(1) {
        return Err(schema_1());
    }
    let media_type = media_type(&raw, declared)?;
    if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some() || raw.blobs.is_some()) {
        return Err(invalid(
            "the manifest has both layers and manifests; it must be either an image or an index",
        ));
    }
    if media_type != OCI_ARTIFACT && raw.schema_version != Some(2) {
        return Err(invalid("schemaVersion must be 2"));
    }
    let mut reader = Reader {
        edges: Vec::new(),
        total_size: bytes.len() as u64,
        most: limits.manifest_references,
        foreign: false,
    };
    let config_type = match media_type {
        OCI_INDEX | DOCKER_LIST => {
            let children = raw
                .manifests
                .as_ref()
                .ok_or_else(|| invalid("an index needs a list of manifests"))?;
            reader.all(children, EdgeRole::Child)?;
            None
        }
        OCI_ARTIFACT => {
            reader.all(raw.blobs.as_deref().unwrap_or_default(), EdgeRole::Layer)?;
            None
        }
        _ => {
            let config = raw.config.as_ref().ok_or_else(|| invalid("an image manifest needs a config"))?;
            reader.one(config, EdgeRole::Config)?;
            let layers = raw
                .layers
                .as_ref()
                .ok_or_else(|| invalid("an image manifest needs a list of layers, which may be empty"))?;
            reader.all(layers, EdgeRole::Layer)?;
            Some(config.media_type.as_ref())
        }
    };
    let chart = raw.config.as_ref().filter(|_| config_type == Some(helm::CONFIG)).map(|config| {
        let layers = raw.layers.iter().flatten();
        chart_layers(config, layers)
    });
    let subject = match &raw.subject {
        Some(subject) => Some(reader.one(subject, EdgeRole::Subject)?),
        None => None,
    };
    let artifact_type = raw
        .artifact_type
        .as_deref()
        .filter(|text| !text.is_empty())
        .or(config_type)
        .filter(|text| !text.is_empty());
    if artifact_type.is_some_and(|text| text.contains(char::is_control)) {
        return Err(invalid(
            "artifactType, or the config's mediaType, holds a character that no media type has",
        ));
    }
    let annotations = raw.annotations.unwrap_or_default();
    let mut warnings = Vec::new();
    if media_type == OCI_ARTIFACT {
        warnings.push(DEPRECATED_ARTIFACT);
    }
    if reader.foreign {
        warnings.push(KEPT_ELSEWHERE);
    }
    Ok(Parsed {
        kind: kind(media_type, artifact_type, config_type),
        media_type: media_type.to_owned(),
        artifact_type: artifact_type.map(str::to_owned),
        subject,
        labels: json!(annotations).to_string(),
        total_size: reader.total_size,
        edges: reader.edges,
        chart: chart.transpose()?,
        warnings,
        annotations,
    })
}

fn schema_1() -> Error {
    invalid("manifests of docker's schema 1 are not accepted: they cannot be verified; push the image again with a current client")
}

/// The manifest's media type, which header and body must agree on.
fn media_type(raw: &Raw<'_>, declared: Option<&str>) -> Result<&'static str> {
    let stated = raw.media_type.as_deref().filter(|text| !text.is_empty());
    let text = match (declared, stated) {
        (Some(declared), Some(stated)) if declared != stated => {
            return Err(invalid(format!(
                "the Content-Type is {declared:.100}, but the manifest calls itself {stated:.100}"
            )));
        }
        (Some(text), _) | (None, Some(text)) => text,
        (None, None) if raw.manifests.is_some() => OCI_INDEX,
        (None, None) => OCI_IMAGE,
    };
    [OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, OCI_ARTIFACT]
        .into_iter()
        .find(|known| *known == text)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                What::Manifest,
                format!("{text:.100} is not a media type of manifests that this registry keeps"),
            )
        })
}

/// Collects references.
struct Reader {
    edges: Vec<NewEdge>,
    total_size: u64,
    most: usize,
    /// Whether a layer comes from elsewhere.
    foreign: bool,
}

impl Reader {
    fn all(&mut self, descriptors: &[Descriptor<'_>], role: EdgeRole) -> Result<()> {
        descriptors.iter().try_for_each(|descriptor| self.one(descriptor, role).map(drop))
    }

    fn one(&mut self, descriptor: &Descriptor<'_>, role: EdgeRole) -> Result<Digest> {
        if self.edges.len() == self.most {
            return Err(invalid(format!("the manifest refers to more than {} things", self.most)));
        }
        let child: Digest = descriptor
            .digest
            .parse()
            .map_err(|_| invalid(format!("{:.150} is not a digest", descriptor.digest)))?;
        if let Some(data) = &descriptor.data {
            check_data(data, &child, descriptor.size)?;
        }
        // Only what comes from elsewhere, and what the manifest is merely about, may be missing.
        let foreign = descriptor.urls.as_ref().is_some_and(|urls| !urls.is_empty())
            || descriptor.media_type.contains("nondistributable")
            || descriptor.media_type.contains(".foreign.");
        let required = match role {
            EdgeRole::Subject => false,
            EdgeRole::Layer => {
                self.foreign |= foreign;
                !foreign
            }
            EdgeRole::Config | EdgeRole::Child | EdgeRole::File | EdgeRole::Provenance => true,
        };
        if role != EdgeRole::Subject {
            self.total_size = self.total_size.saturating_add(descriptor.size);
        }
        self.edges.push(NewEdge { child, role, required });
        Ok(child)
    }
}

/// The embedded copy of what a descriptor names must be that (image-spec, `descriptor.md`, "data").
fn check_data(data: &str, digest: &Digest, size: u64) -> Result<()> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(data)
        .map_err(|_| invalid("a descriptor's data is not base64"))?;
    if bytes.len() as u64 != size || Digest::of(digest.algorithm(), &bytes) != *digest {
        return Err(invalid("a descriptor's data does not have its digest and size"));
    }
    Ok(())
}

/// The parts of a chart among what a manifest names.
fn chart_layers<'m>(config: &Descriptor<'m>, layers: impl Iterator<Item = &'m Descriptor<'m>>) -> Result<ChartLayers> {
    let digest = |descriptor: &Descriptor<'_>| descriptor.digest.parse::<Digest>();
    let mut found = ChartLayers {
        config: digest(config)?,
        content: Vec::new(),
        provenance: None,
    };
    for layer in layers {
        match layer.media_type.as_ref() {
            helm::CONTENT | helm::CONTENT_OF_OLD => found.content.push(digest(layer)?),
            helm::PROVENANCE => found.provenance = Some(digest(layer)?),
            _ => {}
        }
    }
    Ok(found)
}

/// What people call it. The artifact type decides before the config's type.
fn kind(media_type: &str, artifact_type: Option<&str>, config_type: Option<&str>) -> Kind {
    let names = artifact_type.into_iter().chain(config_type);
    for name in names {
        let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if is(&["cosign.artifact.sig", "cncf.notary.signature", "dev.cosign.simplesigning"]) {
            return Kind::Signature;
        }
        if is(&["cyclonedx", "spdx"]) {
            return Kind::Sbom;
        }
        if is(&["in-toto", "dsse.envelope", "sigstore.bundle"]) {
            return Kind::Attestation;
        }
        if name == helm::CONFIG {
            return Kind::Chart;
        }
    }
    match (media_type, config_type) {
        (OCI_INDEX | DOCKER_LIST, _) => Kind::Index,
        (_, Some("application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json")) => Kind::Image,
        _ => Kind::Artifact,
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
