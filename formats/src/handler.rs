//! The contract of a format: a request comes in as a [`Head`] and a [`Body`], and
//! goes out as a [`Reply`]. Formats know neither the web framework nor each other.
//!
//! A format *parses* a request into a typed operation that states what it needs,
//! and *serves* it once dispatch has granted that. It cannot serve anything else:
//! [`Granted`] has no constructor outside the dispatch.

use crate::dispatch::Granted;
use crate::gate::Needs;
use bytes::Bytes;
use futures_util::Stream;
use granary_storage::blob::{ByteStream, UploadId};
use granary_storage::catalog::StorageFormat;
use granary_storage::name::{FilePath, Reference, RepositoryName};
use granary_storage::prefix::Prefix;
use granary_storage::{Error, ErrorKind, Result, Stores, What};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::future::Future;
use std::pin::Pin;

/// The body of a request. Not `Send`: it stays on the worker that took the connection.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes>>>>;

/// A request without its body.
#[derive(Clone, Copy)]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path behind the format's mount, as it came: percent-encoded, beginning with `/` or empty.
    pub path: &'r str,
    /// The query without its `?`, as it came; empty when there is none.
    pub query: &'r str,
    /// The headers.
    pub headers: &'r dyn Headers,
    /// Whether nothing says where a body would end: HTTP/1.0 without a `Content-Length` (RFC 1945 §7.2.2). Later versions
    /// always say it.
    pub length_unknown: bool,
}

/// Header lookup. The server's own header map answers it without a copy.
pub trait Headers {
    /// The value of the first header of this (lower-case) name, when it is visible ASCII.
    fn get(&self, name: &str) -> Option<&str>;

    /// The values of every header of this name as one list, comma-separated (RFC 9110 §5.3).
    fn list(&self, name: &str) -> Option<String>;

    /// Names and values of the headers whose (lower-case) name begins so; `None` for a value that is not UTF-8.
    fn beginning_with(&self, prefix: &str) -> Vec<(String, Option<String>)>;

    /// Whether a header of this name is there that is not visible ASCII. It must not pass for one that is absent.
    fn is_unreadable(&self, name: &str) -> bool;
}

/// Headers that change what a request means; who calls is the server's question.
const MEANINGFUL: [&str; 30] = [
    "content-digest",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-range",
    "content-type",
    "digest",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "repr-digest",
    "tus-resumable",
    "upload-checksum",
    "upload-concat",
    "upload-defer-length",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "x-checksum",
    "x-checksum-deploy",
    "x-checksum-md5",
    "x-checksum-sha1",
    "x-checksum-sha256",
    "x-checksum-sha512",
    "x-explode-archive",
    "x-explode-archive-atomic",
    "x-http-method-override",
];

impl Head<'_> {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The values of a header that may stand on several lines, as one list.
    pub fn header_list(&self, name: &str) -> Option<String> {
        self.headers.list(name)
    }

    /// Refuses a request with a header that would be taken for absent because it cannot be read.
    ///
    /// # Errors
    /// `Invalid`/`Request` naming the header.
    pub(crate) fn check_headers(&self) -> Result<()> {
        match MEANINGFUL.into_iter().find(|name| self.headers.is_unreadable(name)) {
            None => Ok(()),
            Some(name) => {
                let what = if name.starts_with("content-") { What::Size } else { What::Request };
                Err(Error::invalid(
                    what,
                    format!("the header {name} holds characters that have no place in it"),
                ))
            }
        }
    }

    /// The values of a query parameter, decoded, in order.
    pub fn query_values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = String> + 'h {
        self.query.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_query(key) == name).then(|| decode_query(value))
        })
    }

    /// The first value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query_values(name).next()
    }
}

/// Refuses a method that a path does not know; `allowed` are those it knows.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        What::Method(allowed),
        "the method is not one that this path knows",
    )
}

/// `application/x-www-form-urlencoded` decoding, except that `+` stays `+`:
/// tags and media types carry it, and clients that mean a space send `%20`.
fn decode_query(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, without `Content-Length`, which follows from the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: ReplyBody,
}

/// What follows the headers of a [`Reply`].
pub enum ReplyBody {
    /// Nothing, with `Content-Length: 0`.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// `len` bytes, as they come.
    Stream {
        /// How many.
        len: u64,
        /// How many of them come at a time, at most: the connection holds so many for a client that takes none.
        piece: u64,
        /// The bytes.
        stream: ByteStream,
    },
    /// Bytes as they come, of which nobody knows how many: an error in them ends the connection, so that what broke off
    /// does not pass for the whole.
    Unsized {
        /// The bytes.
        stream: ByteStream,
    },
    /// The answer to a HEAD whose GET would carry `len` bytes.
    Omitted {
        /// How many.
        len: u64,
    },
}

impl ReplyBody {
    /// `len` bytes that come in pieces of 64 KiB at most, as they are read.
    pub fn stream(len: u64, stream: ByteStream) -> Self {
        let piece = 64 * 1024;
        Self::Stream { len, piece, stream }
    }
}

impl Reply {
    /// An answer without headers or body.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::with_capacity(8),
            body: ReplyBody::Empty,
        }
    }

    /// The same with one more header. A value that is not legal in a header is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with(mut self, body: ReplyBody) -> Self {
        self.body = body;
        self
    }

    /// The value of a header, for tests and decorators.
    pub fn get(&self, name: &HeaderName) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.to_str().ok())
    }

    /// Bytes that the body announces; 0 where it announces none.
    pub fn len(&self) -> u64 {
        match &self.body {
            ReplyBody::Empty | ReplyBody::Unsized { .. } => 0,
            ReplyBody::Bytes(bytes) => bytes.len() as u64,
            ReplyBody::Stream { len, .. } | ReplyBody::Omitted { len } => *len,
        }
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a client of a format is asked for credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `scheme://host[:port]` as the client knows this server.
    pub origin: String,
    /// The fixed name of the service that tokens are for.
    pub service: String,
    /// The scopes that would do, space-separated; empty when none is asked.
    pub scope: String,
}

/// What dispatch has to know of a parsed request.
pub trait Operation: Send + 'static {
    /// The access it needs. No default: every new operation has to say.
    fn needs(&self) -> Needs;

    /// The repository it is about, which dispatch looks up once.
    fn repository(&self) -> Option<&RepositoryName>;

    /// The manifest whose content goes out, which dispatch resolves once, puts to
    /// admission, and hands over with the grant.
    fn serves(&self) -> Option<&Reference>;

    /// The file whose content goes out: as `serves`, where files are kept.
    fn serves_file(&self) -> Option<&FilePath> {
        None
    }

    /// The file that `serves_file` may be a part of, and that takes its place where there is no such file: a stored archive
    /// that is looked into.
    fn serves_within(&self) -> Option<&FilePath> {
        None
    }

    /// The chart whose file goes out, by the prefix that lists it and its file's name: as `serves`, for content that
    /// only the catalog can attribute to a repository.
    fn finds(&self) -> Option<(&Prefix, &str)> {
        None
    }

    /// The upload by tus that it goes on with: its repository only the catalog can tell. Dispatch finds it for its
    /// principal, asks the gate for that repository on every request, and hands it over with the grant.
    fn goes_on_with(&self) -> Option<UploadId> {
        None
    }

    /// Whether `serves` only shows metadata (a HEAD), which admission does not refuse.
    fn metadata_only(&self) -> bool;
}

/// A format.
pub trait FormatHandler: Send + Sync + 'static {
    /// Its name in the catalog and in metrics: `oci`.
    const NAME: &'static str;
    /// The first path segment it owns: `/v2`.
    const MOUNT: &'static str;
    /// What the repositories hold that it is about. One that holds something else is none of its own.
    const STORES: StorageFormat;
    /// Its operations.
    type Op: Operation;

    /// Understands a request, without I/O.
    ///
    /// # Errors
    /// Whatever is wrong with it, in the terms that [`FormatHandler::render_error`] knows.
    fn parse(&self, head: &Head<'_>, stores: &Stores) -> Result<Self::Op>;

    /// Carries an operation out.
    fn serve(&self, stores: &Stores, granted: Granted<Self::Op>, body: Body) -> impl Future<Output = Result<Reply>>;

    /// Says an error in the format's own shape, with its challenge when credentials could help.
    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply;
}
