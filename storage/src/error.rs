//! The one error of every layer under HTTP.
//!
//! Two readers: the client reads [`Error::message`], a fixed sentence that names
//! nothing it may not see; the operator reads [`Error::source`], which is logged
//! and never sent. A format turns (`kind`, `what`) into its own code and shape.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What went wrong, in the terms a client can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing named is not here, or not visible to the caller.
    NotFound,
    /// The thing named is here already, or stands in the way.
    Conflict,
    /// The bytes received do not have the digest that was promised.
    DigestMismatch,
    /// The request is malformed.
    Invalid,
    /// A byte range that does not fit the content.
    BadRange,
    /// No credentials, wrong ones, or a token that does not reach far enough.
    Unauthenticated,
    /// A known principal without the right.
    Denied,
    /// A policy refuses what access would allow.
    Blocked,
    /// Over a limit of size.
    TooLarge,
    /// Over a limit of rate or count; trying later can help.
    TooManyRequests,
    /// A body of which nothing says where it ends.
    LengthRequired,
    /// A request longer than its limit, of the address line.
    UriTooLong,
    /// A form of request that is known and refused.
    Unsupported,
    /// A condition (`If-Match`, `If-None-Match`) that did not hold.
    PreconditionFailed,
    /// The client stopped sending.
    Timeout,
    /// No room left on the store or under the database.
    StorageFull,
    /// Not now: starting, draining, a dependency is away, or nothing can be written.
    Unavailable,
    /// Bytes that do not read back as they were stored.
    Corrupt,
    /// A fault of ours. The client learns nothing but that.
    Internal,
}

/// Which thing the error is about; with [`ErrorKind`] it selects a format's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A blob.
    Blob,
    /// An upload session.
    Upload,
    /// A manifest or index.
    Manifest,
    /// A blob or manifest that a manifest refers to.
    Reference,
    /// A repository.
    Repository,
    /// A project.
    Project,
    /// A name that breaks the grammar.
    Name,
    /// A digest.
    Digest,
    /// A tag.
    Tag,
    /// A file.
    File,
    /// A length that does not agree with the bytes.
    Size,
    /// A byte range.
    Range,
    /// A page size or marker.
    Page,
    /// A user name, password or account.
    Credentials,
    /// A token that is forged, expired or not for this service.
    Token,
    /// A valid token whose scope is too narrow.
    Scope,
    /// The request as a whole.
    Request,
    /// The method; these are the ones that would do, as `Allow` lists them (RFC 9110 §10.2.1).
    Method(&'static str),
    /// The store itself.
    Storage,
}

/// An error: its kind, its subject, the sentence for the client, the cause for the operator.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: What,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of every fallible function of Granary's libraries.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a sentence for the client.
    pub fn new(kind: ErrorKind, what: What, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            what,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause, which only the log shows.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Something is not here.
    pub fn not_found(what: What, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotFound, what, message)
    }

    /// The request is malformed.
    pub fn invalid(what: What, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, what, message)
    }

    /// A fault of ours; `cause` goes to the log.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::Internal,
            What::Storage,
            "an internal error; the server's log has the cause",
        )
        .because(cause)
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The subject.
    pub fn what(&self) -> What {
        self.what
    }

    /// The sentence that the client may read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether this is an absence.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// File errors: a full disk and a spent quota are the client's business (507), a disk that cannot be written to is the
/// operator's and passes (503), all else is ours.
impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match cause.kind() {
            Io::StorageFull | Io::QuotaExceeded => Self::storage_full().because(cause),
            Io::ReadOnlyFilesystem => Self::read_only().because(cause),
            _ => Self::internal(cause),
        }
    }
}

impl Error {
    /// No room left.
    pub fn storage_full() -> Self {
        Self::new(
            ErrorKind::StorageFull,
            What::Storage,
            "the registry has no room left; ask its operator to free space",
        )
    }

    /// Nothing can be written, though what is there can be read.
    pub fn read_only() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            What::Storage,
            "the storage is read-only just now; ask the registry's operator",
        )
    }
}
