//! The tools of `oat bus`, through the front door and on both transports: `on_sqlite` over a file of its own,
//! `on_rabbitmq` over the broker that all tests share. With eventail's own programs on the other end:
//! `tools/eventail.rs`.

// Before the rest: it is what the promises below are made with.
#[macro_use]
#[path = "bus/promises.rs"]
mod promises;

mod support;

#[allow(dead_code)]
#[path = "bus/fixture.rs"]
mod fixture;

#[path = "tools/door.rs"]
mod door;
#[path = "tools/eventail.rs"]
mod eventail;
#[path = "tools/looking.rs"]
mod looking;
#[path = "tools/mending.rs"]
mod mending;
#[path = "tools/monitoring.rs"]
mod monitoring;
#[path = "tools/sending.rs"]
mod sending;
#[path = "tools/services.rs"]
mod services;
#[path = "tools/speed.rs"]
mod speed;

promises! {
    sending:
        publishing_tells_whether_any_queue_got_it,
        an_event_travels_as_json_or_cbor_with_what_eventail_asks_for,
        what_comes_through_a_pipe_is_published_as_it_came,
        a_command_brings_its_result_and_its_status,
        two_who_ask_at_once_each_get_their_own_result,
        a_command_that_nobody_takes_is_told_at_once,
        a_result_that_does_not_come_ends_the_waiting,
        a_signal_ends_the_waiting_and_the_status_says_which;
    monitoring:
        monitoring_shows_what_was_asked_for_and_takes_nothing_away,
        values_are_compared_with_their_types,
        what_was_saved_is_sent_again_as_it_was,
        monitoring_ends_by_itself_and_with_ctrl_c,
        tasks_and_results_are_shown,
        logs_are_decoded_and_chosen_by_their_level;
    looking:
        queues_are_listed,
        a_list_without_names_says_what_it_leaves_out,
        inspecting_shows_what_waits_and_why_it_died,
        what_is_not_there_is_not_found,
        purging_asks_first_and_says_what_is_gone;
    mending:
        the_dead_go_back_to_where_they_died_and_nowhere_else,
        a_rehearsal_changes_nothing,
        only_what_was_meant_goes_and_the_rest_stays_as_it_was,
        a_message_with_no_way_back_stays_dead,
        what_dies_again_and_again_stays_dead,
        an_empty_queue_ends_it;
    speed:
        a_bus_is_measured_and_left_as_it_was,
        an_interrupted_measurement_leaves_no_queue;
    services:
        a_service_of_ours_answers_and_is_heard,
        what_died_in_a_service_of_ours_is_handled_after_its_resurrection;
}
