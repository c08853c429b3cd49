//! Reading: one record, lists, counts.

use crate::*;
use oat::store::{Counts, Error, Filter, State};

fn named(uuid: &str) -> Task {
    Task { uuid: uuid.parse().unwrap(), ..task() }
}

pub async fn a_record_is_found_by_the_beginning_of_its_uuid(place: Place) {
    let store = place.store().await;
    let wanted = named("abcdef01-2345-4678-9abc-def012345678");
    store.insert(&[wanted.clone(), named("abcdef11-2345-4678-9abc-def012345678")], noon(), noon()).await.unwrap();
    for id in [
        "abcdef01-2345-4678-9abc-def012345678",
        "ABCDEF01-2345-4678-9ABC-DEF012345678",
        "abcdef01234546789abcdef012345678",
        "abcdef01-2",
        "abcdef0",
        " abcdef012 ",
    ] {
        assert_eq!(store.find(id).await.unwrap().task, wanted, "{id:?}");
    }
}

pub async fn an_ambiguous_id_is_told_its_candidates(place: Place) {
    let store = place.store().await;
    let both = [named("abcd0000-0000-4000-8000-000000000000"), named("abcdffff-ffff-4fff-bfff-ffffffffffff")];
    store.insert(&both, noon(), noon()).await.unwrap();
    let error = store.find("abcd").await.unwrap_err();
    assert_eq!(error, Error::Ambiguous { id: "abcd".into(), candidates: uuids(&both) });
    assert!(error.to_string().contains("abcd0000-"), "{error}");
}

pub async fn an_id_that_nobody_has_is_not_found(place: Place) {
    let store = place.store().await;
    store.insert(&[named("abcd0000-0000-4000-8000-000000000000")], noon(), noon()).await.unwrap();
    for id in ["abce", "abc", "", "%%%%", "____", "zzzz", "abcd0000-0000-4000-8000-000000000001"] {
        assert_eq!(store.find(id).await, Err(Error::NotFound { id: id.into() }));
    }
}

pub async fn lists_are_filtered_and_newest_first(place: Place) {
    let store = place.store().await;
    let all = tasks(6);
    for (age, task) in all.iter().enumerate() {
        store.insert(std::slice::from_ref(task), noon() + seconds(age as i64), noon()).await.unwrap();
    }
    let other = Outcome { worker: "Worker-1".into(), ..drawn(all[5].uuid, "a") };
    store.finish(&[drawn(all[1].uuid, "a"), failed(all[3].uuid, "no"), other], noon()).await.unwrap();
    let list = async |state, worker: Option<&str>, limit| {
        let filter = Filter { state, worker: worker.map(Into::into), limit };
        let records = store.list(&filter).await.unwrap();
        records.iter().map(|record| all.iter().position(|task| *task == record.task).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 100).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(list(None, None, 2).await, [5, 4]);
    assert_eq!(list(Some(State::New), None, 100).await, [4, 2, 0]);
    assert_eq!(list(None, Some("worker-1"), 100).await, [3, 1]);
    assert_eq!(list(Some(State::Done), Some("worker-1"), 100).await, [1]);
    assert_eq!(list(None, None, 0).await, [0_usize; 0]);
}

pub async fn states_are_counted(place: Place) {
    let store = place.store().await;
    let all = tasks(15);
    let uuids = uuids(&all);
    store.insert(&all, noon(), noon()).await.unwrap();
    store.mark_published(&uuids[..14], noon(), noon()).await.unwrap();
    store.finish(&uuids[..3].iter().map(|uuid| drawn(*uuid, "a")).collect::<Vec<_>>(), noon()).await.unwrap();
    store.finish(&uuids[3..7].iter().map(|uuid| failed(*uuid, "no")).collect::<Vec<_>>(), noon()).await.unwrap();
    for uuid in &uuids[7..12] {
        store.cancel(*uuid).await.unwrap();
    }
    let expected = Counts { new: 1, queued: 2, done: 3, failed: 4, cancelled: 5 };
    assert_eq!(store.counts().await, Ok(expected));
}

pub async fn a_foreign_row_hides_no_others(place: Place) {
    let store = place.store().await;
    let pair = tasks(2);
    store.insert(&pair, noon(), noon()).await.unwrap();
    place.sql(&format!("UPDATE fractals SET palette = 'mauve' WHERE uuid = '{}'", pair[0].uuid)).await;
    let listed = store.list(&Filter::default()).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.task.uuid).collect::<Vec<_>>(), [pair[1].uuid]);
    let error = store.find(&pair[0].uuid.to_string()).await.unwrap_err();
    assert!(error.to_string().contains("palette") && !error.is_environment(), "{error}");
}
