//! What can go wrong with the store, sorted by what a caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as Diesel};
use uuid::Uuid;

/// Why the store did not do what was asked. No text in it contains a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be used.
    #[error("{url}: {why}")]
    Url {
        /// The URL without its secrets.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or none in time.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// The URL without its secrets.
        url: String,
        /// What the other side, or the network, said.
        why: String,
    },
    /// The server is there and lets nobody in by this name, with this password, to this database.
    #[error("{url} refuses: {why}")]
    Refused {
        /// The URL without its secrets.
        url: String,
        /// The server's words.
        why: String,
    },
    /// The file of the store lies no longer where it was: what is written into it nobody would ever find.
    #[error("the file of the store {url} was deleted or replaced while it was open; start this program again")]
    Gone {
        /// The URL.
        url: String,
    },
    /// A later version of oat has changed the tables.
    #[error("the store was set up by a newer oat: this one does not know its migration {version}")]
    Newer {
        /// The first version of the schema that is not known.
        version: String,
    },
    /// The tables are not there, or not all of their columns.
    #[error("the tables of the store are missing or out of date: run oat setup")]
    SchemaMissing,
    /// A task was recorded before.
    #[error("the task {0} is recorded already")]
    Exists(Uuid),
    /// No record has this id.
    #[error("there is no task {id:?}; an id is a uuid or at least the first 4 of its digits")]
    NotFound {
        /// What was asked for.
        id: String,
    },
    /// Several records begin like this.
    #[error("{id} is the beginning of several ids: {}", candidates.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// Some of the records that were meant, at least two.
        candidates: Vec<Uuid>,
    },
    /// The database refused or gave up.
    #[error("{why}")]
    Query {
        /// In the database's words.
        why: String,
        /// Whether the database was at fault, and not what it was asked.
        environment: bool,
    },
}

impl Error {
    /// Whether the same call may succeed later, when somebody has mended the database, the disk, the network or
    /// the schema. Otherwise it is the call itself that cannot be fulfilled.
    pub fn is_environment(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Refused { .. } | Error::SchemaMissing => true,
            Error::Query { environment, .. } => *environment,
            _ => false,
        }
    }

    /// What is stored cannot be understood.
    pub(super) fn unreadable(uuid: &str, why: impl std::fmt::Display) -> Error {
        Error::Query { why: format!("the record of {uuid} cannot be understood: {why}"), environment: false }
    }
}

impl From<Diesel> for Error {
    fn from(error: Diesel) -> Error {
        Error::Query { environment: is_environment(&error), why: error.to_string() }
    }
}

/// The drivers hand on the words of the servers and lose their codes, and the words may be in any language. So
/// whatever is not known to be a fault of the statement or its values counts as a fault of the environment:
/// then a task waits, where otherwise it would be given up.
fn is_environment(error: &Diesel) -> bool {
    match error {
        Diesel::DatabaseError(DatabaseErrorKind::Unknown, what) => !is_about_values(what.message()),
        Diesel::DatabaseError(kind, _) => !matches!(
            kind,
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
        ),
        Diesel::RollbackErrorOnCommit { .. } | Diesel::BrokenTransactionManager => true,
        _ => false,
    }
}

fn is_about_values(message: &str) -> bool {
    const OURS: [&str; 9] = [
        "syntax",
        "Data too long",
        "Out of range",
        "out of range",
        "Incorrect ",
        "value too long",
        "invalid byte sequence",
        "invalid input",
        "Unknown column",
    ];
    OURS.iter().any(|text| message.contains(text))
}

/// Whether a file is something else, in SQLite's words: waiting will not change that.
pub(super) fn is_no_database(error: &Diesel) -> bool {
    matches!(error, Diesel::DatabaseError(_, what) if what.message().contains("file is not a database"))
}

/// Whether two transactions were in each other's way: the loser simply tries again.
pub(super) fn is_contention(error: &Diesel) -> bool {
    const WORDS: [&str; 4] = ["eadlock", "could not serialize", "is locked", "Record has changed"];
    match error {
        Diesel::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Diesel::DatabaseError(DatabaseErrorKind::Unknown, what) => {
            WORDS.iter().any(|words| what.message().contains(words))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Diesel {
        Diesel::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn trouble_of_the_environment_is_told_from_bad_values() {
        for message in [
            "database or disk is full",
            "attempt to write a readonly database",
            "The MariaDB server is running with the --read-only option so it cannot execute this statement",
            "Lock wait timeout exceeded; try restarting transaction",
            "could not extend file \"base/1\": No space left on device",
            "terminating connection due to administrator command",
            "Verklemmung entdeckt",
        ] {
            assert!(Error::from(said(message)).is_environment(), "{message}");
        }
        for message in ["Data too long for column 'name' at row 1", "near \"FORM\": syntax error"] {
            assert!(!Error::from(said(message)).is_environment(), "{message}");
        }
    }
}
