//! SyncGroup: who gets which assignment, and who has to join again.

use super::*;

/// Two that have joined and not synced, the leader first.
fn joined_pair(story: &mut Story) -> (Client, Client) {
    let waiting: Vec<_> = (0..2).map(|_| story.join_new(&["range"]).1).collect();
    story.host.pass_ms(SETTLED_MS);
    let mut clients: Vec<_> = waiting.into_iter().map(|request| story.client(request)).collect();
    clients.sort_by_key(|client| !story.group().is_leader(&client.member_id));
    (clients[0].clone(), clients[1].clone())
}

#[test]
fn followers_wait_for_the_leader_and_everybody_gets_an_assignment() {
    let mut story = Story::new();
    let (leader, follower) = joined_pair(&mut story);
    let waiting = story.sync(&follower, vec![]);
    assert!(story.host.is_waiting(waiting));
    let leading = story.sync(&leader, vec![assigned(&leader.member_id, "0-3"), assigned(&follower.member_id, "4-7")]);
    let (leading, following) = (story.synced(leading), story.synced(waiting));
    assert_eq!(leading.assignment, "0-3");
    assert_eq!(following.assignment, "4-7");
    assert_eq!(following.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(following.protocol_name.as_deref(), Some("range"));
    assert_eq!(story.state(), "Stable");
}

#[test]
fn members_the_leader_has_nothing_for_get_an_empty_assignment() {
    let mut story = Story::new();
    let (leader, follower) = joined_pair(&mut story);
    let leading = story.sync(&leader, vec![assigned(&leader.member_id, "all"), assigned("a stranger", "some")]);
    assert_eq!(story.synced(leading).assignment, "all");
    let late = story.sync(&follower, vec![]);
    assert_eq!(story.synced(late).assignment, "");
}

#[test]
fn what_was_assigned_in_an_earlier_generation_is_nobodys() {
    let mut story = Story::new();
    let clients = story.stable(2);
    let waiting = [&clients[0], &clients[1]].map(|client| story.join(join_request(&client.member_id, &["range"])));
    let [leader, follower] = waiting.map(|request| story.client(request));
    let leading = story.sync(&leader, vec![assigned(&leader.member_id, "all")]);
    assert_eq!(story.synced(leading).assignment, "all");
    let following = story.sync(&follower, vec![]);
    assert_eq!(story.synced(following).assignment, "");
}

#[test]
fn a_request_of_another_generation_or_protocol_is_refused() {
    let mut story = Story::new();
    let (leader, _) = joined_pair(&mut story);
    let good = || SyncGroupRequest {
        group_id: "group".into(),
        generation_id: leader.generation,
        member_id: leader.member_id.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    };
    let table = [
        (SyncGroupRequest { group_id: "".into(), ..good() }, ErrorCode::INVALID_GROUP_ID),
        (SyncGroupRequest { group_id: "other".into(), ..good() }, ErrorCode::UNKNOWN_MEMBER_ID),
        (SyncGroupRequest { member_id: "nobody".into(), ..good() }, ErrorCode::UNKNOWN_MEMBER_ID),
        (SyncGroupRequest { group_instance_id: Some("pod".into()), ..good() }, ErrorCode::UNKNOWN_MEMBER_ID),
        (SyncGroupRequest { generation_id: 0, ..good() }, ErrorCode::ILLEGAL_GENERATION),
        (SyncGroupRequest { generation_id: 2, ..good() }, ErrorCode::ILLEGAL_GENERATION),
        (SyncGroupRequest { protocol_type: Some("connect".into()), ..good() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (SyncGroupRequest { protocol_name: Some("sticky".into()), ..good() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (SyncGroupRequest { protocol_type: None, ..good() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (SyncGroupRequest { protocol_name: None, ..good() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
    ];
    for (request, error_code) in table {
        let asked = story.sync_with(request.clone());
        assert_eq!(story.synced(asked).error_code, error_code, "{request:?}");
    }
    assert_eq!(story.state(), "CompletingRebalance");
}

#[test]
fn members_that_wait_for_an_assignment_are_called_to_the_next_rebalance() {
    let mut story = Story::new();
    let (leader, follower) = joined_pair(&mut story);
    let waiting = story.sync(&follower, vec![]);
    story.join_new(&["range"]);
    assert_eq!(story.synced(waiting).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let late = story.sync(&leader, vec![]);
    assert_eq!(story.synced(late).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn members_that_never_ask_for_their_assignment_are_dropped() {
    let mut story = Story::new();
    let (leader, follower) = joined_pair(&mut story);
    let leading = story.sync(&leader, vec![]);
    assert_eq!(story.synced(leading).error_code, ErrorCode::NONE);
    for _ in 0..(REBALANCE_TIMEOUT_MS / 5_000 - 1) {
        story.host.pass_ms(5_000);
        assert_eq!(story.heartbeat(&follower), ErrorCode::NONE);
        assert_eq!(story.heartbeat(&leader), ErrorCode::NONE);
    }
    story.host.pass_ms(5_000);
    assert_eq!(story.heartbeat(&follower), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.heartbeat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_second_sync_of_a_member_that_waits_ends_the_first() {
    let mut story = Story::new();
    let (leader, follower) = joined_pair(&mut story);
    let first = story.sync(&follower, vec![]);
    let second = story.sync(&follower, vec![]);
    assert_eq!(story.synced(first).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    story.sync(&leader, vec![assigned(&follower.member_id, "all")]);
    assert_eq!(story.synced(second).assignment, "all");
}
