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

#[test]
fn a_newcomer_that_interrupts_a_generation_in_the_making_need_not_say_anything_either() {
    let mut story = Story::new();
    let (_, first) = story.join_new(&["range"]);
    story.host.pass_ms(INITIAL_DELAY_MS);
    let first = story.client(first);
    assert_eq!(story.state(), "CompletingRebalance");
    let (_, newcomer) = story.join_new(&["range"]);
    for _ in 0..4 {
        story.host.pass_ms(SESSION_TIMEOUT_MS / 2);
        assert_eq!(story.heartbeat(&first), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(story.host.is_waiting(newcomer));
    let again = story.join(join_request(&first.member_id, &["range"]));
    assert_eq!(story.client(newcomer).generation, 2);
    assert_eq!(story.client(again).generation, 2);
}

#[test]
fn a_restarted_static_member_that_was_not_answered_yet_need_not_say_anything_either() {
    let mut story = Story::new();
    story.stable(1);
    let first = story.join(static_join("pod", ""));
    let second = story.join(static_join("pod", ""));
    assert_eq!(story.joined(first).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let only = story.group().leader.clone().expect("somebody leads");
    let only = Client { member_id: only, generation: 1 };
    for _ in 0..4 {
        story.host.pass_ms(SESSION_TIMEOUT_MS / 2);
        assert_eq!(story.heartbeat(&only), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(story.host.is_waiting(second));
}

#[test]
fn a_member_that_is_gone_is_not_kept_by_what_the_others_do() {
    let mut story = Story::new();
    let waiting: Vec<_> = (0..3).map(|_| story.join_new(&["range"]).1).collect();
    story.host.pass_ms(SETTLED_MS);
    let mut clients: Vec<_> = waiting.into_iter().map(|request| story.client(request)).collect();
    clients.sort_by_key(|client| !story.group().is_leader(&client.member_id));
    // The last of them never syncs; the others do so just before its session is over.
    story.host.pass_ms(SESSION_TIMEOUT_MS - SETTLED_MS);
    let waiting = [&clients[1], &clients[0]].map(|client| story.sync(client, vec![]));
    for request in waiting {
        assert_eq!(story.synced(request).error_code, ErrorCode::NONE);
    }
    story.host.pass_ms(SETTLED_MS);
    assert_eq!(story.heartbeat(&clients[2]), ErrorCode::UNKNOWN_MEMBER_ID);
}
