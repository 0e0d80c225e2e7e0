//! What an OCI client does, in the steps that the specification names.

use super::{Answer, Client, Image, Manifest, sha256};

/// An upload session, as its `Location` names it.
pub(crate) struct Session<'c> {
    client: &'c Client,
    /// The path to go on with.
    pub(crate) location: String,
}

impl Session<'_> {
    /// The path that finishes the upload as `digest`.
    pub(crate) fn finish_path(&self, digest: &str) -> String {
        let separator = if self.location.contains('?') { '&' } else { '?' };
        format!("{}{separator}digest={digest}", self.location)
    }

    /// Appends bytes, without a range.
    pub(crate) fn append(&self, bytes: &[u8]) -> Answer {
        self.client.call("PATCH", &self.location).body(bytes)
    }

    /// Appends bytes that are said to begin at `first`.
    pub(crate) fn chunk(&self, first: usize, bytes: &[u8]) -> Answer {
        let range = format!("{first}-{}", first + bytes.len() - 1);
        self.client
            .call("PATCH", &self.location)
            .header("Content-Range", &range)
            .body(bytes)
    }

    /// Finishes with the last bytes, or with none.
    pub(crate) fn finish(&self, rest: &[u8], digest: &str) -> Answer {
        self.client.call("PUT", &self.finish_path(digest)).body(rest)
    }

    /// `GET` of the session.
    pub(crate) fn status(&self) -> Answer {
        self.client.get(&self.location)
    }

    /// How many bytes the server says it holds. Inclusive ranges cannot tell none from one.
    #[track_caller]
    pub(crate) fn offset(&self) -> usize {
        let status = self.status().expect(204);
        let last = status.header("range").strip_prefix("0-").unwrap();
        match last.parse::<usize>().unwrap() {
            0 => 0,
            last => last + 1,
        }
    }
}

impl Client {
    /// Opens an upload session.
    #[track_caller]
    pub(crate) fn open_session(&self, repository: &str) -> Session<'_> {
        let answer = self.post(&format!("/v2/{repository}/blobs/uploads/")).expect(202);
        Session {
            location: answer.header("location").to_owned(),
            client: self,
        }
    }

    /// The session at a known path.
    pub(crate) fn session_at(&self, location: &str) -> Session<'_> {
        Session {
            client: self,
            location: location.to_owned(),
        }
    }

    /// Pushes a blob, as most clients do; gives its digest.
    #[track_caller]
    pub(crate) fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.open_session(repository).finish(bytes, &digest).expect(201);
        digest
    }

    /// Asks to store a manifest.
    pub(crate) fn put_manifest(&self, repository: &str, reference: &str, manifest: &Manifest) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.call("PUT", &path)
            .header("Content-Type", &manifest.media_type)
            .body(&manifest.bytes)
    }

    /// Stores a manifest under its digest.
    #[track_caller]
    pub(crate) fn push_manifest(&self, repository: &str, manifest: &Manifest) -> String {
        self.put_manifest(repository, &manifest.digest(), manifest).expect(201);
        manifest.digest()
    }

    /// Pushes what a manifest is made of.
    #[track_caller]
    pub(crate) fn push_parts(&self, repository: &str, image: &Image) {
        self.push_blob(repository, &image.config);
        self.push_blob(repository, &image.layer);
    }

    /// Pushes an image under a tag.
    #[track_caller]
    pub(crate) fn push_image(&self, repository: &str, tag: &str, image: &Image) {
        self.push_parts(repository, image);
        self.put_manifest(repository, tag, &image.manifest).expect(201);
    }

    /// Pushes an image made up of `text` under a tag, and gives it.
    #[track_caller]
    pub(crate) fn push(&self, repository: &str, tag: &str, text: &str) -> Image {
        let image = Image::new(text);
        self.push_image(repository, tag, &image);
        image
    }

    /// The digest that a tag points at, or nothing.
    #[track_caller]
    pub(crate) fn tag_digest(&self, repository: &str, tag: &str) -> Option<String> {
        let answer = self.head(&format!("/v2/{repository}/manifests/{tag}"));
        match answer.status {
            404 => None,
            _ => Some(answer.expect(200).header("docker-content-digest").to_owned()),
        }
    }

    /// The status of asking for a blob.
    pub(crate) fn blob_status(&self, repository: &str, digest: &str) -> u16 {
        self.head(&format!("/v2/{repository}/blobs/{digest}")).status
    }

    /// The answer of the token endpoint.
    pub(crate) fn ask_token(&self, query: &str) -> Answer {
        self.get(&format!("/token?{query}"))
    }

    /// A caller with a token for these scopes, space-separated, instead of a password.
    #[track_caller]
    pub(crate) fn with_token(&self, scopes: &str) -> Client {
        let query = format!("service=granary&scope={}", scopes.replace(' ', "&scope="));
        let answer = self.ask_token(&query).expect(200);
        self.bearer(answer.json()["token"].as_str().unwrap())
    }
}
