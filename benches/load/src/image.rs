//! The images that are pushed and pulled: one small configuration, some incompressible layers.

use crate::content::{Blob, digest_of, mix};
use crate::options::Options;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// Media types of the OCI image specification.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of an index, and of a list of referrers.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Small content that is kept, and its digest.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The content.
    pub(crate) bytes: Bytes,
    /// Its digest.
    pub(crate) digest: String,
}

impl Document {
    fn new(content: &Value) -> Self {
        let bytes = Bytes::from(content.to_string());
        Self {
            digest: digest_of(&bytes),
            bytes,
        }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "size": self.bytes.len(), "digest": self.digest})
    }
}

/// An image, and where it belongs.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Its repository.
    pub(crate) repository: String,
    /// Its tag.
    pub(crate) tag: String,
    /// Its configuration.
    pub(crate) config: Document,
    /// Its layers.
    pub(crate) layers: Vec<Arc<Blob>>,
    /// Its manifest.
    pub(crate) manifest: Document,
}

impl Image {
    /// An image of these layers. Another seed makes another configuration, and so another manifest.
    pub(crate) fn new(repository: String, tag: String, seed: u64, layers: Vec<Arc<Blob>>) -> Self {
        let digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = Document::new(&json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"granary-load.seed": format!("{seed:016x}")}},
            "rootfs": {"type": "layers", "diff_ids": digests},
        }));
        let descriptors: Vec<Value> = layers.iter().map(|layer| layer_descriptor(layer)).collect();
        let manifest = Document::new(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": descriptors,
        }));
        Self {
            repository,
            tag,
            config,
            layers,
            manifest,
        }
    }

    /// An image of one layer of a kibibyte, the same in every repository.
    pub(crate) fn tiny(options: &Options, repository: String, tag: &str, salt: u64) -> Self {
        let layer = Blob::new(mix(options.seed ^ 0x717), 1024);
        Self::new(repository, tag.to_owned(), options.seed ^ salt, vec![Arc::new(layer)])
    }

    /// The manifest of a numbered artifact that refers to this image.
    pub(crate) fn referrer(&self, number: u64) -> Document {
        let layers: Vec<Value> = self.layers.iter().map(|layer| layer_descriptor(layer)).collect();
        Document::new(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.granary-load.note",
            "config": self.config.descriptor(CONFIG),
            "layers": layers,
            "subject": self.manifest.descriptor(MANIFEST),
            "annotations": {"granary-load.number": number.to_string()},
        }))
    }

    /// The path of its manifest by a tag or digest.
    pub(crate) fn manifest_path(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository)
    }

    /// The path of one of its blobs.
    pub(crate) fn blob_path(&self, digest: &str) -> String {
        format!("/v2/{}/blobs/{digest}", self.repository)
    }
}

fn layer_descriptor(layer: &Blob) -> Value {
    json!({"mediaType": LAYER, "size": layer.size, "digest": layer.digest})
}

/// Some images that have nothing in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Images<'i> {
    /// What their repositories are named after.
    pub(crate) name: &'i str,
    /// How many.
    pub(crate) count: u64,
    /// Layers of each.
    pub(crate) layers: u64,
    /// Bytes of each layer.
    pub(crate) layer_size: u64,
}

impl Images<'_> {
    /// Makes them, spread over a few repositories.
    pub(crate) fn make(self, options: &Options) -> Vec<Image> {
        let name = self
            .name
            .bytes()
            .fold(0u64, |hash, byte| hash.wrapping_mul(131).wrapping_add(u64::from(byte)));
        let seed = mix(options.seed ^ mix(name));
        (0..self.count)
            .map(|number| {
                let layer = |index| Arc::new(Blob::new(mix(seed ^ number << 16 ^ index), self.layer_size));
                Image::new(
                    format!("{}/{}-{:x}", options.prefix, self.name, number % options.spread),
                    format!("v{number}-{:x}", options.seed),
                    seed ^ number,
                    (0..self.layers).map(layer).collect(),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::collections::HashSet;

    fn layer(seed: u64) -> Arc<Blob> {
        Arc::new(Blob::new(seed, 100))
    }

    #[test]
    fn a_manifest_names_exactly_what_is_pushed() {
        let image = Image::new("load/a".into(), "v1".into(), 1, vec![layer(1), layer(2)]);
        let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
        assert_eq!(manifest["config"]["digest"], image.config.digest);
        assert_eq!(manifest["config"]["size"], image.config.bytes.len());
        assert_eq!(manifest["layers"][1]["digest"], image.layers[1].digest);
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
        assert_eq!(image.manifest.digest, digest_of(&image.manifest.bytes));
    }

    #[test]
    fn images_that_differ_only_in_their_seed_share_layers_and_nothing_else() {
        let [one, two] = [1, 2].map(|seed| Image::new("load/a".into(), "v1".into(), seed, vec![layer(1)]));
        assert_eq!(one.layers[0].digest, two.layers[0].digest);
        assert_ne!(one.config.digest, two.config.digest);
        assert_ne!(one.manifest.digest, two.manifest.digest);
    }

    #[test]
    fn referrers_differ_and_name_their_subject() {
        let image = Image::new("load/a".into(), "v1".into(), 1, vec![layer(1)]);
        let digests: HashSet<String> = (0..50).map(|number| image.referrer(number).digest).collect();
        assert_eq!(digests.len(), 50);
        let referrer: Value = serde_json::from_slice(&image.referrer(7).bytes).unwrap();
        assert_eq!(referrer["subject"]["digest"], image.manifest.digest);
    }
}
