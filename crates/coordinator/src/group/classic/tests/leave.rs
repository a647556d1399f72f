//! LeaveGroup, DescribeGroups and ListGroups.

use tidelog_wire::messages::ListGroupsRequest;
use tidelog_wire::messages::describe_groups_response::DescribedGroup;

use super::*;

impl Story {
    fn describe(&mut self, version: i16) -> DescribedGroup {
        self.host.version = version;
        let request = self.host.ask(|coordinator, now_ms, topics, caller| {
            coordinator.describe_group(now_ms, topics, caller, &"group".into())
        });
        match self.host.answer(request) {
            Response::DescribeGroup(described) => described,
            other => panic!("{other:?}"),
        }
    }

    fn list(&mut self, states: &[&str], types: &[&str]) -> Vec<(Str, Str)> {
        let filter = |names: &[&str]| names.iter().map(|name| text(name)).collect();
        let request = ListGroupsRequest { states_filter: filter(states), types_filter: filter(types) };
        let request = self
            .host
            .ask(|coordinator, now_ms, topics, caller| coordinator.list_groups(now_ms, topics, caller, &request));
        match self.host.answer(request) {
            Response::ListGroups(groups) => {
                groups.into_iter().map(|group| (group.group_id, group.group_state)).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_others_share_what_a_leaving_member_had() {
    let mut story = Story::new();
    let clients = story.stable(3);
    let answer = story.leave(&[(&clients[0].member_id, None)]);
    assert_eq!(answer.members[0].error_code, ErrorCode::NONE);
    assert_eq!(story.heartbeat(&clients[1]), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(story.heartbeat(&clients[0]), ErrorCode::UNKNOWN_MEMBER_ID);
    let waiting = [&clients[1], &clients[2]].map(|client| story.join(join_request(&client.member_id, &["range"])));
    for request in waiting {
        assert_eq!(story.client(request).generation, 2);
    }
}

#[test]
fn several_members_leave_with_one_rebalance_and_an_answer_each() {
    let mut story = Story::new();
    let one = story.join(static_join("one", ""));
    let two = story.join(static_join("two", ""));
    let (three, waiting) = story.join_new(&["range"]);
    story.host.pass_ms(SETTLED_MS);
    let clients = [one, two, waiting].map(|request| story.client(request));
    story.sync_all(&clients);
    let answer = story.leave(&[
        ("", Some("one")),
        ("wrong", Some("two")),
        ("", Some("nobody")),
        ("nobody", None),
        (&three, None),
    ]);
    let results: Vec<_> = answer.members.iter().map(|member| member.error_code).collect();
    let (unknown, fenced) = (ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(results, [ErrorCode::NONE, fenced, unknown, unknown, ErrorCode::NONE]);
    assert_eq!(answer.members[0].group_instance_id.as_deref(), Some("one"));
    assert_eq!(story.group().members.len(), 1);
}

#[test]
fn before_version_3_one_member_leaves() {
    let mut story = Story::new();
    let client = story.stable(1).remove(0);
    story.host.version = 2;
    let leave = |member_id: &Str| LeaveGroupRequest {
        group_id: "group".into(),
        member_id: member_id.clone(),
        ..Default::default()
    };
    assert_eq!(story.leave_with(leave(&"nobody".into())).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let answer = story.leave_with(leave(&client.member_id));
    assert_eq!((answer.error_code, answer.members.len()), (ErrorCode::NONE, 0));
    assert_eq!(story.state(), "Empty");
}

#[test]
fn the_last_member_leaves_an_empty_group_in_the_log() {
    let mut story = Story::new();
    let client = story.stable(1).remove(0);
    let written = story.host.log.len();
    story.leave(&[(&client.member_id, None)]);
    assert_eq!(story.state(), "Empty");
    assert_eq!(story.host.log.len(), written + 1);
}

#[test]
fn an_id_that_was_not_joined_with_leaves_unnoticed() {
    let mut story = Story::new();
    let client = story.stable(1).remove(0);
    let pending = story.join(join_request("", &["range"]));
    let pending = story.joined(pending).member_id;
    assert_eq!(story.leave(&[(&pending, None)]).members[0].error_code, ErrorCode::NONE);
    assert_eq!(story.heartbeat(&client), ErrorCode::NONE);
}

#[test]
fn nobody_leaves_a_group_that_is_not_there() {
    let mut story = Story::new();
    let answer = story.leave(&[("somebody", None), ("", Some("one"))]);
    assert!(answer.members.iter().all(|member| member.error_code == ErrorCode::UNKNOWN_MEMBER_ID));
    let nameless = LeaveGroupRequest::default();
    assert_eq!(story.leave_with(nameless).error_code, ErrorCode::INVALID_GROUP_ID);
}

#[test]
fn a_stable_group_is_described_with_metadata_and_assignments() {
    let mut story = Story::new();
    let client = story.stable(1).remove(0);
    let described = story.describe(6);
    assert_eq!(described.group_state, "Stable");
    assert_eq!((&*described.protocol_type, &*described.protocol_data), ("consumer", "range"));
    assert_eq!(described.members[0].member_assignment, client.member_id.as_bytes());
    assert_eq!(described.members[0].client_host, "/127.0.0.1");
    story.host.version = i16::MAX;
    story.join_new(&["range"]);
    let described = story.describe(6);
    assert_eq!((&*described.group_state, &*described.protocol_data), ("PreparingRebalance", ""));
    assert_eq!(described.members[0].member_assignment, "");
}

#[test]
fn a_group_that_is_not_there_is_dead_or_not_found() {
    let mut story = Story::new();
    for (version, error_code) in [(0, ErrorCode::NONE), (5, ErrorCode::NONE), (6, ErrorCode::GROUP_ID_NOT_FOUND)] {
        let described = story.describe(version);
        assert_eq!((&*described.group_state, described.error_code), ("Dead", error_code), "version {version}");
        assert_eq!(described.error_message.is_some(), version >= 6);
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut story = Story::new();
    story.stable(1);
    let table: [(&[&str], &[&str], bool); 6] = [
        (&[], &[], true),
        (&["stable", "Empty"], &[], true),
        (&["Empty"], &[], false),
        (&[], &["Classic"], true),
        (&[], &["consumer"], false),
        (&["Stable"], &["share"], false),
    ];
    for (states, types, is_found) in table {
        let expected: &[(Str, Str)] = if is_found { &[("group".into(), "Stable".into())] } else { &[] };
        assert_eq!(story.list(states, types), expected, "{states:?} {types:?}");
    }
}
