//! The thread without its thread, where a test wants to see each transaction, and with it.

use super::super::super::{Message, Queue, Topology};
use super::super::consumer::Consumer;
use super::super::work::{Line, Question, Settlement};
use super::*;

fn open(path: &Path) -> (Line, Actor) {
    let (line, inbox, door) = Line::new(Duration::from_secs(30)).unwrap();
    (line, Actor::open(path, "test", inbox, door).unwrap())
}

fn publish(bytes: usize) -> Work {
    let message = Message { body: vec![7; bytes], ..Message::default() };
    Work::Publish { exchange: String::new(), key: "work".into(), message }
}

/// All of it in one group, and the answers.
fn commit(actor: &mut Actor, works: Vec<Work>) -> Vec<Answer> {
    let (batch, answers): (Vec<_>, Vec<_>) = works
        .into_iter()
        .map(|work| {
            let (reply, answer) = oneshot::channel();
            (Command { work, reply: Some(reply) }, answer)
        })
        .unzip();
    actor.commit(batch);
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
}

#[test]
fn what_does_not_fit_on_the_disk_fails_alone_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_line, mut actor) = open(&folder.path().join("bus.db"));
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new("work")] };
    commit(&mut actor, vec![Work::Declare(topology)]).remove(0).unwrap();
    // A disk with a megabyte to spare, as far as SQLite can tell.
    actor.db.execute_batch("PRAGMA max_page_count = 256").unwrap();
    let mut answers = commit(&mut actor, vec![publish(10), publish(4 << 20), publish(20)]);
    assert!(answers.pop().unwrap().is_ok() && answers.remove(0).is_ok());
    let why = answers.remove(0).unwrap_err().to_string();
    assert!(why.contains("bus.db: the disk is full"), "{why}");
    let told = commit(&mut actor, vec![Work::Look(Question::Depth { queue: "work".into() })]).remove(0).unwrap();
    assert_eq!(told.depth.ready, 2);
    actor.goodbye();
}

/// Looks for the dead now.
fn look(actor: &mut Actor) {
    let (reply, _) = oneshot::channel();
    actor.look_around(&[Command { work: Work::Look(Question::Names), reply: Some(reply) }]);
}

/// Two others find somebody dead whose lock file was deleted by hand. When the second of them clears up, he is back.
#[test]
fn who_was_taken_for_dead_and_is_back_is_not_cleared_away_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let [(line, mut alive), (_first, mut first), (_second, mut second)] = [(); 3].map(|()| open(&path));
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new("work"), Queue::exclusive("mine")] };
    let own = topology.queues[1].name.clone();
    commit(&mut alive, vec![Work::Declare(topology), publish(1)]).into_iter().for_each(|answer| drop(answer.unwrap()));
    let (parcels, end) = tokio::sync::mpsc::unbounded_channel();
    let consumer = Consumer::new(line.clone(), "work", end);
    let work = Work::Consume { consumer: consumer.id(), queue: "work".into(), prefetch: 2, parcels };
    commit(&mut alive, vec![work]).remove(0).unwrap();

    alive.client.lose_lock();
    look(&mut first);
    look(&mut second);
    first.commit(vec![]);
    look(&mut alive);
    alive.commit(vec![]);
    second.commit(vec![]);
    look(&mut alive);

    let depth = |actor: &mut Actor, queue: &str| {
        commit(actor, vec![Work::Look(Question::Depth { queue: queue.into() })]).remove(0).unwrap().depth
    };
    let depth_of_work = depth(&mut second, "work");
    assert_eq!((depth_of_work.ready, depth_of_work.unacked, depth_of_work.consumers), (0, Some(1), 1));
    assert_eq!(depth(&mut second, &own).ready, 0, "what is his alone is there again");
    let claimed = alive.db.query_row("SELECT id FROM bus_messages", [], |row| row.get(0)).unwrap();
    commit(&mut alive, vec![Work::Settle { id: claimed, how: Settlement::Ack }]).remove(0).unwrap();
    drop(consumer);
}

/// A thread that never looks by itself while it hears; `lock` is what it listens to, if not to its own.
fn start(path: &Path, lock: Option<&Path>) -> Line {
    let (line, mut actor) = open(path);
    actor.next_look += Duration::from_secs(3600);
    actor.ears = lock.map(Ears::open);
    std::thread::spawn(move || actor.run());
    line
}

/// A note goes to and fro between two threads that share nothing but the file; each acknowledges what it answers
/// at the same time, so that commits meet looks at every moment.
async fn to_and_fro(lines: [Line; 2], rounds: u32) {
    let queues = ["there", "back"].map(Queue::new);
    let topology = Topology { exchanges: vec![], queues: queues.to_vec() };
    lines[0].ask("declaring", Work::Declare(topology)).await.unwrap();
    let mut consumers = Vec::new();
    for (line, queue) in lines.iter().zip(&queues) {
        let (parcels, end) = tokio::sync::mpsc::unbounded_channel();
        let consumer = Consumer::new(line.clone(), &queue.name, end);
        let work = Work::Consume { consumer: consumer.id(), queue: queue.name.clone(), prefetch: 1, parcels };
        line.ask("starting to consume", work).await.unwrap();
        consumers.push(consumer);
    }
    for round in 0..rounds {
        for (side, line) in lines.iter().rev().enumerate() {
            let publish =
                Work::Publish { exchange: "".into(), key: queues[side].name.clone(), message: Message::default() };
            line.tell(publish);
            let delivery = tokio::time::timeout(Duration::from_secs(30), consumers[side].next()).await;
            let delivery = delivery.unwrap_or_else(|_| panic!("slept through round {round}")).unwrap();
            tokio::spawn(delivery.ack());
        }
    }
}

#[tokio::test]
async fn no_commit_of_others_is_slept_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    to_and_fro([start(&path, None), start(&path, None)], 200).await;
}

#[tokio::test]
async fn who_is_deaf_looks_every_few_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let nowhere = Some(Path::new("/nowhere/lock"));
    to_and_fro([start(&path, nowhere), start(&path, nowhere)], 20).await;
}
