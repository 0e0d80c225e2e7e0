//! Things to push: bytes that are reproducible, and manifests made of them.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

/// The media type of an OCI image's manifest.
pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of the deprecated artifact manifest.
pub(crate) const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// The media type of docker's schema 2.
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of docker's manifest list.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Computed apart from the server's own code.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// The same with the other algorithm.
pub(crate) fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex(&Sha512::digest(bytes)))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `count` bytes that no compression shortens, the same ones for the same seed.
pub(crate) fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(count).collect()
}

/// A descriptor of `bytes`.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()})
}

/// A manifest's bytes and the type that they are pushed as.
#[derive(Clone)]
pub(crate) struct Manifest {
    /// The type.
    pub(crate) media_type: String,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Manifest {
    /// A manifest of this type; its `mediaType` field is set to it.
    pub(crate) fn new(media_type: &str, mut body: Value) -> Self {
        body["mediaType"] = json!(media_type);
        Self {
            media_type: media_type.to_owned(),
            bytes: serde_json::to_vec(&body).unwrap(),
        }
    }

    /// An index of these.
    pub(crate) fn index(children: &[&Self]) -> Self {
        let children: Vec<Value> = children.iter().map(|child| child.descriptor()).collect();
        Self::new(OCI_INDEX, json!({"schemaVersion": 2, "manifests": children}))
    }

    /// Something of the type `artifact_type` about `subject`: an image manifest of the empty config.
    pub(crate) fn about(subject: &Self, artifact_type: &str, note: &str) -> Self {
        let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
        let body = json!({
            "schemaVersion": 2, "artifactType": artifact_type, "config": empty, "layers": [empty],
            "subject": subject.descriptor(), "annotations": {"note": note},
        });
        Self::new(OCI_IMAGE, body)
    }

    /// Its digest.
    pub(crate) fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    /// A descriptor of it.
    pub(crate) fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.bytes)
    }

    /// Its body, to be changed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

/// An image of one layer.
#[derive(Clone)]
pub(crate) struct Image {
    /// The config.
    pub(crate) config: Vec<u8>,
    /// The layer.
    pub(crate) layer: Vec<u8>,
    /// The manifest.
    pub(crate) manifest: Manifest,
}

impl Image {
    /// An image that differs from those with another text.
    pub(crate) fn new(text: &str) -> Self {
        let layer = format!("the layer of {text}").into_bytes();
        let config =
            json!({"architecture": "amd64", "os": "linux", "author": text, "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}});
        let config = serde_json::to_vec(&config).unwrap();
        let body = json!({
            "schemaVersion": 2,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
        });
        Self {
            manifest: Manifest::new(OCI_IMAGE, body),
            config,
            layer,
        }
    }

    /// The digest of its manifest.
    pub(crate) fn digest(&self) -> String {
        self.manifest.digest()
    }
}
