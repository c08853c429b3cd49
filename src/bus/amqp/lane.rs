//! Many publishes under way on one channel, which is what makes publishing fast.
//!
//! A channel in confirm mode answers each publish, and before that it returns what no queue would get. lapin pairs a
//! returned message with whichever confirmation comes next, be it another's. So the lane finds out itself to whom it
//! belongs, by its content; of several that are alike to the last byte it is the first. And it answers nobody before it
//! has looked at everything: what carries a return is resolved before the confirmation that the return is about, so
//! once nothing more is ready, no return is missing.
//!
//! What may close a channel has no business here (see [`Parcel::may_share`]). If it is closed all the same, nobody knows
//! what became of the publishes under way: they are dropped, and whoever waits for one tries again, on a channel of its
//! own.

use super::publisher::{MANDATORY, Parcel, Verdict};
use super::session::{LOOK, Session};
use futures_util::future::{BoxFuture, MaybeDone, maybe_done, poll_fn};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::{Channel, Confirmation, PublisherConfirm};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Publishes under way at once. More wait for their turn.
pub(super) const WINDOW: usize = 1024;

/// The way in. It has no bound, because a message that waits for room in a channel may be overtaken; those who wait for
/// their answers are the bound.
#[derive(Clone, Debug)]
pub(super) struct Lane(mpsc::UnboundedSender<Waiting>);

/// A publish that has not begun. Whoever gives up takes the message along: in an alarm many may.
#[derive(Debug)]
struct Waiting {
    parcel: Weak<Parcel>,
    answer: oneshot::Sender<Verdict>,
}

/// A publish under way, and who waits for it.
#[derive(Debug)]
struct Entry {
    parcel: Arc<Parcel>,
    answer: oneshot::Sender<Verdict>,
    returned: bool,
}

impl Lane {
    /// A lane, and what has to run as long as it should live.
    pub fn new(session: Arc<Session>) -> (Lane, impl Future<Output = ()>) {
        let (sender, inbox) = mpsc::unbounded_channel();
        let running = async move {
            // Whoever waits tries it alone then, and hears what is wrong.
            let Ok(channel) = session.confirming().await else { return };
            let why = tokio::select! {
                why = Traffic::new(&session, &channel).run(inbox) => why,
                () = session.over() => return,
            };
            tracing::debug!(why, "a channel with many publishes under way was closed");
            // One of them may have done that, unless it was closed with all the others.
            if session.alive() {
                session.distrust();
            }
        };
        (Lane(sender), running)
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// What became of it, if that is known.
    pub async fn publish(&self, parcel: &Arc<Parcel>) -> Option<Verdict> {
        let (answer, verdict) = oneshot::channel();
        self.0.send(Waiting { parcel: Arc::downgrade(parcel), answer }).ok()?;
        verdict.await.ok()
    }
}

/// All that is under way, by number.
struct Traffic<'a> {
    session: &'a Session,
    channel: &'a Channel,
    count: u64,
    entries: HashMap<u64, Entry>,
    /// Handed to lapin, in this order, and not yet written to the socket.
    sending: VecDeque<(u64, MaybeDone<BoxFuture<'a, lapin::Result<PublisherConfirm>>>)>,
    /// Written, and not yet confirmed.
    confirming: FuturesUnordered<Confirming>,
    settled: Vec<(u64, Confirmation)>,
}

struct Confirming(u64, PublisherConfirm);

impl Future for Confirming {
    type Output = (u64, lapin::Result<Confirmation>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let number = self.0;
        self.1.poll_unpin(context).map(|outcome| (number, outcome))
    }
}

impl<'a> Traffic<'a> {
    fn new(session: &'a Session, channel: &'a Channel) -> Traffic<'a> {
        Traffic {
            session,
            channel,
            count: 0,
            entries: HashMap::new(),
            sending: VecDeque::new(),
            confirming: FuturesUnordered::new(),
            settled: Vec::new(),
        }
    }

    /// Runs until something is wrong, and says what.
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Waiting>) -> String {
        let (mut arrived, mut pulse) = (Vec::new(), interval(LOOK));
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = poll_fn(|context| {
                let settled = self.look(context)?;
                let room = self.room(&mut pulse, context);
                let came = room > 0 && inbox.poll_recv_many(context, &mut arrived, room).is_ready();
                arrived.drain(..).for_each(|waiting| self.start(waiting, context));
                if settled || came { Poll::Ready(Ok(())) } else { Poll::Pending }
            });
            let outcome: lapin::Result<()> = step.await;
            match outcome.map_err(|error| error.to_string()).and_then(|()| self.settle()) {
                Ok(()) => {}
                Err(why) => return why,
            }
        }
    }

    /// How many may begin. None in an alarm: what is handed to lapin then would be sent after it, long after its publisher
    /// gave up and tried again. Waiting here keeps the order.
    fn room(&self, pulse: &mut Interval, context: &mut Context<'_>) -> usize {
        if !self.session.is_blocked() {
            return WINDOW - self.entries.len();
        }
        // Its next beat wakes us to look again.
        while pulse.poll_tick(context).is_ready() {}
        0
    }

    /// Its first poll hands the message to lapin, so the order is that of the calls. Whoever has given up meanwhile may
    /// have sent it again.
    fn start(&mut self, waiting: Waiting, context: &mut Context<'_>) {
        let Waiting { parcel, answer } = waiting;
        let Some(parcel) = parcel.upgrade().filter(|_| !answer.is_closed()) else { return };
        let entry = Entry { parcel: parcel.clone(), answer, returned: false };
        let channel = self.channel;
        let (exchange, key, properties) = (parcel.exchange.clone(), parcel.key.clone(), parcel.properties.clone());
        let sending = async move { channel.basic_publish(exchange, key, MANDATORY, &parcel.body, properties).await };
        let mut sending = maybe_done(sending.boxed());
        let _ = sending.poll_unpin(context);
        self.sending.push_back((self.count, sending));
        self.entries.insert(self.count, entry);
        self.count += 1;
    }

    /// Collects what is settled until nothing more is ready. A futures-unordered says "pending" only when it has polled
    /// all that were woken, and these are woken by their resolution alone.
    fn look(&mut self, context: &mut Context<'_>) -> lapin::Result<bool> {
        loop {
            while let Some((number, sending)) = self.sending.front_mut()
                && sending.poll_unpin(context).is_ready()
            {
                let confirm = Pin::new(sending).take_output().expect("it is done, and taken once")?;
                self.confirming.push(Confirming(*number, confirm));
                self.sending.pop_front();
            }
            let before = self.settled.len();
            while let Poll::Ready(Some((number, outcome))) = self.confirming.poll_next_unpin(context) {
                self.settled.push((number, outcome?));
            }
            if self.settled.len() == before {
                return Ok(before > 0);
            }
        }
    }

    /// Answers those that are settled.
    fn settle(&mut self) -> Result<(), String> {
        let settled = std::mem::take(&mut self.settled);
        for (_, confirmation) in &settled {
            if let Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message)) = confirmation {
                let owner = owner(&mut self.entries, message).ok_or("a message came back that nobody sent")?;
                owner.returned = true;
            }
        }
        for (number, confirmation) in settled {
            let entry = self.entries.remove(&number).expect("it is confirmed once");
            let verdict = match confirmation {
                _ if entry.returned => Verdict::Unroutable,
                Confirmation::Ack(_) => Verdict::Taken,
                Confirmation::Nack(_) | Confirmation::NotRequested => Verdict::Refused,
            };
            // Whoever has lost interest is not told.
            let _ = entry.answer.send(verdict);
        }
        Ok(())
    }
}

/// To whom a returned message belongs: the first that equals it, because the broker answers in order. If none does, it was
/// changed on the way, and where it was sent decides: that is what it could not be routed by.
fn owner<'a>(entries: &'a mut HashMap<u64, Entry>, message: &BasicReturnMessage) -> Option<&'a mut Entry> {
    let sent = &message.delivery;
    let to = |parcel: &Parcel| parcel.exchange == sent.exchange && parcel.key == sent.routing_key;
    let same = |parcel: &Parcel| to(parcel) && parcel.body == sent.data && parcel.properties == sent.properties;
    let open = || entries.iter().filter(|(_, entry)| !entry.returned);
    let exact = open().filter(|(_, entry)| same(&entry.parcel)).map(|(number, _)| *number).min();
    let near = || open().filter(|(_, entry)| to(&entry.parcel)).map(|(number, _)| *number).min();
    let number = exact.or_else(near)?;
    entries.get_mut(&number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::BasicProperties;

    #[test]
    fn whoever_gives_up_waiting_takes_the_message_along() {
        let (sender, inbox) = mpsc::unbounded_channel();
        let parcel = Parcel {
            exchange: "".into(),
            key: "queue".into(),
            properties: BasicProperties::default(),
            body: vec![0; 1000],
        };
        let parcel = Arc::new(parcel);
        let left = Arc::downgrade(&parcel);
        let waiting = async move { Lane(sender).publish(&parcel).await };
        assert!(waiting.now_or_never().is_none());
        assert!(left.upgrade().is_none(), "the lane keeps what nobody waits for");
        assert_eq!(inbox.len(), 1);
    }
}
