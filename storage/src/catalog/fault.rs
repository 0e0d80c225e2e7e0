//! What can go wrong inside a unit of work: the database, or a refusal of ours.

use crate::error::{Error, ErrorKind};
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
    /// Whether the same unit may succeed when run again from its start (PostgreSQL).
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Db(Db::DatabaseError(
                DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::UniqueViolation,
                _
            ))
        ) || matches!(self, Self::Db(Db::DatabaseError(_, info)) if info.message().contains("deadlock detected"))
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
                !own && (is_full(info.message()) || info.message().contains("I/O error"))
            }
            Self::Db(Db::BrokenTransactionManager | Db::RollbackErrorOnCommit { .. }) => true,
            Self::Db(_) => false,
        }
    }
}

fn is_full(message: &str) -> bool {
    message.contains("disk is full") || message.contains("No space left on device")
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

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Db(Db::DatabaseError(_, info)) if is_full(info.message()) => {
                Self::storage_full().because(format!("the database: {}", info.message()))
            }
            Fault::Db(error) => Self::internal(error),
        }
    }
}

/// A refusal with a kind, subject and sentence.
pub(super) fn refuse<T>(kind: ErrorKind, what: crate::What, message: impl Into<std::borrow::Cow<'static, str>>) -> Outcome<T> {
    Err(Fault::Refused(Error::new(kind, what, message)))
}
