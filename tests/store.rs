//! What the store promises, on every database: each promise is one function, run on SQLite, MariaDB and PostgreSQL.

mod support;

#[path = "store/claiming.rs"]
mod claiming;
#[path = "store/finding.rs"]
mod finding;
#[path = "store/finishing.rs"]
mod finishing;
#[path = "store/recording.rs"]
mod recording;
#[path = "store/schema.rs"]
mod schema;
#[path = "store/tls.rs"]
mod tls;
#[path = "store/trouble.rs"]
mod trouble;

use chrono::{DateTime, TimeDelta, Utc};
use oat::fractal::{Formula, Palette, Scene, Viewport};
use oat::store::Store;
use oat::task::{Drawn, End, Outcome, Task};
use tempfile::TempDir;
use uuid::Uuid;

/// An empty database, which is gone (or forgotten) when this is dropped.
pub struct Place {
    url: String,
    _folder: Option<TempDir>,
}

impl Place {
    fn sqlite() -> Place {
        let folder = tempfile::tempdir().unwrap();
        Place { url: format!("sqlite:{}/oat.db", folder.path().display()), _folder: Some(folder) }
    }

    fn server(kind: &str) -> Place {
        Place { url: support::database(kind), _folder: None }
    }

    async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// With tables.
    async fn store(&self) -> Store {
        let store = self.open().await;
        store.migrate().await.unwrap();
        store
    }

    /// Goes behind the store's back.
    async fn sql(&self, statement: &str) {
        match self.url.split_once(':').unwrap() {
            ("sqlite", path) => rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap(),
            ("mysql", _) => {
                let mut connection = mysql_async::Conn::from_url(&self.url).await.unwrap();
                mysql_async::prelude::Queryable::query_drop(&mut connection, statement).await.unwrap();
                connection.disconnect().await.unwrap();
            }
            _ => {
                let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
                let driver = tokio::spawn(connection);
                client.batch_execute(statement).await.unwrap();
                drop(client);
                driver.await.unwrap().unwrap();
            }
        }
    }
}

/// Microseconds that no database may lose.
fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_795_262_400_123_457).unwrap()
}

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

fn task() -> Task {
    let viewport = Viewport::new(320, 200, [-2.0, 1.0, -1.5, 1.5]).unwrap();
    let scene = Scene::new(Formula::Mandelbrot, viewport, 256, Palette::Classic).unwrap();
    Task { uuid: Uuid::new_v4(), name: None, scene }
}

fn tasks(count: usize) -> Vec<Task> {
    std::iter::repeat_with(task).take(count).collect()
}

fn uuids(tasks: &[Task]) -> Vec<Uuid> {
    tasks.iter().map(|task| task.uuid).collect()
}

fn picture(checksum: &str) -> Drawn {
    let pixels = Some(format!("{checksum:p<64}"));
    Drawn { duration: 0.1 + 0.2, checksum: checksum.into(), pixel_checksum: pixels, size: Some(1 << 40) }
}

fn outcome(uuid: Uuid, end: End) -> Outcome {
    Outcome { uuid, worker: "worker-1".into(), attempt: 1, started_at: None, finished_at: None, task: None, end }
}

fn drawn(uuid: Uuid, checksum: &str) -> Outcome {
    outcome(uuid, End::Drawn(picture(checksum)))
}

fn failed(uuid: Uuid, reason: &str) -> Outcome {
    outcome(uuid, End::Failed { reason: reason.into() })
}

macro_rules! promises {
    ($($file:ident: $($promise:ident)*;)*) => {
        promises! { @on on_sqlite, crate::Place::sqlite(); $($($file $promise)*)* }
        promises! { @on on_mariadb, crate::Place::server("mariadb"); $($($file $promise)*)* }
        promises! { @on on_postgres, crate::Place::server("postgres"); $($($file $promise)*)* }
    };
    (@on $database:ident, $place:expr; $($file:ident $promise:ident)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::$file::$promise($place).await;
                }
            )*
        }
    };
}

promises! {
    recording:
        a_record_comes_back_bit_for_bit
        colours_come_back
        a_batch_is_recorded_whole_or_not_at_all
        a_uuid_is_recorded_once
        text_is_only_data
        eight_writers_do_not_lose_a_record
        publishing_moves_new_tasks_only_and_is_counted_for_all
        a_dropped_call_leaves_nothing_locked;
    finishing:
        an_outcome_is_recorded_once
        another_picture_is_a_conflict
        the_same_pixels_in_other_bytes_are_no_conflict
        a_picture_of_another_scene_is_not_recorded
        a_cancelled_task_stays_cancelled
        a_late_success_replaces_a_failure
        a_done_task_stays_done
        a_task_that_comes_with_its_outcome_is_adopted
        an_outcome_of_an_unknown_task_is_told
        a_batch_may_hold_a_task_twice
        two_trackers_adopt_a_task_once
        trackers_with_the_same_results_agree
        unbelievable_clocks_are_not_kept;
    claiming:
        a_due_task_is_claimed_by_one_tracker
        the_longest_overdue_come_first
        a_lease_runs_out
        ended_tasks_are_never_due;
    finding:
        a_record_is_found_by_the_beginning_of_its_uuid
        an_ambiguous_id_is_told_its_candidates
        an_id_that_nobody_has_is_not_found
        lists_are_filtered_and_newest_first
        states_are_counted
        a_foreign_row_hides_no_others;
    schema:
        six_stores_migrate_at_once
        six_processes_migrate_at_once
        migrating_twice_does_nothing
        older_records_stay_what_they_were
        a_newer_schema_is_refused
        a_missing_schema_says_what_to_do;
}
