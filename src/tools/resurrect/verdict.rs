//! What becomes of a dead message: pure, so that a rehearsal and the real thing cannot differ.

use super::{RESURRECTED, Settings, Target};
use crate::bus::{Death, ExchangeKind, HeaderValue, Message, matches};

/// What a death leaves in the headers of a message. A living one has no use for it, and would take its new death for an
/// old one; its attempts begin again at one.
const TRACES: [&str; 4] = ["x-oat-reason", "x-oat-queue", "x-oat-attempt", "x-death"];
/// The broker's own notes.
const BROKERS_TRACES: [&str; 2] = ["x-first-death-", "x-last-death-"];
const CAME_FROM: &str = "x-oat-exchange";
const CAME_WITH: &str = "x-oat-routing-key";

/// What happens to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes to this queue.
    Queue(String),
    /// It goes to all that are bound there.
    Exchange {
        /// The exchange.
        exchange: String,
        /// The routing key.
        key: String,
    },
    /// It stays dead, for this reason.
    Stays(String),
    /// The pattern does not match it.
    NotMeant,
}

/// A dead message, judged.
///
/// On RabbitMQ a message that goes straight to a queue comes by the default exchange. Services of oat know it all the
/// same, by its headers; eventail's would take it for a configuration. So what one of those let die goes back through
/// its exchange: a command does, because only its service is bound to it; an event does only if that is wished,
/// because all its subscribers will get it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The message's own identifier.
    pub id: Option<String>,
    /// The exchange and the routing key with which it was sent.
    pub sent: (String, String),
    /// Where, why and when it died last.
    pub death: Option<Death>,
    /// How often it has died.
    pub deaths: u64,
    /// What becomes of it.
    pub fate: Fate,
}

impl Verdict {
    pub(super) fn of(message: &Message, deaths: &[Death], settings: &Settings, is_file: bool) -> Verdict {
        let resurrected = message.int(RESURRECTED).and_then(|times| u64::try_from(times).ok()).unwrap_or(0);
        let death = deaths.first();
        let text = |name: &str, otherwise: Option<&String>| {
            message.text(name).map(str::to_owned).or(otherwise.cloned()).unwrap_or_default()
        };
        let sent = (
            text(CAME_FROM, death.map(|death| &death.exchange)),
            text(CAME_WITH, death.and_then(|death| death.routing_keys.first())),
        );
        let times =
            deaths.iter().fold(0_u64, |sum, death| sum.saturating_add(death.count)).max(resurrected.saturating_add(1));
        let fate = match death {
            _ if settings.only.as_ref().is_some_and(|only| !matches(ExchangeKind::Topic, only, &sent.1)) => {
                Fate::NotMeant
            }
            None => Fate::Stays("nothing tells where it died".into()),
            Some(_) if times > settings.max_deaths => {
                Fate::Stays(format!("it has died {times} times, and --max-deaths is {}", settings.max_deaths))
            }
            Some(death) => fate(death, &sent, settings, is_file),
        };
        Verdict { id: message.message_id.clone(), sent, death: death.cloned(), deaths: times, fate }
    }

    /// The message as it was before it died, and with its resurrections counted.
    pub(super) fn living(&self, dead: &Message) -> Message {
        let mut message = dead.clone();
        let trace = |name: &str| TRACES.contains(&name) || BROKERS_TRACES.iter().any(|start| name.starts_with(start));
        message.headers.retain(|name, _| !trace(name));
        message.headers.remove(CAME_FROM);
        message.headers.remove(CAME_WITH);
        if let Fate::Queue(_) = self.fate {
            // By these a service of ours knows it.
            message = message
                .header(CAME_FROM, HeaderValue::Text(self.sent.0.clone()))
                .header(CAME_WITH, HeaderValue::Text(self.sent.1.clone()));
        }
        let before = dead.int(RESURRECTED).unwrap_or(0).max(0);
        message.header(RESURRECTED, HeaderValue::Int(before.saturating_add(1)))
    }
}

fn fate(death: &Death, (exchange, key): &(String, String), settings: &Settings, is_file: bool) -> Fate {
    let through_exchange = || Fate::Exchange { exchange: exchange.clone(), key: key.clone() };
    // Only a broker notes the time: whoever has let it die is no service of ours.
    let foreign = death.time.is_some() && !is_file;
    match settings.target {
        Target::Exchange => through_exchange(),
        Target::Home if foreign && *exchange == settings.exchanges.commands => through_exchange(),
        Target::Home if foreign && *exchange == settings.exchanges.events => Fate::Stays(
            "its service may be one of eventail's, which know an event only if all its subscribers get it again: \
             --to-exchange; for any other: --to-queue"
                .into(),
        ),
        Target::Home | Target::Queue => Fate::Queue(death.queue.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::service::Exchanges;

    fn settings(target: Target) -> Settings {
        Settings {
            queue: "dead".into(),
            only: None,
            limit: None,
            max_deaths: 3,
            target,
            exchanges: Exchanges::default(),
        }
    }

    fn death(exchange: &str, key: &str, time: Option<u64>) -> Death {
        let (queue, reason) = ("ping.events".into(), "rejected".into());
        Death { queue, reason, exchange: exchange.into(), routing_keys: vec![key.into()], count: 1, time }
    }

    fn judge(message: &Message, death: &Death, settings: &Settings) -> Verdict {
        Verdict::of(message, std::slice::from_ref(death), settings, false)
    }

    #[test]
    fn a_message_goes_home_and_what_its_death_left_goes() {
        let dead = Message::new("text/plain", vec![1])
            .id("m")
            .header("x-oat-reason", HeaderValue::Text("rejected".into()))
            .header("x-oat-queue", HeaderValue::Text("ping.events".into()))
            .header("x-oat-attempt", HeaderValue::Int(4))
            .header("x-first-death-queue", HeaderValue::Text("ping.events".into()))
            .header("x-death", HeaderValue::Text("[]".into()))
            .header("mine", HeaderValue::Bool(true));
        let verdict = judge(&dead, &death("events", "Pinged", None), &settings(Target::Home));
        assert_eq!(verdict.fate, Fate::Queue("ping.events".into()));
        let living = verdict.living(&dead);
        let names: Vec<&str> = living.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["mine", "x-oat-exchange", "x-oat-resurrected", "x-oat-routing-key"]);
        assert_eq!((living.text(CAME_FROM), living.text(CAME_WITH)), (Some("events"), Some("Pinged")));
        assert_eq!((living.int(RESURRECTED), living.message_id), (Some(1), Some("m".into())));
    }

    #[test]
    fn what_dies_again_and_again_stays() {
        let settings = settings(Target::Home);
        let died = |before: i64| {
            let dead = Message::default().header(RESURRECTED, HeaderValue::Int(before));
            judge(&dead, &death("", "ping.events", None), &settings)
        };
        assert_eq!((died(2).fate, died(2).deaths), (Fate::Queue("ping.events".into()), 3));
        assert!(matches!(died(3).fate, Fate::Stays(why) if why.contains("4 times")));
    }

    #[test]
    fn a_pattern_is_held_against_the_key_with_which_it_was_sent() {
        let only = |pattern: &str| Settings { only: Some(pattern.into()), ..settings(Target::Home) };
        let fate = |pattern| judge(&Message::default(), &death("events", "shop.Sold", None), &only(pattern)).fate;
        assert_eq!(fate("bank.*"), Fate::NotMeant);
        assert_eq!(fate("*.Sold"), Fate::Queue("ping.events".into()));
    }

    #[test]
    fn what_eventail_let_die_goes_through_its_exchange_or_not_at_all() {
        let fate = |exchange: &str, target| {
            judge(&Message::default(), &death(exchange, "ping.Echo", Some(1)), &settings(target)).fate
        };
        let through = |exchange: &str| Fate::Exchange { exchange: exchange.into(), key: "ping.Echo".into() };
        assert_eq!(fate("commands", Target::Home), through("commands"));
        assert!(matches!(fate("events", Target::Home), Fate::Stays(why) if why.contains("--to-exchange")));
        assert_eq!(fate("events", Target::Exchange), through("events"));
        assert_eq!(fate("events", Target::Queue), Fate::Queue("ping.events".into()));
        assert_eq!(fate("shop", Target::Home), Fate::Queue("ping.events".into()));
    }

    #[test]
    fn what_never_died_stays() {
        let verdict = Verdict::of(&Message::default(), &[], &settings(Target::Exchange), true);
        assert!(matches!(verdict.fate, Fate::Stays(_)));
    }
}
