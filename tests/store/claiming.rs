//! What was not confirmed, or got lost, is found again: by one tracker at a time.

use crate::*;
use oat::store::{Due, State};
use std::collections::HashSet;
use std::sync::Arc;

fn later() -> DateTime<Utc> {
    noon() + seconds(60)
}

pub async fn a_due_task_is_claimed_by_one_tracker(place: Place) {
    let store = Arc::new(place.store().await);
    let all = tasks(200);
    store.insert(&all, noon(), noon()).await.unwrap();
    let trackers: Vec<_> = (0..8).map(|_| tokio::spawn(claim_all(store.clone()))).collect();
    let mut claimed = Vec::new();
    for tracker in trackers {
        claimed.extend(tracker.await.unwrap());
    }
    assert_eq!(claimed.len(), 200);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), uuids(&all).into_iter().collect());
}

async fn claim_all(store: Arc<Store>) -> Vec<Uuid> {
    let mut mine = Vec::new();
    loop {
        let claimed = store.claim_due(later(), later() + seconds(60), 7, true).await.unwrap();
        if claimed.is_empty() {
            return mine;
        }
        mine.extend(claimed.iter().map(|due| due.task.uuid));
    }
}

pub async fn the_longest_overdue_come_first(place: Place) {
    let store = place.store().await;
    let all = tasks(5);
    for (age, task) in all.iter().enumerate() {
        let due = noon() - seconds(age as i64);
        store.insert(std::slice::from_ref(task), noon(), due).await.unwrap();
    }
    let claimed = store.claim_due(later(), later(), 3, false).await.unwrap();
    let expected: Vec<Uuid> = [4, 3, 2].map(|n: usize| all[n].uuid).to_vec();
    assert_eq!(claimed.iter().map(|due| due.task.uuid).collect::<Vec<_>>(), expected);
    assert_eq!(store.claim_due(later(), later(), 0, false).await, Ok(vec![]));
}

pub async fn a_lease_runs_out(place: Place) {
    let store = place.store().await;
    let task = task();
    store.insert(std::slice::from_ref(&task), noon(), noon() + seconds(10)).await.unwrap();
    let claim = async |after: i64, queued_too| {
        let now = noon() + seconds(after);
        store.claim_due(now, now + seconds(30), 10, queued_too).await.unwrap()
    };
    let due = |state, publishes| vec![Due { task: task.clone(), state, publishes }];
    assert_eq!(claim(10, true).await, []);
    assert_eq!(claim(11, false).await, due(State::New, 0));
    assert_eq!(claim(40, false).await, []);
    assert_eq!(claim(42, false).await, due(State::New, 0));

    store.mark_published(&[task.uuid], noon(), noon() + seconds(100)).await.unwrap();
    assert_eq!(claim(99, true).await, []);
    assert_eq!(claim(101, false).await, []);
    assert_eq!(claim(101, true).await, due(State::Queued, 1));
}

pub async fn ended_tasks_are_never_due(place: Place) {
    let store = place.store().await;
    let all = tasks(3);
    store.insert(&all, noon(), noon()).await.unwrap();
    store.finish(&[drawn(all[0].uuid, "a"), failed(all[1].uuid, "no")], noon()).await.unwrap();
    store.cancel(all[2].uuid).await.unwrap();
    assert_eq!(store.claim_due(later(), later(), 10, true).await, Ok(vec![]));
}
