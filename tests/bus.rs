//! The promises of a bus, as sentences, each held against every transport: `on_sqlite` runs them over a file of its
//! own, `on_rabbitmq` over a broker that all tests share, with names of its own. What concerns processes and not
//! transports is in `bus/processes.rs`, what concerns the file alone in `bus/trouble.rs`.

// Before the rest: it is what the promises below are made with.
#[macro_use]
#[path = "bus/promises.rs"]
mod promises;

mod support;

#[path = "bus/bodies.rs"]
mod bodies;
#[path = "bus/crowd.rs"]
mod crowd;
#[path = "bus/delays.rs"]
mod delays;
#[path = "bus/failures.rs"]
mod failures;
#[path = "bus/fixture.rs"]
mod fixture;
#[path = "bus/flow.rs"]
mod flow;
#[path = "bus/headers.rs"]
mod headers;
#[path = "bus/kinds.rs"]
mod kinds;
#[path = "bus/looking.rs"]
mod looking;
#[path = "bus/processes.rs"]
mod processes;
#[path = "bus/routes.rs"]
mod routes;
#[path = "bus/rpc.rs"]
mod rpc;
#[path = "bus/running.rs"]
mod running;
#[path = "bus/services.rs"]
mod services;
#[path = "bus/settling.rs"]
mod settling;
#[path = "bus/trouble.rs"]
mod trouble;

promises! {
    routes:
        a_message_arrives_as_it_was_sent,
        a_large_body_and_an_empty_one_arrive,
        the_default_exchange_leads_to_the_queue_of_that_name,
        a_direct_exchange_compares_keys,
        a_topic_exchange_matches_patterns,
        a_fanout_exchange_reaches_every_queue_once,
        what_no_queue_would_get_is_an_error,
        a_missing_exchange_or_queue_is_an_error,
        declaring_twice_changes_nothing,
        declaring_with_other_properties_is_a_conflict,
        messages_survive_closing_and_reopening;
    settling:
        an_acknowledged_message_is_gone,
        a_dropped_delivery_comes_back_with_its_attempt_counted,
        what_is_given_back_comes_again_and_is_not_counted,
        retry_counts_attempts_and_goes_to_the_back,
        reject_carries_the_reason_the_origin_and_the_raw_body,
        whatever_came_can_be_buried,
        whatever_may_be_published_can_be_tried_again,
        rejecting_without_dead_letters_is_an_error_and_loses_nothing,
        a_delivery_limit_of_two_gives_three_deliveries_and_a_dead_letter,
        a_retried_message_is_not_worn_out_by_its_attempts,
        closing_gives_back_what_is_out,
        settling_in_any_order_settles_each_and_no_other,
        what_was_acknowledged_is_gone_whatever_goes_back_with_it,
        a_delivery_is_live_until_its_connection_is_closed;
    flow:
        prefetch_is_never_exceeded,
        competing_consumers_share_every_message_exactly_once,
        consumers_of_one_connection_take_turns,
        messages_come_in_the_order_in_which_a_publisher_was_answered,
        many_publishes_at_once_all_arrive,
        a_publish_that_is_begun_and_left_alone_holds_up_no_other,
        a_cancelled_consumer_gives_back_what_it_has_not_handed_out,
        a_dropped_consumer_gives_back_what_it_has_not_handed_out,
        cancelling_in_the_middle_of_the_stream_loses_and_doubles_nothing,
        giving_up_on_the_next_message_loses_nothing,
        a_waiting_consumer_ends_when_its_connection_is_closed,
        depth_tells_the_truth;
    kinds:
        a_queue_of_any_kind_takes_and_gives,
        an_exclusive_queue_is_of_its_connection_alone,
        a_transient_exchange_leads_to_queues,
        messages_of_a_higher_priority_come_first,
        what_waits_too_long_dies,
        a_full_queue_refuses_more_and_takes_again_what_fits,
        a_queue_that_nobody_uses_goes_away,
        a_conflict_names_the_property_and_both_values,
        what_cannot_be_is_refused_and_says_why,
        names_of_the_broker_are_refused;
    looking:
        checking_finds_what_is_missing_and_creates_nothing,
        browsing_shows_the_first_messages_in_order_and_leaves_them_there,
        browsing_is_never_the_death_of_a_message,
        browsing_shows_how_a_message_died,
        what_is_not_there_can_neither_be_browsed_nor_purged,
        purging_counts_what_waited_and_leaves_what_is_out,
        a_deleted_queue_is_gone_and_declared_no_more;
    headers:
        a_headers_exchange_compares_all_or_any_of_them,
        headers_of_every_kind_are_compared_with_their_kind,
        what_starts_with_x_is_not_compared_and_all_of_nothing_is_everything,
        bindings_that_differ_in_their_headers_only_are_two;
    delays:
        a_retry_that_is_put_off_comes_when_its_time_has_come,
        what_is_put_off_goes_behind_what_came_in_the_meantime,
        what_is_put_off_survives_who_put_it_off,
        others_wait_no_longer_for_what_was_put_off_than_it_takes,
        a_message_that_waited_too_long_is_with_the_dead_letters,
        a_message_that_waited_too_long_is_never_delivered,
        what_is_out_does_not_expire_until_it_comes_back;
    rpc:
        a_call_is_answered,
        many_calls_at_once_each_get_their_own_answer,
        a_failure_comes_back_with_its_kind,
        a_method_that_panics_is_a_failure_and_the_server_goes_on,
        nobody_who_serves_is_told_at_once,
        a_call_whose_request_is_gone_with_its_queue_is_told_that_nobody_serves,
        a_request_that_is_late_is_not_executed,
        a_handler_is_dropped_when_its_time_is_up,
        a_call_that_is_dropped_is_called_off,
        a_request_that_comes_twice_is_executed_once_and_answered_twice,
        calling_off_the_unknown_pushes_no_answer_out_of_the_memory,
        no_call_is_lost_while_servers_take_turns,
        a_queue_in_use_is_not_deleted_as_unused,
        a_request_that_cannot_be_read_is_answered_with_the_reason,
        a_stopped_server_finishes_what_it_has_begun,
        a_client_that_is_gone_leaves_no_queue,
        a_client_that_closes_leaves_nothing_behind,
        a_server_that_stops_leaves_no_queue_of_its_own;
    bodies:
        values_arrive_as_json_and_as_cbor,
        packed_bodies_arrive_and_say_how_they_are_packed,
        what_cannot_be_read_is_rejected_with_its_body_as_it_came;
    crowd:
        a_hundred_services_hear_each_other_once_and_in_order;
    services:
        an_event_reaches_every_service_and_there_one_instance,
        a_command_is_answered_whichever_way_either_side_writes,
        a_refused_command_is_answered_with_an_error,
        a_call_ends_in_time_and_says_when_nobody_serves_it,
        a_result_comes_to_whoever_subscribed_to_its_key,
        a_service_waits_for_its_configuration,
        exclusive_queues_take_nothing_from_anybody_and_leave_nothing,
        a_log_line_is_gelf_under_the_key_of_its_level,
        plain_and_quorum_queues_of_one_name_are_a_conflict;
    failures:
        what_fails_is_tried_again_a_few_times_and_kept,
        what_kills_every_instance_ends_in_the_dead_letters,
        what_is_refused_is_kept_at_once,
        a_command_that_fails_is_answered_and_kept,
        what_no_service_understands_is_kept,
        nothing_is_acknowledged_before_what_its_handler_published,
        a_graceful_stop_loses_and_doubles_nothing,
        what_is_not_finished_in_time_goes_back;
}
