//! The store on MySQL 8 or MariaDB 10.6 and later.
//!
//! Sessions are strict (a value that does not fit is refused, not bent), in UTC, and READ COMMITTED: with REPEATABLE
//! READ, locking a record that is not there locks the gap around it, and trackers and producers run into each other.
//! TLS is the driver's: `?require_ssl=true`, with `&ssl_ca=FILE` for an authority of one's own, and `&verify_ca=false` or
//! `&verify_identity=false` to trust more.

use super::address::PARAMETERS;
use super::{Error, migrations, tls};
use diesel::sql_types::{BigInt, Nullable};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::pooled_connection::RecyclingMethod;
use diesel_async::{AsyncMigrationHarness, AsyncMysqlConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use mysql_async::{Opts, OptsBuilder, UrlError};
use std::path::PathBuf;

pub(super) type Conn = AsyncMysqlConnection;
pub(super) type Backend = diesel::mysql::Mysql;

const CONNECTIONS: usize = 8;
const BEGIN: &str = "START TRANSACTION";
const HAS_MIGRATIONS: &str = "EXISTS (SELECT 1 FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND table_name = '__diesel_schema_migrations')";
const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");
/// English, because errors are told apart by their words.
const SESSION: [&str; 3] = [
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', lc_messages = 'en_US', \
     innodb_lock_wait_timeout = 10",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET NAMES utf8mb4",
];
/// Such locks belong to the whole server, so the database is part of the name, which may have 64 characters.
const LOCK: &str = "GET_LOCK(CONCAT('oat.', MD5(DATABASE())), 60)";
const UNLOCK: &str = "RELEASE_LOCK(CONCAT('oat.', MD5(DATABASE())))";

fn recycling() -> RecyclingMethod<Conn> {
    RecyclingMethod::Verified
}

/// What happens to its files is the server's business.
fn is_gone(_: &Server) -> bool {
    false
}

macro_rules! insert_rows {
    ($connection:expr, $rows:expr) => {
        diesel::insert_into(fractals::table).values($rows).execute($connection).await?
    };
}

macro_rules! locked {
    ($query:expr) => {
        $query.for_update()
    };
}

macro_rules! free {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

#[path = "connections.rs"]
mod connections;
#[path = "queries.rs"]
mod queries;

pub(super) use connections::Database;

/// Where the server is, and how to speak to it.
#[derive(Clone)]
pub(super) struct Server(Opts);

impl Server {
    /// Refuses what the driver does not understand; `shown` is how the URL may be named.
    pub fn new(url: &str, shown: &str) -> Result<Server, Error> {
        let refuse = |why: String| Error::Url { url: shown.into(), why };
        let (url, authority) = tls::take(url, "ssl_ca");
        let options = Opts::from_url(&url).map_err(|e| refuse(words(&e)))?;
        if authority.is_some() && options.ssl_opts().is_none() {
            return Err(refuse("ssl_ca needs require_ssl=true beside it, or nothing would be encrypted".into()));
        }
        let tls = options.ssl_opts().cloned().map(|tls| match authority {
            Some(file) => tls.with_root_certs(vec![PathBuf::from(file).into()]),
            None => tls,
        });
        let options = OptsBuilder::from_opts(options)
            .ssl_opts(tls)
            .prefer_socket(false) // what the URL says, and nothing else
            .init(SESSION.to_vec())
            .stmt_cache_size(0) // diesel has its own
            .tcp_keepalive(Some(30_000_u32)) // milliseconds
            .client_found_rows(true); // an update counts what it matched, as in the other databases
        Ok(Server(options.into()))
    }

    async fn connect(&self) -> ConnectionResult<Conn> {
        let connection = mysql_async::Conn::new(self.0.clone()).await;
        Conn::try_from(connection.map_err(trouble)?).await
    }

    async fn migrate(&self, mut connection: Conn) -> Result<Vec<String>, Error> {
        if call(&mut connection, LOCK).await? != Some(1) {
            return Err(Error::Query {
                why: "another process has been migrating for a minute".into(),
                environment: true,
            });
        }
        // diesel's scripts run in blocking code.
        let ran = tokio::task::spawn_blocking(move || {
            let mut harness = AsyncMigrationHarness::new(connection);
            let ran = migrations::run(&mut harness, MIGRATIONS);
            (harness.into_inner(), ran)
        });
        let (mut connection, ran) = ran.await.map_err(|e| migrations::failed(e.into()))?;
        call(&mut connection, UNLOCK).await?;
        ran.map_err(migrations::failed)
    }
}

/// What the driver says of a URL, as far as it quotes nothing of it.
fn words(error: &UrlError) -> String {
    match error {
        UrlError::Parse(_) | UrlError::Invalid => error.to_string(),
        _ => PARAMETERS.into(),
    }
}

/// A name, a password or a database that the server does not accept is a URL that does not fit.
fn trouble(error: mysql_async::Error) -> ConnectionError {
    /// No access to the database, no access at all, no such database, no such user on this socket.
    const REFUSALS: [u16; 4] = [1044, 1045, 1049, 1698];
    match error {
        mysql_async::Error::Server(said) if REFUSALS.contains(&said.code) => {
            ConnectionError::InvalidConnectionUrl(said.message)
        }
        error => ConnectionError::BadConnection(error.to_string()),
    }
}

async fn call(connection: &mut Conn, function: &str) -> QueryResult<Option<i64>> {
    diesel::select(diesel::dsl::sql::<Nullable<BigInt>>(function)).get_result(connection).await
}
