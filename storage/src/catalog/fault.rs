//! What can go wrong inside a unit of work: the database, or a refusal of ours.

use crate::error::{Error, ErrorKind, What};
use diesel::result::{DatabaseErrorKind, Error as Db};

/// The error of a unit of work.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database failed.
    Db(Db),
    /// The unit refuses; the caller reads this.
    Refused(Error),
}

/// The result of a unit of work.
pub(super) type Outcome<T> = std::result::Result<T, Fault>;

impl Fault {
    /// Whether the same unit may succeed when run again from its start (PostgreSQL). A broken unique key is not among
    /// them: every insert that others may race names its key in ON CONFLICT, so what breaks one would break it again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Db(Db::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => true,
            Self::Db(Db::DatabaseError(_, info)) => info.message().contains("deadlock detected"),
            _ => false,
        }
    }

    /// Whether the disk or the quota under the database is spent.
    pub(super) fn is_full(&self) -> bool {
        let signs = ["disk is full", "No space left on device", "Disk quota exceeded"];
        matches!(self, Self::Db(Db::DatabaseError(_, info)) if signs.iter().any(|sign| info.message().contains(sign)))
    }

    /// Whether the database can be read and not written: its disk is so, or it follows another (PostgreSQL).
    pub(super) fn is_read_only(&self) -> bool {
        let signs = ["readonly database", "Read-only file system"];
        match self {
            Self::Db(Db::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)) => true,
            Self::Db(Db::DatabaseError(_, info)) => signs.iter().any(|sign| info.message().contains(sign)),
            _ => false,
        }
    }

    /// Whether the connection is gone (PostgreSQL): another one may work.
    pub(super) fn is_disconnect(&self) -> bool {
        matches!(
            self,
            Self::Db(Db::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _
            ))
        )
    }

    /// Whether the connection itself is in doubt, not only the unit: a full disk and an I/O error can
    /// roll the transaction back under the batch.
    pub(super) fn is_fatal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Db(Db::NotFound) => false,
            Self::Db(Db::DatabaseError(kind, info)) => {
                let own = matches!(
                    kind,
                    DatabaseErrorKind::UniqueViolation
                        | DatabaseErrorKind::ForeignKeyViolation
                        | DatabaseErrorKind::NotNullViolation
                        | DatabaseErrorKind::CheckViolation
                );
                !own && (self.is_full() || info.message().contains("I/O error"))
            }
            Self::Db(Db::BrokenTransactionManager | Db::RollbackErrorOnCommit { .. }) => true,
            Self::Db(_) => false,
        }
    }
}

impl From<Db> for Fault {
    fn from(error: Db) -> Self {
        Self::Db(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// What a failpoint says.
impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let (full, read_only, disconnect) = (fault.is_full(), fault.is_read_only(), fault.is_disconnect());
        match fault {
            Fault::Refused(error) => error,
            Fault::Db(error) if full => Self::storage_full().because(error),
            Fault::Db(error) if read_only => Self::read_only().because(error),
            Fault::Db(error) if disconnect => unavailable(error),
            Fault::Db(error) => Self::internal(error),
        }
    }
}

/// The database is away, or too busy to be had.
pub(super) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        What::Storage,
        "the catalog's database cannot be reached just now; try again",
    )
    .because(cause)
}

/// A refusal with a kind, subject and sentence.
pub(super) fn refuse<T>(kind: ErrorKind, what: crate::What, message: impl Into<std::borrow::Cow<'static, str>>) -> Outcome<T> {
    Err(Fault::Refused(Error::new(kind, what, message)))
}
