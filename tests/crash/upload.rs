//! An upload in chunks by a client that does not give up: it asks where the session stands, and goes on.

use crate::support::{Answer, Client, sha256};

/// Requests for one blob, at most.
const REQUESTS: usize = 1000;

/// Such an upload.
pub(super) struct Upload {
    repository: String,
    blob: Vec<u8>,
    piece: usize,
    session: Option<Session>,
    /// Sessions that answered after a failure and were gone on with.
    pub(super) resumed: usize,
}

struct Session {
    location: String,
    /// Bytes that the server said it has.
    acknowledged: usize,
    /// Bytes that it may have.
    sent: usize,
    /// Whether it was asked to finish: then it may be gone.
    finishing: bool,
    /// Whether the last answer did not come, or told of a fault.
    in_doubt: bool,
}

impl Upload {
    /// Nothing of it is sent yet.
    pub(super) fn new(repository: &str, blob: Vec<u8>, piece: usize) -> Self {
        Self {
            repository: repository.to_owned(),
            blob,
            piece,
            session: None,
            resumed: 0,
        }
    }

    /// Goes on to the end: 201. `None` when an answer did not come; a fault's answer as it is.
    /// Either way the next call goes on from where the server stands then.
    #[track_caller]
    pub(super) fn go_on(&mut self, client: &Client) -> Option<Answer> {
        for _ in 0..REQUESTS {
            let Some(session) = &mut self.session else {
                let path = format!("/v2/{}/blobs/uploads/", self.repository);
                let opened = client.call("POST", &path).attempt_body(b"")?;
                if opened.status != 202 {
                    return Some(opened);
                }
                self.session = Some(Session {
                    location: opened.header("location").to_owned(),
                    acknowledged: 0,
                    sent: 0,
                    finishing: false,
                    in_doubt: false,
                });
                continue;
            };
            let asked_where = session.in_doubt;
            let answer = session.next(client, &self.blob, self.piece)?;
            match answer.status {
                202 => {}
                204 => self.resumed += usize::from(asked_where && session.acknowledged > 0),
                201 => {
                    self.session = None;
                    return Some(answer);
                }
                404 => {
                    assert!(session.finishing, "a session is lost that was not being finished: {answer}");
                    self.session = None;
                }
                _ => {
                    assert!(answer.status >= 500, "{answer}");
                    return Some(answer);
                }
            }
        }
        panic!("an upload does not come to its end");
    }
}

impl Session {
    /// The next request: where it stands, when that is in doubt; a chunk; the end.
    #[track_caller]
    fn next(&mut self, client: &Client, blob: &[u8], piece: usize) -> Option<Answer> {
        if self.in_doubt {
            let answer = client.call("GET", &self.location).attempt()?;
            if answer.status == 204 {
                let offset = offset(&answer);
                // Either the chunk in doubt is there, or it is not; what was acknowledged is.
                assert!(
                    [self.acknowledged, self.sent].contains(&offset),
                    "{} acknowledged, {} sent: {answer}",
                    self.acknowledged,
                    self.sent
                );
                self.acknowledged = offset;
                self.in_doubt = false;
            }
            return Some(answer);
        }
        self.in_doubt = true;
        let session = client.session_at(&self.location);
        let answer = if self.acknowledged < blob.len() {
            let end = blob.len().min(self.acknowledged + piece);
            self.sent = end;
            let range = format!("{}-{}", self.acknowledged, end - 1);
            let chunk = client.call("PATCH", &self.location).header("Content-Range", &range);
            chunk.attempt_body(&blob[self.acknowledged..end])?
        } else {
            self.finishing = true;
            client.call("PUT", &session.finish_path(&sha256(blob))).attempt_body(b"")?
        };
        if answer.status < 500 {
            self.in_doubt = false;
        }
        if answer.status == 202 {
            self.acknowledged = self.sent;
            self.location = answer.header("location").to_owned();
        }
        Some(answer)
    }
}

/// Inclusive ranges cannot tell none from one; nobody here sends one.
#[track_caller]
fn offset(answer: &Answer) -> usize {
    let last: usize = answer.header("range").strip_prefix("0-").unwrap().parse().unwrap();
    if last == 0 { 0 } else { last + 1 }
}
