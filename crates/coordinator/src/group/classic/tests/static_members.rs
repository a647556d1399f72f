//! Static members: processes that restart without their group noticing.

use super::*;

/// Two static members, "one" leading, in a stable group.
fn stable(story: &mut Story) -> (Client, Client) {
    let one = story.join(static_join("one", ""));
    let two = story.join(static_join("two", ""));
    story.host.pass_ms(SETTLED_MS);
    let (one, two) = (story.client(one), story.client(two));
    story.sync_all(&[one.clone(), two.clone()]);
    (one, two)
}

fn assignment(story: &mut Story, client: &Client) -> Bytes {
    let request = story.sync(client, vec![]);
    story.synced(request).assignment
}

#[test]
fn a_static_member_needs_no_second_step_and_is_named_after_its_instance() {
    let mut story = Story::new();
    let request = story.join(static_join("one", ""));
    story.host.pass_ms(INITIAL_DELAY_MS);
    assert!(story.client(request).member_id.starts_with("one-"));
}

#[test]
fn a_follower_that_restarts_gets_its_assignment_without_a_rebalance() {
    let mut story = Story::new();
    let (one, two) = stable(&mut story);
    let again = story.join(static_join("two", ""));
    let again = story.client(again);
    assert_ne!(again.member_id, two.member_id);
    assert_eq!(again.generation, two.generation);
    assert_eq!(assignment(&mut story, &again), two.member_id.as_bytes());
    assert_eq!(story.heartbeat(&one), ErrorCode::NONE);
}

#[test]
fn a_leader_that_restarts_skips_the_assignment() {
    let mut story = Story::new();
    let (one, two) = stable(&mut story);
    let again = story.join(static_join("one", ""));
    let again = story.joined(again);
    assert!(again.skip_assignment);
    assert_eq!(again.leader, again.member_id);
    assert_eq!(again.members.len(), 2);
    let again = Client { member_id: again.member_id, generation: again.generation_id };
    assert_eq!(assignment(&mut story, &again), one.member_id.as_bytes());
    assert_eq!(story.heartbeat(&two), ErrorCode::NONE);
}

#[test]
fn a_leader_of_an_old_version_does_not_take_itself_for_the_leader() {
    let mut story = Story::new();
    let (one, _) = stable(&mut story);
    story.host.version = 8;
    let again = story.join(static_join("one", ""));
    let again = story.joined(again);
    assert_eq!(again.leader, one.member_id);
    assert!(again.members.is_empty() && !again.skip_assignment);
}

#[test]
fn the_former_self_is_fenced() {
    let mut story = Story::new();
    let (_, two) = stable(&mut story);
    let again = story.join(static_join("two", ""));
    story.client(again);
    assert_eq!(story.heartbeat_as(&two, Some("two")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(story.heartbeat(&two), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.join_error(static_join("two", &two.member_id)), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn what_the_former_self_waits_for_is_refused() {
    let mut story = Story::new();
    let first = story.join(static_join("one", ""));
    let second = story.join(static_join("one", ""));
    assert_eq!(story.joined(first).error_code, ErrorCode::FENCED_INSTANCE_ID);
    story.host.pass_ms(SETTLED_MS);
    assert_eq!(story.client(second).generation, 1);
    assert_eq!(story.group().members.len(), 1);
}

#[test]
fn a_restart_while_the_leader_assigns_begins_a_rebalance() {
    let mut story = Story::new();
    let one = story.join(static_join("one", ""));
    let two = story.join(static_join("two", ""));
    story.host.pass_ms(SETTLED_MS);
    let (_, two) = (story.client(one), story.client(two));
    let waiting = story.sync(&two, vec![]);
    let again = story.join(static_join("one", ""));
    assert!(story.host.is_waiting(again));
    assert_eq!(story.synced(waiting).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let two = story.join(static_join("two", &two.member_id));
    assert_eq!(story.client(again).generation, 2);
    assert_eq!(story.client(two).generation, 2);
}

#[test]
fn a_restart_that_changes_the_choice_of_protocol_begins_a_rebalance() {
    let mut story = Story::new();
    let both = |instance: &str| JoinGroupRequest {
        group_instance_id: Some(text(instance)),
        ..join_request("", &["range", "sticky"])
    };
    let one = story.join(both("one"));
    story.host.pass_ms(INITIAL_DELAY_MS);
    let one = story.client(one);
    story.sync_all(&[one]);
    let again = story.join(JoinGroupRequest { group_instance_id: Some("one".into()), ..join_request("", &["sticky"]) });
    assert_eq!(story.joined(again).generation_id, 2);
}

/// A member that is alive must not be fenced, which its client takes for the end.
#[test]
fn a_restart_that_was_told_of_is_known_to_the_next_coordinator() {
    let restarts: [fn(&mut Story, &Client) -> RequestId; 3] = [
        // While the members are called, and the restarted one is the last to come.
        |story, leader| {
            story.join(static_join("one", &leader.member_id));
            story.join(static_join("two", ""))
        },
        // While the leader assigns.
        |story, leader| {
            let leading = story.join(static_join("one", &leader.member_id));
            story.join(static_join("two", ""));
            let leader = story.client(leading);
            let again = story.join(static_join("two", ""));
            story.join(static_join("one", &leader.member_id));
            again
        },
        // In a stable group, which then chooses another protocol.
        |story, leader| {
            let protocols = || join_request("", &["range", "sticky"]).protocols;
            let both =
                |instance: &str, id: &str| JoinGroupRequest { protocols: protocols(), ..static_join(instance, id) };
            let one = story.join(both("one", &leader.member_id));
            let two = story.join(both("two", ""));
            let (one, two) = (story.client(one), story.client(two));
            story.sync_all(&[one.clone(), two]);
            let protocols = join_request("", &["sticky"]).protocols;
            let again = story.join(JoinGroupRequest { protocols, ..static_join("two", "") });
            story.join(both("one", &one.member_id));
            again
        },
    ];
    for (row, restart) in restarts.iter().enumerate() {
        let mut story = Story::new();
        let (one, _) = stable(&mut story);
        let again = restart(&mut story, &one);
        let again = story.client(again);
        story.host.fail_over();
        let back = story.join(static_join("two", &again.member_id));
        if !story.host.is_waiting(back) {
            assert_eq!(story.joined(back).error_code, ErrorCode::NONE, "row {row}");
        }
    }
}

#[test]
fn static_members_keep_their_place_in_a_rebalance_they_miss() {
    let mut story = Story::new();
    let (one, two) = stable(&mut story);
    let again = story.join(static_join("one", &one.member_id));
    while story.host.is_waiting(again) {
        assert_eq!(story.heartbeat(&two), ErrorCode::REBALANCE_IN_PROGRESS);
        story.host.pass_ms(5_000);
    }
    assert_eq!(story.joined(again).members.len(), 2);
}

#[test]
fn a_rebalance_that_nobody_joins_goes_on_waiting_for_its_static_members() {
    let mut story = Story::new();
    let (one, two) = stable(&mut story);
    let (dynamic, waiting) = story.join_new(&["range"]);
    story.leave(&[(&dynamic, None)]);
    assert_eq!(story.joined(waiting).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    for _ in 0..(2 * REBALANCE_TIMEOUT_MS / 5_000) {
        story.host.pass_ms(5_000);
        assert_eq!(story.heartbeat(&one), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(story.heartbeat(&two), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert_eq!(story.group().generation, 1);
}

#[test]
fn a_static_leader_that_misses_a_rebalance_is_followed_by_a_member_that_does_not() {
    let mut story = Story::new();
    let (one, two) = stable(&mut story);
    let (leader, other, instance) = match story.group().is_leader(&one.member_id) {
        true => (one, two, "two"),
        false => (two, one, "one"),
    };
    let changed = || JoinGroupRequest {
        protocols: join_request("", &["range", "sticky"]).protocols,
        ..static_join(instance, &other.member_id)
    };
    let again = story.join(changed());
    while story.host.is_waiting(again) {
        assert_eq!(story.heartbeat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
        story.host.pass_ms(5_000);
    }
    let joined = story.joined(again);
    assert_eq!((&joined.leader, joined.members.len()), (&other.member_id, 2));
}
