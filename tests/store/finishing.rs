//! Outcomes: twice, late, contradictory, from nowhere.

use crate::*;
use oat::fractal::{Formula, Palette, Scene};
use oat::store::{Finished, Record, State};
use std::sync::Arc;

async fn recorded(store: &Store) -> Uuid {
    let task = task();
    store.insert(std::slice::from_ref(&task), noon(), noon()).await.unwrap();
    task.uuid
}

async fn finish(store: &Store, outcome: Outcome) -> Finished {
    store.finish(&[outcome], noon()).await.unwrap().remove(0)
}

async fn find(store: &Store, uuid: Uuid) -> Record {
    store.find(&uuid.to_string()).await.unwrap()
}

pub async fn an_outcome_is_recorded_once(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    let (began, ended) = (Some(noon() + seconds(5)), Some(noon() + seconds(9)));
    let told = Outcome { attempt: 3, started_at: began, finished_at: ended, ..drawn(uuid, "a") };
    assert_eq!(finish(&store, told.clone()).await, Finished::Recorded);
    let record = find(&store, uuid).await;
    assert_eq!((record.state, record.drawn.clone()), (State::Done, Some(picture("a"))));
    assert_eq!((record.worker.as_deref(), record.attempt, &record.reason), (Some("worker-1"), 3, &None));
    assert_eq!((record.started_at, record.finished_at), (began, ended));

    assert_eq!(finish(&store, Outcome { attempt: 4, worker: "other".into(), ..told }).await, Finished::Duplicate);
    assert_eq!(find(&store, uuid).await, record);

    let uuid = recorded(&store).await;
    assert_eq!(finish(&store, failed(uuid, "too deep")).await, Finished::Recorded);
    assert_eq!(finish(&store, failed(uuid, "too deep")).await, Finished::Duplicate);
    let record = find(&store, uuid).await;
    assert_eq!((record.state, record.reason.as_deref(), record.drawn), (State::Failed, Some("too deep"), None));
    assert_eq!(record.finished_at, Some(noon()));
    assert_eq!(store.finish(&[], noon()).await, Ok(vec![]));
}

pub async fn another_picture_is_a_conflict(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    finish(&store, drawn(uuid, "a")).await;
    assert_eq!(finish(&store, drawn(uuid, "b")).await, Finished::Conflict { recorded: "a".into() });
    assert_eq!(find(&store, uuid).await.drawn, Some(picture("a")));
}

pub async fn the_same_pixels_in_other_bytes_are_no_conflict(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    assert_eq!(finish(&store, drawn(uuid, "a")).await, Finished::Recorded);
    let packed = Drawn { checksum: "b".into(), ..picture("a") };
    assert_eq!(finish(&store, outcome(uuid, End::Drawn(packed))).await, Finished::Recorded);
    assert_eq!(find(&store, uuid).await.drawn.unwrap().checksum, "b");
}

pub async fn a_picture_of_another_scene_is_not_recorded(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    let other = Scene::new(Formula::Mandelbrot, task().scene.viewport(), 77, Palette::Classic).unwrap();
    let told = Outcome { task: Some(Task { uuid, scene: other, ..task() }), ..drawn(uuid, "a") };
    assert_eq!(finish(&store, told.clone()).await, Finished::Stranger);
    assert_eq!(find(&store, uuid).await.state, State::New);
    assert_eq!(finish(&store, drawn(uuid, "a")).await, Finished::Recorded);
    assert_eq!(finish(&store, told).await, Finished::Stranger);
}

pub async fn a_cancelled_task_stays_cancelled(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    assert_eq!(store.cancel(uuid).await, Ok(true));
    assert_eq!(store.cancel(uuid).await, Ok(false));
    assert_eq!(finish(&store, drawn(uuid, "a")).await, Finished::Late);
    assert_eq!(finish(&store, failed(uuid, "no")).await, Finished::Late);
    let record = find(&store, uuid).await;
    assert_eq!((record.state, record.drawn, record.reason), (State::Cancelled, None, None));

    let uuid = recorded(&store).await;
    finish(&store, drawn(uuid, "a")).await;
    assert_eq!(store.cancel(uuid).await, Ok(false));
    assert_eq!(store.cancel(Uuid::new_v4()).await, Ok(false));
}

pub async fn a_late_success_replaces_a_failure(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    finish(&store, failed(uuid, "worker died")).await;
    assert_eq!(finish(&store, drawn(uuid, "a")).await, Finished::Recorded);
    let record = find(&store, uuid).await;
    assert_eq!((record.state, record.reason, record.drawn), (State::Done, None, Some(picture("a"))));
}

pub async fn a_done_task_stays_done(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    finish(&store, drawn(uuid, "a")).await;
    let record = find(&store, uuid).await;
    assert_eq!(finish(&store, failed(uuid, "no")).await, Finished::Late);
    assert_eq!(find(&store, uuid).await, record);
}

fn stray() -> Outcome {
    let task = task();
    Outcome { task: Some(task.clone()), ..drawn(task.uuid, "a") }
}

pub async fn a_task_that_comes_with_its_outcome_is_adopted(place: Place) {
    let store = place.store().await;
    let outcome = stray();
    assert_eq!(finish(&store, outcome.clone()).await, Finished::Adopted);
    let record = find(&store, outcome.uuid).await;
    assert_eq!(
        (Some(record.task), record.state, record.drawn),
        (outcome.task.clone(), State::Done, Some(picture("a")))
    );
    assert_eq!((record.created_at, record.publishes), (noon(), 0));
    assert_eq!(finish(&store, outcome).await, Finished::Duplicate);
}

pub async fn an_outcome_of_an_unknown_task_is_told(place: Place) {
    let store = place.store().await;
    assert_eq!(finish(&store, drawn(Uuid::new_v4(), "a")).await, Finished::Unknown);
    assert_eq!(store.counts().await.unwrap(), Default::default());
}

pub async fn a_batch_may_hold_a_task_twice(place: Place) {
    let store = place.store().await;
    let (known, adopted) = (recorded(&store).await, stray());
    let batch = [
        failed(known, "no"),
        adopted.clone(),
        drawn(known, "a"),
        drawn(known, "b"),
        adopted,
        drawn(Uuid::new_v4(), "a"),
        failed(known, "no"),
    ];
    let expected = [
        Finished::Recorded,
        Finished::Adopted,
        Finished::Recorded,
        Finished::Conflict { recorded: "a".into() },
        Finished::Duplicate,
        Finished::Unknown,
        Finished::Late,
    ];
    assert_eq!(store.finish(&batch, noon()).await.unwrap(), expected);
}

pub async fn two_trackers_adopt_a_task_once(place: Place) {
    let store = place.store().await;
    for _ in 0..20 {
        let batch = [stray()];
        let (one, other) = tokio::join!(store.finish(&batch, noon()), store.finish(&batch, noon()));
        let mut both = [one.unwrap().remove(0), other.unwrap().remove(0)];
        both.sort_by_key(|finished| *finished == Finished::Duplicate);
        assert_eq!(both, [Finished::Adopted, Finished::Duplicate]);
    }
}

/// The same results in opposite orders: the locks must not close a circle, and each result counts once.
pub async fn trackers_with_the_same_results_agree(place: Place) {
    let store = Arc::new(place.store().await);
    let all = tasks(60);
    store.insert(&all, noon(), noon()).await.unwrap();
    let forwards: Vec<Outcome> = uuids(&all).into_iter().map(|uuid| drawn(uuid, "a")).collect();
    let backwards: Vec<Outcome> = forwards.iter().rev().cloned().collect();
    let trackers: Vec<_> = [forwards.clone(), backwards.clone(), forwards, backwards]
        .into_iter()
        .map(|batch| (store.clone(), batch))
        .map(|(store, batch)| tokio::spawn(async move { store.finish(&batch, noon()).await.unwrap() }))
        .collect();
    let mut recorded = 0;
    for tracker in trackers {
        recorded += tracker.await.unwrap().iter().filter(|finished| **finished == Finished::Recorded).count();
    }
    assert_eq!((recorded, store.counts().await.unwrap().done), (60, 60));
}

pub async fn unbelievable_clocks_are_not_kept(place: Place) {
    let store = place.store().await;
    let uuid = recorded(&store).await;
    let told = Outcome {
        attempt: u32::MAX,
        worker: String::new(),
        started_at: Some(DateTime::<Utc>::MIN_UTC),
        finished_at: Some(DateTime::<Utc>::MAX_UTC),
        ..drawn(uuid, "a")
    };
    assert_eq!(finish(&store, told).await, Finished::Recorded);
    let record = find(&store, uuid).await;
    assert_eq!((record.started_at, record.finished_at, record.worker), (None, Some(noon()), None));

    let uuid = recorded(&store).await;
    let leap_second = "2016-12-31T23:59:60.25Z".parse().unwrap();
    let told = Outcome { finished_at: Some(leap_second), ..drawn(uuid, "a") };
    assert_eq!(finish(&store, told).await, Finished::Recorded);
    let next = "2017-01-01T00:00:00.25Z".parse().unwrap();
    assert_eq!(find(&store, uuid).await.finished_at, Some(next));
}
