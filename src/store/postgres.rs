//! The store on PostgreSQL 12 or later.
//!
//! How the connection is protected is `?sslmode=` in the URL, in libpq's words: see [`super::tls`].

use super::address::PARAMETERS;
use super::{Error, migrations, tls};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::RecyclingMethod;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) type Conn = AsyncPgConnection;
pub(super) type Backend = diesel::pg::Pg;

const CONNECTIONS: usize = 8;
/// Said, because a role or a server may have another default.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const HAS_MIGRATIONS: &str = "to_regclass('__diesel_schema_migrations') IS NOT NULL";
const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SESSION: &str = "SET lock_timeout = '10s'; SET statement_timeout = '60s'; \
    SET idle_in_transaction_session_timeout = '60s'";
/// Any number will do that other programs do not use on this database: `oat` in ASCII.
const LOCK: &str = "SET lock_timeout = '60s'; SELECT pg_advisory_lock(7299444)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7299444)";

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
pub(super) struct Server {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
}

impl Server {
    /// Refuses what cannot be understood; `shown` is how the URL may be named.
    pub fn new(url: &str, shown: &str) -> Result<Server, Error> {
        let refuse = |why: String| Error::Url { url: shown.into(), why };
        let (url, mode) = tls::take(url, "sslmode");
        let (url, roots) = tls::take(&url, "sslrootcert");
        let mut config: Config = url.parse().map_err(|e| refuse(words(&e)))?;
        config.keepalives_idle(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("oat");
        }
        let tls = tls::apply(mode.as_deref(), roots.as_deref(), &mut config).map_err(refuse)?;
        Ok(Server { config: Arc::new(config), tls })
    }

    async fn connect(&self) -> ConnectionResult<Conn> {
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|e| trouble(&e))?;
        let mut connection = Conn::try_from_client_and_connection(client, connection).await?;
        connection.batch_execute(SESSION).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    async fn migrate(&self, mut connection: Conn) -> Result<Vec<String>, Error> {
        connection.batch_execute(LOCK).await?;
        // diesel's scripts run in blocking code.
        let ran = tokio::task::spawn_blocking(move || {
            let mut harness = AsyncMigrationHarness::new(connection);
            let ran = migrations::run(&mut harness, MIGRATIONS);
            (harness.into_inner(), ran)
        });
        let (mut connection, ran) = ran.await.map_err(|e| migrations::failed(e.into()))?;
        connection.batch_execute(UNLOCK).await?;
        ran.map_err(migrations::failed)
    }
}

/// A name, a password or a database that the server does not accept is a URL that does not fit.
fn trouble(error: &tokio_postgres::Error) -> ConnectionError {
    const REFUSALS: [SqlState; 4] = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    match error.as_db_error() {
        Some(said) if REFUSALS.contains(said.code()) => ConnectionError::InvalidConnectionUrl(said.message().into()),
        _ => ConnectionError::BadConnection(chain(error)),
    }
}

/// What the driver says of a URL, as far as it quotes nothing of it.
fn words(error: &tokio_postgres::Error) -> String {
    let text = chain(error);
    if text.contains("unknown option") { PARAMETERS.into() } else { text }
}

/// The driver says what it was doing and leaves it to its source to say what happened.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.contains(&why) {
            text = format!("{text}: {why}");
        }
        cause = error.source();
    }
    text
}
