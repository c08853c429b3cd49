//! A service: opened, shared, closed.

use super::super::{Connection, Error, Publisher};
use super::calls::Calls;
use super::conversation::{CallError, Conversation};
use super::gelf::Log;
use super::logs::{Logs, logs};
use super::options::ServiceOptions;
use super::queues::Sources;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One instance of a service. Clones are the same instance.
#[derive(Clone, Debug)]
pub struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ServiceOptions,
    sources: Sources,
    publisher: Publisher,
    calls: Calls,
    logs: Logs,
    log_pump: Mutex<Option<JoinHandle<()>>>,
    log_stop: CancellationToken,
    connection: Connection,
}

impl Service {
    /// Connects to the first of these brokers that answers, and to the next if that one is lost; declares everything.
    pub async fn open(urls: &[&str], options: ServiceOptions) -> Result<Service, Error> {
        let sources = Sources::new(&options);
        let topology = sources.topology(&options);
        let connection = Connection::open(&urls.join(";"), topology, options.connection.clone()).await?;
        Ok(Service::new(connection, sources, options))
    }

    fn new(connection: Connection, sources: Sources, options: ServiceOptions) -> Service {
        let (logs, pump) = logs();
        let (publisher, log_stop) = (connection.publisher(), CancellationToken::new());
        let pumping =
            pump.run(publisher.clone(), options.exchanges.logs.clone(), options.name.clone(), log_stop.clone());
        let log_pump = Mutex::new(Some(tokio::spawn(pumping)));
        Service(Arc::new(Inner {
            options,
            sources,
            publisher,
            calls: Calls::default(),
            logs,
            log_pump,
            log_stop,
            connection,
        }))
    }

    /// A conversation of this identifier, to publish in. Handlers are given the one of their message.
    pub fn conversation(&self, id: impl Into<String>) -> Conversation {
        Conversation::new(self.clone(), id.into(), None)
    }

    /// A conversation that nobody else has.
    pub fn new_conversation(&self) -> Conversation {
        self.conversation(uuid::Uuid::new_v4().to_string())
    }

    /// [`Conversation::publish_event`], in the conversation of this identifier.
    pub async fn publish_event(&self, name: &str, payload: &impl Serialize, conversation: &str) -> Result<bool, Error> {
        self.conversation(conversation).publish_event(name, payload).await
    }

    /// [`Conversation::call`], in a conversation of its own.
    pub async fn call<T: DeserializeOwned>(
        &self,
        command: &str,
        payload: &impl Serialize,
        patience: Duration,
    ) -> Result<T, CallError> {
        self.new_conversation().call(command, payload, patience).await
    }

    /// Writes a line to the log bus. Never waits, and loses the line if the bus is away for long.
    pub fn log(&self, line: Log) {
        self.0.logs.post(line);
    }

    /// Sends the last log lines, and says goodbye. Clones find the connection closed.
    pub async fn close(self) {
        self.0.log_stop.cancel();
        let pump = self.0.log_pump.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pump) = pump {
            // It ends by itself, and a panic in it has been told.
            let _ = pump.await;
        }
        self.0.connection.clone().close().await;
    }

    /// How it is set up.
    pub fn options(&self) -> &ServiceOptions {
        &self.0.options
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    pub(super) fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.0.sources
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// Where answers to this instance go.
    pub(super) async fn reply_to(&self) -> Result<&str, Error> {
        let options = self.options();
        self.0.calls.key(&self.0.connection, &options.exchanges.commands, &options.name).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.log_stop.cancel();
    }
}
