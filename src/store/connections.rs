//! The connections to one database, compiled once for each kind of it.
//!
//! A connection is lent for one call and goes back to the pool only when the call ended well. After an error, and
//! when the caller stopped waiting, it is closed: the server then rolls back, and nobody inherits half a
//! transaction. A connection that went dead in the pool is noticed by a question before it is lent again.

use super::{BEGIN, Backend, CONNECTIONS, Conn, HAS_MIGRATIONS, MIGRATIONS, Server, is_gone, migrations, recycling};
use crate::store::Error;
use crate::store::error::{is_contention, is_no_database};
use crate::store::table::__diesel_schema_migrations::dsl as applied;
use diesel::ConnectionError;
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel::sql_types::Bool;
use diesel_async::pooled_connection::deadpool::{Object, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, PoolError as Pooled};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How long a connection may take to come about, or to become free.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one transaction may take. The databases' own limits for locks are shorter.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// How often a transaction is tried that others were in the way of.
pub(super) const TRIES: u32 = 6;

#[derive(Clone)]
pub(in crate::store) struct Database {
    server: Server,
    shown: String,
    pool: Pool<Conn>,
}

impl Database {
    /// Connects, and refuses tables that a later version has made.
    pub async fn open(server: Server, shown: String) -> Result<Database, Error> {
        let dial = server.clone();
        let mut config = ManagerConfig::default();
        config.recycling_method = recycling();
        config.custom_setup = Box::new(move |_| {
            let server = dial.clone();
            Box::pin(async move { server.connect().await })
        });
        let manager = AsyncDieselConnectionManager::<Conn>::new_with_config("", config);
        let pool = Pool::builder(manager).max_size(CONNECTIONS).build();
        let pool = pool.map_err(|e| Error::Unreachable { url: shown.clone(), why: e.to_string() })?;
        let database = Database { server, shown, pool };
        database.refuse_newer().await?;
        Ok(database)
    }

    /// Whether no migration was ever applied.
    pub async fn is_blank(&self) -> Result<bool, Error> {
        Ok(self.applied().await?.is_empty())
    }

    /// Creates and alters the tables; says what was done.
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        self.refuse_gone()?;
        match timeout(CONNECT, self.server.connect()).await {
            Ok(Ok(connection)) => self.server.migrate(connection).await,
            Ok(Err(e)) => Err(self.unconnected(&e)),
            Err(_) => Err(self.unreachable("no answer within 10 s")),
        }
    }

    /// Lets all connections go.
    pub fn close(&self) {
        self.pool.close();
    }

    pub(super) async fn lend(&self) -> Result<Lease, Error> {
        self.refuse_gone()?;
        match timeout(CONNECT, self.pool.get()).await {
            Ok(Ok(object)) => Ok(Lease(Some(object))),
            Ok(Err(PoolError::Backend(Pooled::ConnectionError(e)))) => Err(self.unconnected(&e)),
            Ok(Err(PoolError::Backend(e))) => Err(self.unreachable(e)),
            Ok(Err(e)) => Err(self.unreachable(e)),
            Err(_) => Err(self.unreachable("no connection within 10 s")),
        }
    }

    /// After work on a connection: its answer, or why there is none. `None` when others were in its way and it is
    /// time to try again. What was committed into a file that is gone by now is not committed.
    pub(super) async fn conclude<R>(
        &self,
        lease: Lease,
        ended: Result<QueryResult<R>, Elapsed>,
        tries_left: u32,
    ) -> Option<Result<R, Error>> {
        match ended {
            Ok(Ok(answer)) => Some(self.refuse_gone().map(|()| lease.give_back(answer))),
            Ok(Err(e)) if tries_left > 0 && is_contention(&e) => {
                lease.roll_back().await;
                tokio::time::sleep(pause(TRIES - tries_left)).await;
                None
            }
            Ok(Err(e)) => {
                lease.roll_back().await;
                Some(Err(self.explain(e).await))
            }
            Err(_) => Some(Err(self.unreachable("no answer within 60 s"))),
        }
    }

    /// [`Server::connect`] calls a URL invalid when the server is there and refuses it.
    fn unconnected(&self, error: &ConnectionError) -> Error {
        let url = self.shown.clone();
        match error {
            ConnectionError::InvalidConnectionUrl(why) => Error::Refused { url, why: why.clone() },
            ConnectionError::CouldntSetupConfiguration(error) if is_no_database(error) => {
                Error::Url { url, why: "it exists and is not an SQLite file".into() }
            }
            error => self.unreachable(error),
        }
    }

    fn unreachable(&self, why: impl ToString) -> Error {
        Error::Unreachable { url: self.shown.clone(), why: why.to_string() }
    }

    /// Servers say in many languages that a table is missing; whether it is can be asked.
    async fn explain(&self, error: diesel::result::Error) -> Error {
        let vague = matches!(error, diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, _));
        let error = Error::from(error);
        if !vague {
            return error;
        }
        match self.applied().await {
            Ok(applied) if known().iter().any(|version| !applied.contains(version)) => Error::SchemaMissing,
            _ => error,
        }
    }

    fn refuse_gone(&self) -> Result<(), Error> {
        if is_gone(&self.server) { Err(Error::Gone { url: self.shown.clone() }) } else { Ok(()) }
    }

    async fn refuse_newer(&self) -> Result<(), Error> {
        let known = known();
        match self.applied().await?.into_iter().find(|version| !known.contains(version)) {
            Some(version) => Err(Error::Newer { version }),
            None => Ok(()),
        }
    }

    async fn applied(&self) -> Result<Vec<String>, Error> {
        let mut lease = self.lend().await?;
        let answer = timeout(ANSWER, versions(lease.connection())).await;
        match answer.map_err(|_| self.unreachable("no answer within 60 s"))? {
            Ok(versions) => Ok(lease.give_back(versions)),
            Err(e) => Err(Error::from(e)),
        }
    }
}

fn known() -> Vec<String> {
    migrations::known::<Backend>(MIGRATIONS)
}

async fn versions(connection: &mut Conn) -> QueryResult<Vec<String>> {
    let there = diesel::select(diesel::dsl::sql::<Bool>(HAS_MIGRATIONS)).get_result::<bool>(connection).await?;
    match there {
        true => applied::__diesel_schema_migrations.select(applied::version).load(connection).await,
        false => Ok(Vec::new()),
    }
}

/// Longer each time, and different for each loser, or they would meet again.
fn pause(tried: u32) -> Duration {
    Duration::from_millis(u64::from(tried + 1) * rand::random_range(2..20))
}

/// A connection on loan.
pub(super) struct Lease(Option<Object<Conn>>);

impl Lease {
    pub fn connection(&mut self) -> &mut Conn {
        self.0.as_mut().expect("it is given back by value, so it is still there")
    }

    pub async fn begin(&mut self) -> QueryResult<()> {
        self.connection().batch_execute(BEGIN).await
    }

    pub async fn commit(&mut self) -> QueryResult<()> {
        self.connection().batch_execute("COMMIT").await
    }

    /// Closing the connection would do, but the server may notice that later, and the locks would stand until then.
    async fn roll_back(mut self) {
        let _ = timeout(Duration::from_secs(1), self.connection().batch_execute("ROLLBACK")).await;
    }

    fn give_back<R>(mut self, answer: R) -> R {
        drop(self.0.take());
        answer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
