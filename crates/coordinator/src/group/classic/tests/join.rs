//! JoinGroup and the rebalances it brings.

use super::*;

#[test]
fn a_new_dynamic_member_is_given_an_id_to_come_back_with() {
    let mut story = Story::new();
    let request = story.join(join_request("", &["range"]));
    let answer = story.joined(request);
    assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(answer.member_id, "client-00000000-0000-0000-0000-000000000000");
    assert_eq!(story.state(), "Empty");

    let request = story.join(join_request(&answer.member_id, &["range"]));
    assert_eq!(story.state(), "PreparingRebalance");
    story.host.pass_ms(INITIAL_DELAY_MS);
    let joined = story.joined(request);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
    assert_eq!((joined.leader, joined.member_id), (answer.member_id.clone(), answer.member_id));
}

#[test]
fn before_version_4_a_member_joins_at_once() {
    for version in 0..4 {
        let mut story = Story::new();
        story.host.version = version;
        let request = story.join(join_request("", &["range"]));
        assert!(story.host.is_waiting(request), "version {version}");
        story.host.pass_ms(INITIAL_DELAY_MS);
        assert_eq!(story.joined(request).error_code, ErrorCode::NONE);
    }
}

#[test]
fn an_id_that_nobody_joins_with_is_forgotten_and_the_group_with_it() {
    let mut story = Story::new();
    let request = story.join(join_request("", &["range"]));
    let member_id = story.joined(request).member_id;
    story.host.pass_ms(SESSION_TIMEOUT_MS);
    assert_eq!(story.state(), "Dead");
    assert_eq!(story.join_error(join_request(&member_id, &["range"])), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.host.log, []);
}

#[test]
fn the_first_members_wait_for_others_and_longer_when_some_come() {
    let mut story = Story::new();
    let (_, first) = story.join_new(&["range"]);
    story.host.pass_ms(INITIAL_DELAY_MS - 1);
    let (_, second) = story.join_new(&["range"]);
    story.host.pass_ms(INITIAL_DELAY_MS);
    assert!(story.host.is_waiting(first) && story.host.is_waiting(second));
    story.host.pass_ms(1);
    assert_eq!(story.client(first).generation, 1);
    assert_eq!(story.client(second).generation, 1);
}

#[test]
fn members_that_start_together_share_the_first_generation_also_without_an_initial_delay() {
    let config = GroupConfig { group_initial_rebalance_delay_ms: 0, ..GroupConfig::default() };
    let mut story = Story { host: Host::with(config) };
    let (_, first) = story.join_new(&["range"]);
    story.host.pass_ms(5);
    let (_, second) = story.join_new(&["range"]);
    story.host.pass_ms(100);
    assert_eq!(story.client(first).generation, 1);
    assert_eq!(story.client(second).generation, 1);
}

#[test]
fn the_first_members_do_not_wait_longer_than_the_rebalance_timeout() {
    let mut story = Story::new();
    let (_, first) = story.join_new(&["range"]);
    let started_ms = story.host.now_ms;
    while story.host.is_waiting(first) {
        story.join_new(&["range"]);
        story.host.pass_ms(INITIAL_DELAY_MS / 2);
        assert!(story.host.now_ms - started_ms < 2 * REBALANCE_TIMEOUT_MS, "it ends some time");
    }
    assert!(story.host.now_ms - started_ms <= REBALANCE_TIMEOUT_MS + INITIAL_DELAY_MS);
}

#[test]
fn only_the_leader_learns_who_the_members_are() {
    let mut story = Story::new();
    let waiting: Vec<_> = (0..3).map(|_| story.join_new(&["range"]).1).collect();
    story.host.pass_ms(SETTLED_MS);
    let answers: Vec<_> = waiting.into_iter().map(|request| story.joined(request)).collect();
    for answer in &answers {
        let is_leader = answer.leader == answer.member_id;
        assert_eq!(answer.members.len(), if is_leader { 3 } else { 0 });
    }
    assert_eq!(answers.iter().filter(|answer| answer.leader == answer.member_id).count(), 1);
}

#[test]
fn the_protocol_that_most_like_best_is_chosen_among_those_all_support() {
    let table: [(&[&[&str]], &str); 4] = [
        (&[&["range", "sticky"], &["sticky", "range"], &["sticky", "range"]], "sticky"),
        (&[&["best", "range"], &["range"], &["best", "range"]], "range"),
        (&[&["b", "a"], &["a", "b"]], "a"),
        (&[&["a", "a", "b"], &["b", "a"], &["b", "a"]], "b"),
    ];
    for (members, chosen) in table {
        let mut story = Story::new();
        let waiting: Vec<_> = members.iter().map(|protocols| story.join_new(protocols).1).collect();
        story.host.pass_ms(SETTLED_MS);
        for request in waiting {
            assert_eq!(story.joined(request).protocol_name.as_deref(), Some(chosen), "{members:?}");
        }
    }
}

#[test]
fn bad_requests_are_refused_and_leave_nothing_behind() {
    let good = || join_request("", &["range"]);
    let table = [
        (JoinGroupRequest { group_id: "".into(), ..good() }, ErrorCode::INVALID_GROUP_ID),
        (JoinGroupRequest { session_timeout_ms: 5_999, ..good() }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (JoinGroupRequest { session_timeout_ms: 1_800_001, ..good() }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (JoinGroupRequest { protocol_type: "".into(), ..good() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (JoinGroupRequest { protocols: vec![], ..good() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (join_request("nobody", &["range"]), ErrorCode::UNKNOWN_MEMBER_ID),
    ];
    for (request, error_code) in table {
        let mut story = Story::new();
        assert_eq!(story.join_error(request.clone()), error_code, "{request:?}");
        assert_eq!(story.host.coordinator.group_count(), 0, "{request:?}");
        assert_eq!(story.host.log, []);
    }
}

#[test]
fn a_joiner_must_fit_the_members() {
    let mut story = Story::new();
    story.stable(2);
    let other_type = JoinGroupRequest { protocol_type: "connect".into(), ..join_request("", &["range"]) };
    assert_eq!(story.join_error(other_type), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(story.join_error(join_request("", &["sticky"])), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(story.join_error(join_request("nobody", &["range"])), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.state(), "Stable");
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut story = Story::with(GroupSize(2));
    let clients = story.stable(2);
    assert_eq!(story.join_error(join_request("", &["range"])), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::NONE);
}

#[test]
fn while_a_rebalance_is_prepared_those_who_come_first_have_the_places() {
    let mut story = Story::with(GroupSize(2));
    let clients = story.stable(2);
    let first = story.join(join_request(&clients[0].member_id, &["range"]));
    let (_, newcomer) = story.join_new(&["range"]);
    let late = story.join(join_request(&clients[1].member_id, &["range"]));
    assert_eq!(story.joined(late).error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(story.client(first).generation, 2);
    assert_eq!(story.client(newcomer).generation, 2);
}

#[test]
fn a_newcomer_calls_all_members_to_the_next_generation() {
    let mut story = Story::new();
    let clients = story.stable(2);
    let (_, newcomer) = story.join_new(&["range"]);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::REBALANCE_IN_PROGRESS);
    let first = story.join(join_request(&clients[0].member_id, &["range"]));
    assert!(story.host.is_waiting(first), "one more is missing");
    let second = story.join(join_request(&clients[1].member_id, &["range"]));
    for request in [first, second, newcomer] {
        assert_eq!(story.client(request).generation, 2);
    }
    assert!(story.group().is_leader(&clients[0].member_id), "the leader that joins again stays leader");
}

#[test]
fn a_rebalance_goes_on_without_members_that_do_not_join_again() {
    let mut story = Story::new();
    let clients = story.stable(3);
    let (newcomer_id, newcomer) = story.join_new(&["range"]);
    // All are alive, but only one of them joins.
    let first = story.join(join_request(&clients[1].member_id, &["range"]));
    for _ in 0..(REBALANCE_TIMEOUT_MS / 5_000) {
        assert!(story.host.is_waiting(newcomer));
        assert_eq!(story.heartbeat(&clients[0]), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(story.heartbeat(&clients[2]), ErrorCode::REBALANCE_IN_PROGRESS);
        story.host.pass_ms(5_000);
    }
    assert_eq!(story.client(newcomer).generation, 2);
    assert_eq!(story.client(first).generation, 2);
    let members: Vec<_> = story.group().members.keys().cloned().collect();
    let mut expected = vec![clients[1].member_id.clone(), newcomer_id];
    expected.sort();
    assert_eq!(members, expected);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_id_that_was_handed_out_is_waited_for() {
    let mut story = Story::new();
    let clients = story.stable(1);
    let (_, second) = story.join_new(&["range"]);
    let third = story.join(join_request("", &["range"]));
    let third = story.joined(third).member_id;
    let first = story.join(join_request(&clients[0].member_id, &["range"]));
    assert!(story.host.is_waiting(first));
    story.host.pass_ms(SESSION_TIMEOUT_MS);
    assert_eq!(story.client(first).generation, 2);
    assert_eq!(story.client(second).generation, 2);
    assert!(!story.group().members.contains_key(third.as_str()));
}

#[test]
fn a_follower_whose_answer_got_lost_gets_it_again() {
    let mut story = Story::new();
    let clients = story.stable(2);
    let again = story.join(join_request(&clients[1].member_id, &["range"]));
    assert_eq!(story.client(again).generation, 1);
    assert_eq!(story.state(), "Stable");
}

#[test]
fn a_leader_or_a_changed_member_that_joins_again_begins_a_rebalance() {
    for (who, protocols) in [(0, vec!["range"]), (1, vec!["range", "sticky"])] {
        let mut story = Story::new();
        let clients = story.stable(2);
        let again = story.join(join_request(&clients[who].member_id, &protocols));
        assert!(story.host.is_waiting(again));
        assert_eq!(story.state(), "PreparingRebalance");
    }
}

#[test]
fn a_second_join_of_a_member_that_waits_ends_the_first() {
    let mut story = Story::new();
    let (member_id, first) = story.join_new(&["range"]);
    let second = story.join(join_request(&member_id, &["range"]));
    assert_eq!(story.joined(first).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    story.host.pass_ms(INITIAL_DELAY_MS);
    assert_eq!(story.client(second).generation, 1);
}

#[test]
fn ten_thousand_members_join_in_a_storm() {
    let mut story = Story::new();
    let waiting: Vec<_> = (0..10_000).map(|_| story.join_new(&["range"]).1).collect();
    let started_with = story.host.log.len();
    story.host.pass_ms(SETTLED_MS);
    let clients: Vec<_> = waiting.into_iter().map(|request| story.client(request)).collect();
    story.sync_all_at_once(&clients);
    assert_eq!(story.state(), "Stable");
    assert_eq!(story.host.log.len(), started_with + 1, "the group is written once");
}
