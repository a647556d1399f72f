//! Another coordinator takes over, with nothing but the log.

use super::*;

#[test]
fn members_go_on_in_their_generation() {
    let mut story = Story::new();
    let clients = story.stable(3);
    story.host.pass_ms(SESSION_TIMEOUT_MS / 2);
    story.host.fail_over();
    for client in &clients {
        assert_eq!(story.heartbeat(client), ErrorCode::NONE);
        let request = story.sync(client, vec![]);
        assert_eq!(story.synced(request).assignment, client.member_id.as_bytes());
    }
    assert!(story.group().is_leader(&clients[0].member_id));
}

#[test]
fn every_member_has_a_whole_session_to_find_the_new_coordinator() {
    let mut story = Story::new();
    let clients = story.stable(1);
    story.host.pass_ms(SESSION_TIMEOUT_MS - 1);
    story.host.fail_over();
    story.host.pass_ms(SESSION_TIMEOUT_MS - 1);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::NONE);
    story.host.pass_ms(SESSION_TIMEOUT_MS);
    assert_eq!(story.state(), "Empty");
}

#[test]
fn a_generation_that_was_not_complete_is_forgotten() {
    let mut story = Story::new();
    let clients = story.stable(2);
    story.join_new(&["range"]);
    let waiting = story.join(join_request(&clients[0].member_id, &["range"]));
    assert!(story.host.is_waiting(waiting));
    story.host.fail_over();
    assert_eq!(story.group().generation, 1);
    assert_eq!(story.heartbeat(&clients[1]), ErrorCode::NONE);
}

#[test]
fn a_group_that_is_too_large_is_rebalanced_and_those_who_come_first_stay() {
    let table = [(4, "Stable"), (3, "Stable"), (2, "PreparingRebalance"), (1, "PreparingRebalance")];
    for (size_max, state) in table {
        let mut story = Story::new();
        let clients = story.stable(3);
        story.host.config = GroupConfig { group_max_size: size_max, ..Default::default() }.into();
        story.host.fail_over();
        assert_eq!(story.state(), state, "at most {size_max}");
        if state == "Stable" {
            assert_eq!(story.heartbeat(&clients[2]), ErrorCode::NONE);
            continue;
        }
        assert_eq!(story.heartbeat(&clients[2]), ErrorCode::REBALANCE_IN_PROGRESS);
        let requests: Vec<_> =
            clients.iter().map(|client| story.join(join_request(&client.member_id, &["range"]))).collect();
        let (stay, go) = requests.split_at(size_max);
        for request in go {
            assert_eq!(story.joined(*request).error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let stay: Vec<_> = stay.iter().map(|request| story.client(*request)).collect();
        assert!(stay.iter().all(|client| client.generation == 2));
        story.sync_all(&stay);
        assert_eq!((story.state(), story.group().members.len()), ("Stable", size_max));
        assert_eq!(story.join_error(join_request("", &["range"])), ErrorCode::GROUP_MAX_SIZE_REACHED);
    }
}

#[test]
fn static_members_are_known_to_the_new_coordinator() {
    let mut story = Story::new();
    let one = story.join(static_join("one", ""));
    story.host.pass_ms(INITIAL_DELAY_MS);
    let one = story.client(one);
    story.sync_all(std::slice::from_ref(&one));
    story.host.fail_over();
    assert_eq!(story.heartbeat_as(&one, Some("one")), ErrorCode::NONE);
    let again = story.join(static_join("one", ""));
    assert_eq!(story.client(again).generation, 1);
    story.host.fail_over();
    assert_eq!(story.heartbeat_as(&one, Some("one")), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn damaged_and_unknown_records_are_passed_over() {
    use crate::record::ReplayError;
    let mut story = Story::new();
    story.stable(1);
    let mut coordinator = story.host.replayed();
    let record = story.host.log[0].clone();
    let value = record.value.expect("no tombstone");
    for len in 0..value.len() {
        let result = coordinator.replay(Some(record.key.clone()), Some(value.slice(..len)));
        assert!(matches!(result, Err(ReplayError::Decode(_))), "{len} bytes: {result:?}");
    }
    for len in 0..record.key.len() {
        assert!(coordinator.replay(Some(record.key.slice(..len)), None).is_err(), "{len} bytes");
    }
    let unknown = Bytes::from_static(b"\x03\xe7what");
    assert_eq!(coordinator.replay(Some(unknown), None), Err(ReplayError::UnknownKind(999)));
    assert_eq!(coordinator.replay(None, None), Err(ReplayError::NoKey));
    assert_eq!(coordinator.groups().classic("group").map(|group| group.generation), Some(1));
}
