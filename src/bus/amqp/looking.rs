//! Questions about queues, and what is done to a queue as a whole. All on the consuming session: an exclusive queue
//! answers no other.

use super::super::{Depth, Queue, Topology};
use super::failure::{Failure, Trouble};
use super::plan::Plan;
use super::session::Session;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};

/// How full a queue is.
pub(super) async fn depth(plan: &Plan, session: &Session, queue: &str) -> Result<Depth, Trouble> {
    let channel = channel(plan, session, queue).await?;
    passive(plan, session, &channel, queue).await
}

/// Whether all of it is there.
pub(super) async fn check(plan: &Plan, session: &Session, topology: &Topology) -> Result<(), Trouble> {
    let Some(first) = topology.exchanges.first().map(|exchange| &exchange.name).or(topology.queues.first().map(name))
    else {
        return Ok(());
    };
    let channel = channel(plan, session, first).await?;
    for exchange in topology.exchanges.iter().filter(|exchange| !exchange.name.is_empty()) {
        let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let kind = ExchangeKind::Custom(exchange.kind.name().into());
        let asked = channel.exchange_declare(plan.name(&exchange.name)?, kind, options, FieldTable::default());
        let what = format!("exchange {:?}", exchange.name);
        session.ask(asked).await.map_err(|failure| failure.about(&what, &plan.shown))?;
    }
    for queue in &topology.queues {
        passive(plan, session, &channel, &queue.name).await?;
    }
    Ok(())
}

fn name(queue: &Queue) -> &String {
    &queue.name
}

/// Removes what waits in a queue, and says how much it was.
pub(super) async fn purge(plan: &Plan, session: &Session, queue: &str) -> Result<u64, Trouble> {
    let channel = channel(plan, session, queue).await?;
    let purged = channel.queue_purge(plan.name(queue)?, QueuePurgeOptions::default());
    session.ask(purged).await.map(u64::from).map_err(|failure| about(failure, plan, queue))
}

/// Deletes a queue, if `unused` only one without consumers and messages, and says whether it is gone; one that is not there
/// is gone already.
pub(super) async fn delete(plan: &Plan, session: &Session, queue: &str, unused: bool) -> Result<bool, Trouble> {
    let channel = channel(plan, session, queue).await?;
    let options = QueueDeleteOptions { if_unused: unused, if_empty: unused, ..Default::default() };
    match session.ask(channel.queue_delete(plan.name(queue)?, options)).await {
        Ok(_) => Ok(true),
        // Precondition failed: it is in use, or not empty.
        Err(Failure::Said { code: 406, .. }) if unused => Ok(false),
        Err(failure) => Err(about(failure, plan, queue)),
    }
}

/// The same on a channel that is open: what was sent on it before has been done by then.
pub(super) async fn passive(plan: &Plan, session: &Session, channel: &Channel, queue: &str) -> Result<Depth, Trouble> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let asked = channel.queue_declare(plan.name(queue)?, options, FieldTable::default());
    let seen = session.ask(asked).await.map_err(|failure| about(failure, plan, queue))?;
    let (ready, consumers) = (seen.message_count().into(), seen.consumer_count().into());
    Ok(Depth { ready, unacked: None, consumers, kind: None })
}

async fn channel(plan: &Plan, session: &Session, queue: &str) -> Result<Channel, Trouble> {
    session.channel().await.map_err(|failure| about(failure, plan, queue))
}

pub(super) fn about(failure: Failure, plan: &Plan, queue: &str) -> Trouble {
    failure.about(&format!("queue {queue:?}"), &plan.shown)
}
