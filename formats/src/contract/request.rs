//! Requests as a client sends them, bodies that misbehave, and answers as a client reads them.

use crate::handler::{Body, Headers, Reply, ReplyBody};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use granary_storage::{Digest, Error, Result};
use http::Method;
use serde_json::Value;
use std::cell::Cell;
use std::io::Read as _;
use std::rc::Rc;
use std::task::Poll;

/// A request with its whole body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query, the mount included.
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target)
    }

    pub(crate) fn put(target: impl Into<String>) -> Self {
        Self::new(Method::PUT, target)
    }

    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self::new(Method::POST, target)
    }

    pub(crate) fn patch(target: impl Into<String>) -> Self {
        Self::new(Method::PATCH, target)
    }

    pub(crate) fn delete(target: impl Into<String>) -> Self {
        Self::new(Method::DELETE, target)
    }

    /// The same with a header, which takes the place of one of that name.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a body, announced with its length.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", length)
    }

    /// The same asked by HEAD.
    pub(crate) fn as_head(&self) -> Self {
        Self {
            method: Method::HEAD,
            ..self.clone()
        }
    }

    /// The same at another place.
    pub(crate) fn at(&self, target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            ..self.clone()
        }
    }

    /// The body in two pieces, as a network may deliver it.
    pub(crate) fn stream(&self) -> Body {
        let mut second = self.body.clone();
        let first = second.split_to(self.body.len() / 2);
        pieces([first, second].into_iter().filter(|piece| !piece.is_empty()).map(Ok).collect())
    }

    /// Path and query apart.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }
}

impl Headers for Request {
    fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    fn list(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> = self
            .headers
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!lines.is_empty()).then(|| lines.join(","))
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, Option<String>)> {
        let named = self.headers.iter().filter(|(known, _)| known.starts_with(prefix));
        named.map(|(known, value)| ((*known).to_owned(), Some(value.clone()))).collect()
    }

    fn is_unreadable(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, value)| *known == name && !value.is_ascii())
    }
}

/// A body that arrives in these pieces, errors included.
pub(crate) fn pieces(pieces: Vec<Result<Bytes>>) -> Body {
    Box::pin(stream::iter(pieces))
}

/// A body of `error` after these bytes.
pub(crate) fn broken(bytes: Bytes, error: Error) -> Body {
    pieces(vec![Ok(bytes), Err(error)])
}

/// A body that tells whether anybody looked at it.
pub(crate) fn watched() -> (Body, Rc<Cell<bool>>) {
    let looked_at = Rc::new(Cell::new(false));
    let flag = looked_at.clone();
    let body = stream::poll_fn(move |_| {
        flag.set(true);
        Poll::Ready(None)
    });
    (Box::pin(body), looked_at)
}

/// An answer with its whole body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order sent.
    pub(crate) headers: Vec<(String, String)>,
    /// What `Content-Length` says.
    pub(crate) len: u64,
    /// Whether bytes were opened for it.
    pub(crate) streamed: bool,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Takes a reply in, and holds it to the length that it announces.
    pub(crate) async fn read(reply: Reply) -> Self {
        let len = reply.len();
        let header = |(name, value): (http::HeaderName, http::HeaderValue)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        let (mut body, mut streamed) = (Vec::new(), false);
        match reply.body {
            ReplyBody::Empty | ReplyBody::Omitted { .. } => {}
            ReplyBody::Bytes(bytes) => body.extend_from_slice(&bytes),
            ReplyBody::Unsized { mut stream } => {
                while let Some(chunk) = stream.next().await {
                    let chunk = chunk.unwrap();
                    streamed = true;
                    assert!(!chunk.is_empty(), "a chunk of nothing ends a body too early");
                    body.extend_from_slice(&chunk);
                }
            }
            ReplyBody::Stream { mut stream, .. } => {
                streamed = true;
                while let Some(chunk) = stream.next().await {
                    body.extend_from_slice(&chunk.unwrap());
                }
                assert_eq!(body.len() as u64, len, "a stream has another length than was announced");
            }
        }
        Self {
            status: reply.status.as_u16(),
            headers: reply.headers.into_iter().map(header).collect(),
            len,
            streamed,
            body: body.into(),
        }
    }

    /// The value of the only header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} stands {} times in {self:?}", all.len());
        all.first().copied()
    }

    /// The values of every header of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The same, after a check of the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The same without what says when something was stored.
    pub(crate) fn without_times(&self) -> Self {
        fn strip(value: &mut Value) {
            match value {
                Value::Object(map) => {
                    map.remove("updated");
                    map.values_mut().for_each(strip);
                }
                Value::Array(values) => values.iter_mut().for_each(strip),
                _ => {}
            }
        }
        let mut same = self.clone();
        same.headers.retain(|(name, _)| name != "last-modified");
        // An archive that is made of a folder holds the times of its files.
        if same
            .headers
            .iter()
            .any(|(name, value)| name == "content-disposition" && value.contains("filename="))
        {
            same.headers.retain(|(name, _)| name != "etag");
            // Compressed, even its size depends on the times.
            let mut plain = Vec::new();
            let size = match flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut plain) {
                Ok(size) => size,
                Err(_) => self.body.len(),
            };
            same.body = size.to_string().into();
        }
        if let Ok(mut json) = serde_json::from_slice(&self.body) {
            strip(&mut json);
            same.body = json.to_string().into();
        }
        same
    }

    /// The digest that an answer of OCI distribution names.
    pub(crate) fn digest(&self) -> Digest {
        self.header("docker-content-digest").unwrap().parse().unwrap()
    }
}
