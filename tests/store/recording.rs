//! Writing tasks down, and marking them as published.

use crate::*;
use num_complex::Complex64;
use oat::fractal::{Border, Colouring, Samples};
use oat::store::{Error, Filter, State};
use std::sync::Arc;
use std::time::Duration;

pub async fn a_record_comes_back_bit_for_bit(place: Place) {
    let store = place.store().await;
    let bounds = [
        [-0.0, f64::MIN_POSITIVE, -1e-300, 1e-300],
        [f64::from_bits(1), 0.1 + 0.2, -1.0 / 3.0, 1e300],
        [-f64::from_bits(0x000f_ffff_ffff_ffff), 0.0, std::f64::consts::PI, 1e22],
    ];
    for [xa, xb, ya, yb] in bounds {
        let viewport = Viewport::new(1_000_000, 1, [xa, xb, ya, yb]).unwrap();
        let formula = Formula::Julia { c: Complex64::new(-0.0, f64::from_bits(7)) };
        let scene = Scene::new(formula, viewport, i32::MAX as u32, Palette::Classic).unwrap();
        let task = Task { uuid: Uuid::new_v4(), name: Some("Ωmega 🌀 Ｆraktal".into()), scene };
        store.insert(std::slice::from_ref(&task), noon(), noon()).await.unwrap();
        let record = store.find(&task.uuid.to_string()).await.unwrap();
        assert_eq!(bits(&record.task), bits(&task));
        assert_eq!(record.task, task);
        assert_eq!((record.state, record.created_at), (State::New, noon()));
        assert_eq!((record.attempt, record.publishes, record.drawn), (0, 0, None));
    }
}

pub async fn colours_come_back(place: Place) {
    let store = place.store().await;
    for border in Border::ALL {
        let colouring = Colouring {
            palette: Palette::Ember,
            offset: -0.1,
            density: 1.0 / 3.0,
            samples: Samples::new(9).unwrap(),
            border,
        };
        let scene = task().scene;
        let scene = Scene::new(scene.formula(), scene.viewport(), scene.iterations(), colouring).unwrap();
        let task = Task { scene, ..task() };
        store.insert(std::slice::from_ref(&task), noon(), noon()).await.unwrap();
        assert_eq!(store.find(&task.uuid.to_string()).await.unwrap().task, task);
    }
}

/// Equality of numbers takes −0 for 0.
fn bits(task: &Task) -> Vec<u64> {
    let c = task.scene.formula().c().unwrap();
    task.scene.viewport().bounds().iter().chain([&c.re, &c.im]).map(|number| number.to_bits()).collect()
}

pub async fn a_batch_is_recorded_whole_or_not_at_all(place: Place) {
    let store = place.store().await;
    let mut batch = tasks(1100);
    store.insert(&batch, noon(), noon()).await.unwrap();
    assert_eq!(store.counts().await.unwrap().new, 1100);

    let known = batch[7].uuid;
    batch = tasks(1100);
    batch[1099].uuid = known;
    assert_eq!(store.insert(&batch, noon(), noon()).await, Err(Error::Exists(known)));
    assert_eq!(store.counts().await.unwrap().new, 1100);
    store.insert(&[], noon(), noon()).await.unwrap();
}

pub async fn a_uuid_is_recorded_once(place: Place) {
    let store = place.store().await;
    let task = task();
    let twice = [task.clone(), task.clone()];
    assert_eq!(store.insert(&twice, noon(), noon()).await, Err(Error::Exists(task.uuid)));
    store.insert(&twice[..1], noon(), noon()).await.unwrap();
    assert_eq!(store.insert(&twice[..1], noon(), noon()).await, Err(Error::Exists(task.uuid)));
}

pub async fn text_is_only_data(place: Place) {
    let store = place.store().await;
    let nasty = "'; DROP TABLE fractals; -- \\' \" ? $1 %s 🦀";
    let named = Task { name: Some(nasty.into()), ..task() };
    store.insert(std::slice::from_ref(&named), noon(), noon()).await.unwrap();
    let told = Outcome { worker: nasty.into(), ..failed(named.uuid, &format!("{nasty}\0{}", "é".repeat(9000))) };
    store.finish(&[told], noon()).await.unwrap();
    let done = Outcome { worker: nasty.into(), task: Some(task()), ..drawn(Uuid::new_v4(), nasty) };
    let done = Outcome { task: done.task.map(|task| Task { uuid: done.uuid, ..task }), ..done };
    store.finish(std::slice::from_ref(&done), noon()).await.unwrap();

    let record = store.find(&named.uuid.to_string()).await.unwrap();
    assert_eq!((record.task, record.worker.as_deref()), (named, Some(nasty)));
    assert!(record.reason.unwrap().starts_with(&format!("{nasty}\u{fffd}é")));
    assert_eq!(store.find(&done.uuid.to_string()).await.unwrap().drawn.unwrap().checksum, nasty);
    let filter = Filter { worker: Some(nasty.into()), ..Filter::default() };
    assert_eq!(store.list(&filter).await.unwrap().len(), 2);
    assert!(store.find(nasty).await.is_err());
    let filter = Filter { worker: Some("' OR '1'='1".into()), ..Filter::default() };
    assert_eq!(store.list(&filter).await.unwrap(), []);
}

pub async fn eight_writers_do_not_lose_a_record(place: Place) {
    let store = Arc::new(place.store().await);
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(write(store.clone(), place.url.clone()))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.counts().await.unwrap().done, 8 * 25);
}

/// Every other call through a store of its own, as another process would.
async fn write(shared: Arc<Store>, url: String) {
    let own = Store::open(&url).await.unwrap();
    for round in 0..25 {
        let store = if round % 2 == 0 { &*shared } else { &own };
        let task = task();
        store.insert(std::slice::from_ref(&task), noon(), noon()).await.unwrap();
        assert_eq!(store.mark_published(&[task.uuid], noon(), noon()).await, Ok(1));
        store.finish(&[drawn(task.uuid, "a")], noon()).await.unwrap();
    }
    own.close().await;
}

pub async fn publishing_moves_new_tasks_only_and_is_counted_for_all(place: Place) {
    let store = place.store().await;
    let all = tasks(4);
    let [new, done, failure, gone] = [all[0].uuid, all[1].uuid, all[2].uuid, all[3].uuid];
    store.insert(&all, noon(), noon()).await.unwrap();
    store.finish(&[drawn(done, "a"), failed(failure, "no")], noon()).await.unwrap();
    assert!(store.cancel(gone).await.unwrap());

    let everything = [new, done, failure, gone, Uuid::new_v4(), new];
    assert_eq!(store.mark_published(&everything, noon() + seconds(1), noon()).await, Ok(1));
    assert_eq!(store.mark_published(&everything, noon() + seconds(2), noon()).await, Ok(1));
    let record = store.find(&new.to_string()).await.unwrap();
    assert_eq!((record.state, record.publishes), (State::Queued, 2));
    assert_eq!(record.published_at, Some(noon() + seconds(1)));
    for (uuid, state) in [(done, State::Done), (failure, State::Failed), (gone, State::Cancelled)] {
        let record = store.find(&uuid.to_string()).await.unwrap();
        assert_eq!((record.state, record.publishes), (state, 2), "the worker may be faster than the mark");
        assert_eq!(record.published_at, Some(noon() + seconds(1)));
    }
    assert_eq!(store.mark_published(&[], noon(), noon()).await, Ok(0));
}

/// The caller stops waiting at all sorts of moments; afterwards the store still works and the batch is there whole
/// or not at all.
pub async fn a_dropped_call_leaves_nothing_locked(place: Place) {
    let store = place.store().await;
    for moment in 0..40 {
        let batch = tasks(3);
        let limit = Duration::from_micros(moment * 150);
        let _ = tokio::time::timeout(limit, store.insert(&batch, noon(), noon())).await;
    }
    store.insert(&tasks(3), noon(), noon()).await.unwrap();
    support::wait_until_async("the last dropped call has ended", async || {
        store.insert(&tasks(3), noon(), noon()).await.unwrap();
        store.counts().await.unwrap().new % 3 == 0
    })
    .await;
}
