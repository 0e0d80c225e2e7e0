//! Files by tus, as a client goes on with them whatever happens to the server: one that comes in two pieces, and one
//! that is joined of parts.

use crate::support::{Answer, Call, Client};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn tus<'c>(client: &'c Client, method: &str, path: &str) -> Call<'c> {
    client.call(method, path).header("Tus-Resumable", "1.0.0")
}

fn metadata(path: &str) -> String {
    format!("filename {}", STANDARD.encode(path))
}

/// A file that comes in two pieces.
pub(super) struct Pieces {
    root: String,
    path: String,
    file: Vec<u8>,
    /// The end of the first piece.
    middle: usize,
    at: Option<String>,
    /// Whether the first piece was acknowledged, and no answer has come since.
    unheard: bool,
}

impl Pieces {
    pub(super) fn new(root: &str, path: &str, file: Vec<u8>, middle: usize) -> Self {
        Self {
            root: root.to_owned(),
            path: path.to_owned(),
            file,
            middle,
            at: None,
            unheard: false,
        }
    }

    /// Sends what is missing. The last answer, or the first that is none of success.
    #[track_caller]
    pub(super) fn go_on(&mut self, client: &Client) -> Option<Answer> {
        let mut stands = 0;
        if let Some(at) = &self.at {
            let answer = tus(client, "HEAD", at).attempt()?;
            match answer.status {
                200 => stands = answer.header("upload-offset").parse().unwrap(),
                // A fault of the disk takes bytes along. The death of the process does not.
                404 => {
                    assert!(!self.unheard, "what was acknowledged is gone");
                    self.at = None;
                }
                _ => return Some(answer),
            }
            if stands == self.file.len() {
                return Some(answer);
            }
        }
        if self.at.is_none() {
            let created = tus(client, "POST", &self.root)
                .header("Upload-Length", &self.file.len().to_string())
                .header("Upload-Metadata", &metadata(&self.path))
                .attempt_body(b"")?;
            if created.status != 201 {
                return Some(created);
            }
            self.at = Some(created.header("location").to_owned());
        }
        loop {
            let end = if stands < self.middle { self.middle } else { self.file.len() };
            self.unheard = stands >= self.middle;
            let answer = tus(client, "PATCH", self.at.as_deref()?)
                .header("Content-Type", "application/offset+octet-stream")
                .header("Upload-Offset", &stands.to_string())
                .attempt_body(&self.file[stands..end])?;
            self.unheard = false;
            if answer.status != 204 || end == self.file.len() {
                return Some(answer);
            }
            stands = end;
        }
    }
}

/// A file whose parts are there, to be joined.
pub(super) struct Parts {
    root: String,
    path: String,
    parts: Vec<String>,
}

impl Parts {
    /// Sends the parts.
    #[track_caller]
    pub(super) fn send(client: &Client, root: &str, path: &str, parts: &[&[u8]]) -> Self {
        let sent = parts.iter().map(|part| {
            let created = tus(client, "POST", root)
                .header("Upload-Concat", "partial")
                .header("Upload-Length", &part.len().to_string())
                .header("Content-Type", "application/offset+octet-stream")
                .body(part)
                .expect(201);
            created.header("location").to_owned()
        });
        Self {
            root: root.to_owned(),
            path: path.to_owned(),
            parts: sent.collect(),
        }
    }

    pub(super) fn join(&self, client: &Client) -> Option<Answer> {
        tus(client, "POST", &self.root)
            .header("Upload-Concat", &format!("final;{}", self.parts.join(" ")))
            .header("Upload-Metadata", &metadata(&self.path))
            .attempt_body(b"")
    }
}
