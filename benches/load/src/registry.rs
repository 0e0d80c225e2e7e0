//! The steps of clients that push to a registry and pull from it (OCI distribution specification).

use crate::content::{Blob, digest_of};
use crate::drive::Worker;
use crate::http::{Call, Payload, Verify, drain, escape, read_blob, require};
use crate::image::{Document, Image, MANIFEST};
use anyhow::{Result, bail, ensure};
use hyper::header::{self, HeaderName};
use hyper::{Method, StatusCode};
use std::time::Instant;

/// The content type of uploads.
pub(crate) const OCTETS: (HeaderName, &str) = (header::CONTENT_TYPE, "application/octet-stream");
/// What a client that pulls images says it understands.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json";

/// How a blob is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// POST, then one PUT with all of it.
    Whole,
    /// POST, a streamed PATCH without a length, and an empty PUT, as docker does.
    Streamed,
}

/// A blob on its way to a repository.
pub(crate) struct Upload<'u> {
    /// The repository.
    pub(crate) repository: &'u str,
    /// The blob's digest.
    pub(crate) digest: &'u str,
    /// Its content.
    pub(crate) payload: Payload,
}

impl<'u> Upload<'u> {
    /// Of a blob.
    pub(crate) fn blob(repository: &'u str, blob: &'u Blob) -> Self {
        Self {
            repository,
            digest: &blob.digest,
            payload: Payload::blob(blob),
        }
    }

    /// Of small content.
    pub(crate) fn document(repository: &'u str, document: &'u Document) -> Self {
        Self {
            repository,
            digest: &document.digest,
            payload: Payload::Bytes(document.bytes.clone()),
        }
    }
}

impl Worker {
    /// Pushes a blob.
    pub(crate) async fn upload(&mut self, upload: Upload<'_>, way: Way) -> Result<()> {
        let start = Instant::now();
        let path = format!("/v2/{}/blobs/uploads/", upload.repository);
        let reply = self.connection.fetch(Call::new(Method::POST, &path)).await?;
        reply.require(&[202], "upload start")?;
        let mut location = self.connection.location(&reply.headers)?;
        let size = upload.payload.size();
        let last = match way {
            Way::Whole => upload.payload,
            Way::Streamed => {
                let call = Call::new(Method::PATCH, &location)
                    .headers(&[OCTETS])
                    .payload(upload.payload.chunked());
                let reply = self.connection.fetch(call).await?;
                reply.require(&[202, 204], "upload patch")?;
                location = self.connection.location(&reply.headers)?;
                Payload::Empty
            }
        };
        let path = with_digest(&location, upload.digest);
        let call = Call::new(Method::PUT, &path).headers(&[OCTETS]).payload(last);
        self.connection.fetch(call).await?.require(&[201, 204], "upload end")?;
        self.record.sent += size;
        self.record.latency("blob", start.elapsed());
        Ok(())
    }

    /// Whether a repository has a blob.
    pub(crate) async fn has_blob(&mut self, repository: &str, digest: &str) -> Result<bool> {
        let start = Instant::now();
        let path = format!("/v2/{repository}/blobs/{digest}");
        let reply = self.connection.fetch(Call::new(Method::HEAD, &path)).await?;
        self.record.latency("head", start.elapsed());
        match reply.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => bail!("head blob: {}", status.as_u16()),
        }
    }

    /// Whether a repository has a tag.
    pub(crate) async fn has_tag(&mut self, repository: &str, tag: &str) -> Result<bool> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let call = Call::new(Method::HEAD, &path).headers(&[(header::ACCEPT, MANIFEST)]);
        Ok(self.connection.fetch(call).await?.status == StatusCode::OK)
    }

    /// Pushes a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(&mut self, repository: &str, reference: &str, manifest: &Document) -> Result<()> {
        let start = Instant::now();
        let path = format!("/v2/{repository}/manifests/{reference}");
        let call = Call::new(Method::PUT, &path)
            .headers(&[(header::CONTENT_TYPE, MANIFEST)])
            .payload(Payload::Bytes(manifest.bytes.clone()));
        let reply = self.connection.fetch(call).await?;
        reply.require(&[201], "put manifest")?;
        if let Some(digest) = reply.headers.get("docker-content-digest") {
            ensure!(digest.as_bytes() == manifest.digest.as_bytes(), "put manifest: the digest differs");
        }
        self.record.sent += manifest.bytes.len() as u64;
        self.record.latency("manifest", start.elapsed());
        Ok(())
    }

    /// Pushes an image; blobs that are there already are left out if `ask_first`.
    pub(crate) async fn push(&mut self, image: &Image, way: Way, ask_first: bool) -> Result<()> {
        let start = Instant::now();
        let layers = image.layers.iter().map(|layer| Upload::blob(&image.repository, layer));
        for upload in layers.chain([Upload::document(&image.repository, &image.config)]) {
            if ask_first && self.has_blob(upload.repository, upload.digest).await? {
                self.record.note("blob_hits");
            } else {
                self.upload(upload, way).await?;
            }
        }
        self.put_manifest(&image.repository, &image.tag, &image.manifest).await?;
        self.record.latency("op", start.elapsed());
        Ok(())
    }

    /// Mounts a blob from another repository; gives whether the server did.
    pub(crate) async fn mount(&mut self, repository: &str, from: &str, digest: &str) -> Result<bool> {
        let start = Instant::now();
        let path = format!("/v2/{repository}/blobs/uploads/?mount={}&from={}", escape(digest), escape(from));
        let reply = self.connection.fetch(Call::new(Method::POST, &path)).await?;
        self.record.latency("mount", start.elapsed());
        match reply.status {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => {
                self.record.note("mount_refused");
                let location = self.connection.location(&reply.headers)?;
                self.connection.fetch(Call::new(Method::DELETE, &location)).await?;
                Ok(false)
            }
            status => bail!("mount: {}", status.as_u16()),
        }
    }

    /// Gets the manifest of an image by a tag or digest, and checks it.
    pub(crate) async fn get_manifest(&mut self, image: &Image, reference: &str) -> Result<()> {
        let path = image.manifest_path(reference);
        let call = Call::get(&path).headers(&[(header::ACCEPT, ACCEPTED)]);
        let reply = self.connection.fetch(call).await?;
        reply.require(&[200], "get manifest")?;
        self.record.received += reply.body.len() as u64;
        let same = match self.verify {
            Verify::Digest => digest_of(&reply.body) == image.manifest.digest,
            Verify::Bytes => reply.body == image.manifest.bytes,
            Verify::None => reply.body.len() == image.manifest.bytes.len(),
        };
        ensure!(same, "the manifest differs");
        Ok(())
    }

    /// Gets a blob by its path, and checks it.
    pub(crate) async fn get_blob(&mut self, path: &str, blob: &Blob) -> Result<()> {
        let start = Instant::now();
        let response = self.connection.send(Call::get(path)).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            drain(response).await?;
            return require(status, &[200], "get blob");
        }
        self.record.latency("first-byte", start.elapsed());
        self.record.received += read_blob(response, blob, 0..blob.size, self.verify).await?;
        Ok(())
    }

    /// Pulls an image: manifest by tag, configuration, layers.
    pub(crate) async fn pull(&mut self, image: &Image) -> Result<()> {
        let start = Instant::now();
        self.get_manifest(image, &image.tag).await?;
        let reply = self.connection.fetch(Call::get(&image.blob_path(&image.config.digest))).await?;
        reply.require(&[200], "get config")?;
        ensure!(digest_of(&reply.body) == image.config.digest, "the configuration differs");
        self.record.received += reply.body.len() as u64;
        for layer in &image.layers {
            self.get_blob(&image.blob_path(&layer.digest), layer).await?;
        }
        self.record.latency("op", start.elapsed());
        Ok(())
    }
}

/// A location with the digest that ends an upload.
fn with_digest(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={}", escape(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_joins_the_query_that_the_location_has() {
        assert_eq!(
            with_digest("/v2/a/blobs/uploads/1", "sha256:00"),
            "/v2/a/blobs/uploads/1?digest=sha256%3A00"
        );
        assert_eq!(
            with_digest("/v2/a/blobs/uploads/1?_state=x", "sha256:00"),
            "/v2/a/blobs/uploads/1?_state=x&digest=sha256%3A00"
        );
    }
}
