//! The story from end to end, with the programs as processes of their own: on one file, and on real servers.

mod hostile;
mod kombu;
#[path = "../support/mod.rs"]
mod support;
mod system;

use std::collections::BTreeSet;
use support::Server;
use system::System;

/// Producer, two workers and tracker; every picture drawn, by both workers.
fn a_pipeline_draws(system: System, number: usize) {
    let (tracker, first, second) = (system.tracker(), system.worker("first"), system.worker("second"));
    assert_eq!(system.producer(number).wait(), Some(0));
    system.wait_until_done(number);
    system.assert_everything_is_whole(number);
    let workers: BTreeSet<_> = system.records().into_iter().filter_map(|record| record.worker).collect();
    assert_eq!(workers, BTreeSet::from(["first".into(), "second".into()]));
    for daemon in [first, second, tracker] {
        assert_eq!(daemon.stop(), Some(0), "SIGTERM ends a daemon in good order");
    }
}

/// One after the other dies in the middle of its work and is started again.
fn a_pipeline_survives_its_parts(system: System, number: usize, broker: Option<&Server>, database: Option<&Server>) {
    let (mut tracker, mut first, _second) = (system.tracker(), system.worker("first"), system.worker("second"));
    let producer = system.producer(number);
    for share in [2, 4, 6] {
        system.wait_until_done(number * share / 20);
        first.kill();
        first = system.worker("first");
    }
    for share in [7, 8] {
        system.wait_until_done(number * share / 20);
        tracker.kill();
        tracker = system.tracker();
    }
    support::wait_until("half of the tasks are stored", || system.stored() >= number / 2);
    producer.kill();
    let producer = system.producer(number - system.stored());
    if let Some(broker) = broker {
        system.wait_until_done(number * 12 / 20);
        broker.kill();
        broker.restart();
    }
    if let Some(database) = database {
        system.wait_until_done(number * 14 / 20);
        database.kill();
        database.restart();
    }
    assert!(matches!(producer.wait(), Some(0 | 3)), "the producer ends, and says so if the sweeper has to publish");
    system.wait_until_done(number);
    drop(first);
    let _sweeping = system.worker("last");
    support::wait_until("a worker has taken away what dead ones left half written", || system.unfinished() == 0);
    system.assert_everything_is_whole(number);
    assert_eq!(tracker.stop(), Some(0));
}

#[test]
fn three_processes_on_one_file_draw_200_pictures() {
    a_pipeline_draws(System::on_a_file(), 200);
}

#[test]
fn rabbitmq_and_mariadb_draw_500_pictures() {
    a_pipeline_draws(System::on_shared_servers("mariadb"), 500);
}

#[test]
fn rabbitmq_and_postgresql_draw_500_pictures() {
    a_pipeline_draws(System::on_shared_servers("postgres"), 500);
}

#[test]
fn a_file_survives_the_death_of_every_process() {
    a_pipeline_survives_its_parts(System::on_a_file(), 200, None, None);
}

#[test]
fn rabbitmq_and_mariadb_survive_the_death_of_every_process() {
    let (broker, database) = (Server::start("rabbitmq"), Server::start("mariadb"));
    let system = System::on(&broker.url(), &database.url());
    a_pipeline_survives_its_parts(system, 500, Some(&broker), Some(&database));
}

#[test]
fn rabbitmq_and_postgresql_survive_the_death_of_every_process() {
    let (broker, database) = (Server::start("rabbitmq"), Server::start("postgres"));
    let system = System::on(&broker.url(), &database.url());
    a_pipeline_survives_its_parts(system, 500, Some(&broker), Some(&database));
}

/// `systemctl stop`, a pod that is moved: what is being drawn is finished, recorded, and not drawn again.
#[test]
fn a_worker_that_is_told_to_stop_finishes_what_it_draws() {
    let system = System::on_a_file();
    let (_tracker, worker) = (system.tracker(), system.worker("first"));
    let task = system.send_heavy_task();
    support::wait_until("the worker draws", || system.log("first").contains("processing task"));
    assert!(!system.log("first").contains("processed in"), "the task is too light for this test");
    assert_eq!(worker.stop(), Some(0));
    system.wait_until_done(1);
    assert_eq!(system.records()[0].task, task);
    assert_eq!(system.records()[0].attempt, 1);
    system.assert_everything_is_whole(1);
}

/// The same in CBOR.
#[test]
fn messages_in_cbor_are_drawn_too() {
    let system = System::on_a_file();
    let (_tracker, _worker) = (system.tracker(), system.worker("first"));
    assert_eq!(system.producer_with(10, &["--encoding=cbor"]).wait(), Some(0));
    system.wait_until_done(10);
    system.assert_everything_is_whole(10);
}

/// The broker's disk is gone, and with it every queue: the records are the outbox.
#[test]
fn what_the_bus_has_lost_is_published_again() {
    let system = System::on_a_file();
    assert_eq!(system.producer(20).wait(), Some(0));
    system.block_on(async {
        let connection = system.connect().await;
        let mut thief = connection.consume(&system.names().tasks, 20).await.unwrap();
        for _ in 0..20 {
            thief.next().await.unwrap().ack().await.unwrap();
        }
        connection.close().await;
    });
    let (_tracker, _worker) = (system.tracker(), system.worker("first"));
    system.wait_until_done(20);
    system.assert_everything_is_whole(20);
}

/// Only direct access to the table can bring this about: the producer died between commit and publish.
#[test]
fn what_was_stored_and_never_published_is_published() {
    let system = System::on_a_file();
    let now = chrono::Utc::now();
    let scene = oat::fractal::catalogue::TOUR[0].scene(60, 40, oat::fractal::Samples::FOUR).unwrap();
    let task = oat::task::Task { uuid: uuid::Uuid::new_v4(), name: None, scene };
    system.block_on(system.store().insert(&[task], now, now)).unwrap();
    let (_tracker, _worker) = (system.tracker(), system.worker("first"));
    system.wait_until_done(1);
    system.assert_everything_is_whole(1);
}
