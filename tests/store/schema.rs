//! Tables: made once, whoever comes first; refused when they are too new, and missed in words when they are not there.

use crate::*;
use oat::store::Error;
use std::process::{Command, Stdio};

const ALL: [&str; 2] = ["2026-11-21-000000_fractals", "2026-11-21-100000_border"];

pub async fn six_stores_migrate_at_once(place: Place) {
    let stores: Vec<_> = (0..6).map(|_| place.url.clone()).map(|url| tokio::spawn(migrate(url))).collect();
    let mut ran = Vec::new();
    for store in stores {
        ran.extend(store.await.unwrap());
    }
    assert_eq!(ran, ALL);
}

async fn migrate(url: String) -> Vec<String> {
    Store::open(&url).await.unwrap().migrate().await.unwrap()
}

/// This test, again, in six processes of its own.
pub async fn six_processes_migrate_at_once(place: Place) {
    if let Ok(url) = std::env::var("OAT_TEST_MIGRATE") {
        println!("ran {}", migrate(url).await.len());
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "--nocapture", "on_sqlite::six_processes_migrate_at_once"]);
    again.env("OAT_TEST_MIGRATE", &place.url).stdout(Stdio::piped());
    let children: Vec<_> = (0..6).map(|_| again.spawn().unwrap()).collect();
    let mut ran = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        ran += String::from_utf8(output.stdout).unwrap().matches("ran 2").count();
    }
    assert_eq!(ran, 1);
    assert_eq!(place.open().await.counts().await.unwrap(), Default::default());
}

pub async fn migrating_twice_does_nothing(place: Place) {
    let store = place.open().await;
    assert_eq!(store.migrate().await.unwrap(), ALL);
    store.insert(&tasks(3), noon(), noon()).await.unwrap();
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
    assert_eq!(place.store().await.counts().await.unwrap().new, 3);
}

/// As an older oat has left them: the column that it did not know is taken away.
pub async fn older_records_stay_what_they_were(place: Place) {
    let (store, task) = (place.store().await, task());
    store.insert(std::slice::from_ref(&task), noon(), noon()).await.unwrap();
    store.close().await;
    place.sql("ALTER TABLE fractals DROP COLUMN border").await;
    place.sql("DELETE FROM __diesel_schema_migrations WHERE version = '20261121100000'").await;
    let store = place.open().await;
    assert_eq!(store.migrate().await.unwrap(), ALL[1..]);
    assert_eq!(store.find(&task.uuid.to_string()).await.unwrap().task, task);
}

pub async fn a_newer_schema_is_refused(place: Place) {
    place.store().await.close().await;
    place.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')").await;
    let error = Store::open(&place.url).await.err().unwrap();
    assert_eq!(error, Error::Newer { version: "29991231000000".into() });
    assert!(!error.is_environment());
}

pub async fn a_missing_schema_says_what_to_do(place: Place) {
    let store = place.open().await;
    assert!(store.is_blank().await.unwrap());
    assert_eq!(store.counts().await, Err(Error::SchemaMissing));
    assert_eq!(store.insert(&tasks(1), noon(), noon()).await, Err(Error::SchemaMissing));
    assert!(Error::SchemaMissing.to_string().contains("oat setup"));
    store.migrate().await.unwrap();
    store.insert(&tasks(1), noon(), noon()).await.unwrap();
    assert!(!store.is_blank().await.unwrap());
}
