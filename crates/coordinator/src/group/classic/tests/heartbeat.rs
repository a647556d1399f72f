//! Heartbeat and sessions.

use super::*;

#[test]
fn a_heartbeat_says_whether_the_member_is_up_to_date() {
    let mut story = Story::new();
    let client = story.stable(1).remove(0);
    let nobody = Client { member_id: "nobody".into(), ..client.clone() };
    let stale = Client { generation: 0, ..client.clone() };
    assert_eq!(story.heartbeat(&client), ErrorCode::NONE);
    assert_eq!(story.heartbeat(&nobody), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.heartbeat(&stale), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(story.heartbeat_as(&client, Some("pod")), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_silent_member_is_dropped_after_its_session_timeout() {
    let mut story = Story::new();
    let clients = story.stable(2);
    story.host.pass_ms(SESSION_TIMEOUT_MS - 1);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::NONE);
    story.host.pass_ms(1);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(story.heartbeat(&clients[1]), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.group().members.len(), 1);
}

#[test]
fn heartbeats_keep_a_member_and_move_no_timer() {
    let mut story = Story::new();
    let client = story.stable(1).remove(0);
    for _ in 0..100 {
        story.host.pass_ms(SESSION_TIMEOUT_MS / 3);
        let timers = story.host.timers.clone();
        assert_eq!(story.heartbeat(&client), ErrorCode::NONE);
        assert_eq!(story.host.timers, timers);
    }
}

#[test]
fn a_member_that_waits_for_our_answer_need_not_say_anything() {
    let mut story = Story::new();
    let clients = story.stable(2);
    let waiting = story.join(join_request(&clients[0].member_id, &["range"]));
    for _ in 0..5 {
        story.host.pass_ms(SESSION_TIMEOUT_MS / 2);
        story.heartbeat(&clients[1]);
    }
    assert!(story.host.is_waiting(waiting), "the other one may still join");
    story.host.pass_ms(SESSION_TIMEOUT_MS);
    assert_eq!(story.client(waiting).generation, 2, "the other one is dropped, and nobody else is missing");
}

#[test]
fn a_new_member_that_nobody_answers_in_five_minutes_is_dropped() {
    let mut story = Story::new();
    let hour_ms = 60 * 60 * 1_000;
    let patient = || JoinGroupRequest { rebalance_timeout_ms: hour_ms, ..join_request("", &["range"]) };
    story.host.version = 3;
    let first = story.join(patient());
    story.host.pass_ms(INITIAL_DELAY_MS);
    let first = story.client(first);
    story.sync_all(std::slice::from_ref(&first));
    let newcomer = story.join(patient());
    for _ in 0..60 {
        story.host.pass_ms(5_000);
        story.heartbeat(&first);
    }
    assert_eq!(story.joined(newcomer).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.group().members.len(), 1);
}

#[test]
fn the_last_member_going_silent_leaves_an_empty_group() {
    let mut story = Story::new();
    story.stable(1);
    story.host.pass_ms(SESSION_TIMEOUT_MS);
    assert_eq!(story.state(), "Empty");
    assert_eq!(story.group().generation, 2);
    assert_eq!(story.host.timers, Default::default(), "an idle group has no timer");
}
