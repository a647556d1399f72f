//! Offsets: who may commit, what is found again, what goes away.

use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use tidelog_wire::messages::{
    JoinGroupRequest, OffsetCommitRequest, OffsetDeleteRequest, join_group_request::JoinGroupRequestProtocol,
};
use tidelog_wire::{ErrorCode, Str, Uuid};

use crate::testing::Host;
use crate::{GroupConfig, RequestId, Response, Topics};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Offsets are looked through every ten minutes.
const CHECK_MS: i64 = 600_000;

fn text(text: &str) -> Str {
    Str::from(text.to_owned())
}

/// A commit by nobody in particular, to partition `partition` of `topic`.
fn commit(topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_leader_epoch: 5,
        committed_metadata: Some("note".into()),
    };
    let topic = OffsetCommitRequestTopic { name: text(topic), partitions: vec![partition], ..Default::default() };
    OffsetCommitRequest { group_id: "group".into(), topics: vec![topic], ..Default::default() }
}

impl Host {
    fn loaded() -> Self {
        let mut host = Self::new();
        host.version = 9;
        host.tell(|coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
        host
    }

    fn commit(&mut self, request: OffsetCommitRequest) -> ErrorCode {
        let request =
            self.ask(|coordinator, now_ms, topics, caller| coordinator.offset_commit(now_ms, topics, caller, &request));
        match self.answer(request) {
            Response::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, topics: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchResponseGroup {
        let request = OffsetFetchRequestGroup { group_id: "group".into(), topics, ..Default::default() };
        let request =
            self.ask(|coordinator, now_ms, topics, caller| coordinator.offset_fetch(now_ms, topics, caller, &request));
        match self.answer(request) {
            Response::OffsetFetch(group) => group,
            other => panic!("{other:?}"),
        }
    }

    fn committed(&mut self, topic: &str, partition: i32) -> i64 {
        let topic =
            OffsetFetchRequestTopics { name: text(topic), partition_indexes: vec![partition], ..Default::default() };
        self.fetch(Some(vec![topic])).topics[0].partitions[0].committed_offset
    }

    fn delete_offset(&mut self, topic: &str, partition: i32) -> Result<ErrorCode, ErrorCode> {
        let partitions = vec![OffsetDeleteRequestPartition { partition_index: partition }];
        let topics = vec![OffsetDeleteRequestTopic { name: text(topic), partitions }];
        let request = OffsetDeleteRequest { group_id: "group".into(), topics };
        let request =
            self.ask(|coordinator, now_ms, topics, caller| coordinator.offset_delete(now_ms, topics, caller, &request));
        match self.answer(request) {
            Response::OffsetDelete(response) => {
                response.error_code.ok().map(|()| response.topics[0].partitions[0].error_code)
            }
            other => panic!("{other:?}"),
        }
    }

    fn delete_group(&mut self, group_id: &str) -> ErrorCode {
        let request = self.ask(|coordinator, now_ms, topics, caller| {
            coordinator.delete_group(now_ms, topics, caller, &text(group_id))
        });
        match self.answer(request) {
            Response::DeleteGroup(result) => result.error_code,
            other => panic!("{other:?}"),
        }
    }

    /// A member of "group" that reads `topics`, in a group that is stable; its id.
    fn consumer_of(&mut self, topics: &[&str]) -> Str {
        let version = std::mem::replace(&mut self.version, 3);
        let join = join_of(topics);
        let request =
            self.ask(|coordinator, now_ms, topics, caller| coordinator.join_group(now_ms, topics, caller, &join));
        self.pass_ms(3_000);
        let Response::JoinGroup(joined) = self.answer(request) else { panic!("not joined") };
        let sync = tidelog_wire::messages::SyncGroupRequest {
            group_id: "group".into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        let request =
            self.ask(|coordinator, now_ms, topics, caller| coordinator.sync_group(now_ms, topics, caller, &sync));
        let _: Response = self.answer(request);
        self.version = version;
        joined.member_id
    }

    fn is_there(&self, group_id: &str) -> bool {
        self.coordinator.groups().get(group_id).is_some()
    }
}

fn join_of(topics: &[&str]) -> JoinGroupRequest {
    let mut metadata = vec![0, 1];
    metadata.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        metadata.extend((topic.len() as i16).to_be_bytes());
        metadata.extend(topic.as_bytes());
    }
    metadata.extend((-1_i32).to_be_bytes());
    JoinGroupRequest {
        group_id: "group".into(),
        session_timeout_ms: 1_800_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: metadata.into() }],
        ..Default::default()
    }
}

#[test]
fn what_was_committed_is_found_with_all_that_was_said() {
    let mut host = Host::loaded();
    assert_eq!(host.commit(commit("orders", 3, 42)), ErrorCode::NONE);
    let all = host.fetch(None);
    assert_eq!((all.error_code, all.topics.len()), (ErrorCode::NONE, 1));
    let found = &all.topics[0].partitions[0];
    assert_eq!((found.partition_index, found.committed_offset, found.committed_leader_epoch), (3, 42, 5));
    assert_eq!(found.metadata.as_deref(), Some("note"));
    assert_eq!(host.committed("orders", 4), -1);
    assert_eq!(host.committed("nothing", 0), -1);
}

#[test]
fn another_coordinator_finds_what_the_first_one_was_told() {
    let mut host = Host::loaded();
    host.commit(commit("orders", 3, 42));
    host.commit(commit("orders", 3, 43));
    host.commit(OffsetCommitRequest { retention_time_ms: DAY_MS, ..commit("payments", 0, 7) });
    host.fail_over();
    assert_eq!(host.committed("orders", 3), 43);
    assert_eq!(host.committed("payments", 0), 7);
    assert_eq!(host.coordinator.offset_count(), 2);
}

#[test]
fn records_are_in_the_versions_that_kafka_writes() {
    let mut host = Host::loaded();
    host.commit(commit("orders", 0, 1));
    host.commit(OffsetCommitRequest { retention_time_ms: 1, ..commit("orders", 0, 1) });
    host.delete_offset("orders", 0).expect("the group exists");
    let versions = host.log.iter().map(|record| {
        let version = |bytes: &[u8]| i16::from_be_bytes([bytes[0], bytes[1]]);
        (version(&record.key), record.value.as_ref().map(|value| version(value)))
    });
    assert_eq!(versions.collect::<Vec<_>>(), [(1, Some(4)), (1, Some(1)), (1, None)]);
}

#[test]
fn commits_without_a_group_are_taken_from_those_who_manage_their_partitions_themselves() {
    let table =
        [(9, -1, ErrorCode::NONE), (9, 0, ErrorCode::GROUP_ID_NOT_FOUND), (8, 0, ErrorCode::ILLEGAL_GENERATION)];
    for (version, generation, error_code) in table {
        let mut host = Host::loaded();
        host.version = version;
        let request = OffsetCommitRequest { generation_id_or_member_epoch: generation, ..commit("orders", 0, 1) };
        assert_eq!(host.commit(request), error_code, "version {version}, generation {generation}");
        assert_eq!(host.is_there("group"), error_code.is_none());
    }
}

#[test]
fn while_a_group_has_members_only_they_commit() {
    let mut host = Host::loaded();
    let member_id = host.consumer_of(&["orders"]);
    let of = |member: &str, generation| OffsetCommitRequest {
        member_id: text(member),
        generation_id_or_member_epoch: generation,
        ..commit("orders", 0, 1)
    };
    assert_eq!(host.commit(of("", -1)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(host.commit(of("nobody", 1)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(host.commit(of(&member_id, 0)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(host.commit(of(&member_id, -1)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(host.committed("orders", 0), -1);
    assert_eq!(host.commit(of(&member_id, 1)), ErrorCode::NONE);
    assert_eq!(host.committed("orders", 0), 1);
}

#[test]
fn what_cannot_be_stored_is_refused_partition_by_partition() {
    let mut host = Host::loaded();
    let long = |bytes: usize| {
        let mut request = commit("orders", 0, 1);
        request.topics[0].partitions[0].committed_metadata = Some("x".repeat(bytes).into());
        request
    };
    assert_eq!(host.commit(long(4_097)), ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert_eq!(host.commit(commit("orders", 8, 1)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(host.commit(commit("orders", -1, 1)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(host.commit(commit("nothing", 0, 1)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(!host.is_there("group"), "nothing is left of a group that stored nothing");
    assert_eq!(host.commit(long(4_096)), ErrorCode::NONE);
}

#[test]
fn from_version_10_on_topics_go_by_id() {
    let mut host = Host::loaded();
    host.version = 10;
    let id = host.topics.id("orders").expect("it exists");
    let by_id = |id: Uuid| {
        let mut request = commit("", 2, 42);
        request.topics[0].topic_id = id;
        request
    };
    let wanted =
        |topic_id| vec![OffsetFetchRequestTopics { topic_id, partition_indexes: vec![2], ..Default::default() }];
    assert_eq!(host.commit(by_id(id)), ErrorCode::NONE);
    assert_eq!(host.commit(by_id(Uuid::from_u128(9))), ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(host.fetch(Some(wanted(id))).topics[0].partitions[0].committed_offset, 42);
    let unknown = host.fetch(Some(wanted(Uuid::from_u128(9))));
    assert_eq!(unknown.topics[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(host.fetch(None).topics[0].topic_id, id);
}

#[test]
fn a_deleted_topic_takes_its_offsets_along_and_a_new_one_of_its_name_begins_without() {
    let mut host = Host::loaded();
    host.commit(commit("orders", 0, 42));
    host.commit(commit("payments", 0, 7));
    let deleted = host.topics.delete("orders");
    host.topics.create("orders", 8);
    assert_eq!(host.committed("orders", 0), -1, "also before the coordinator is told");
    host.commit(commit("orders", 1, 1));
    host.tell(|coordinator, now_ms, topics| coordinator.topics_deleted(now_ms, topics, &[deleted]));
    assert_eq!(host.committed("orders", 0), -1);
    assert_eq!(host.committed("orders", 1), 1);
    assert_eq!(host.committed("payments", 0), 7);
    assert_eq!(host.replayed().offset_count(), 2);
}

#[test]
fn offsets_of_topics_that_nobody_reads_can_be_deleted() {
    let mut host = Host::loaded();
    assert_eq!(host.delete_offset("orders", 0), Err(ErrorCode::GROUP_ID_NOT_FOUND));
    host.commit(commit("orders", 0, 1));
    host.commit(commit("payments", 0, 1));
    host.consumer_of(&["orders"]);
    assert_eq!(host.delete_offset("orders", 0), Ok(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC));
    assert_eq!(host.delete_offset("payments", 0), Ok(ErrorCode::NONE));
    assert_eq!(host.delete_offset("payments", 0), Ok(ErrorCode::NONE));
    assert_eq!(host.delete_offset("nothing", 0), Ok(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!((host.committed("orders", 0), host.committed("payments", 0)), (1, -1));
}

#[test]
fn a_group_is_deleted_with_its_offsets_once_it_has_no_members() {
    let mut host = Host::loaded();
    assert_eq!(host.delete_group("group"), ErrorCode::GROUP_ID_NOT_FOUND);
    host.commit(commit("orders", 0, 1));
    host.consumer_of(&["orders"]);
    assert_eq!(host.delete_group("group"), ErrorCode::NON_EMPTY_GROUP);
    host.pass_ms(1_800_000);
    assert_eq!(host.delete_group("group"), ErrorCode::NONE);
    assert_eq!(host.replayed().group_count(), 0);
    assert_eq!(host.committed("orders", 0), -1);
}

#[test]
fn offsets_of_a_group_that_never_had_members_expire_by_their_own_age() {
    let mut host = Host::loaded();
    host.commit(commit("orders", 0, 1));
    host.pass_ms(4 * DAY_MS);
    host.commit(commit("orders", 1, 1));
    host.pass_ms(3 * DAY_MS + CHECK_MS);
    assert_eq!((host.committed("orders", 0), host.committed("orders", 1)), (-1, 1));
    host.pass_ms(4 * DAY_MS);
    assert!(!host.is_there("group"));
    assert_eq!(host.replayed().group_count(), 0);
}

#[test]
fn offsets_of_an_empty_group_expire_together_a_week_after_its_last_member_left() {
    let mut host = Host::loaded();
    host.commit(commit("orders", 0, 1));
    host.pass_ms(5 * DAY_MS);
    host.consumer_of(&["payments"]);
    host.pass_ms(1_800_000);
    host.fail_over();
    host.pass_ms(7 * DAY_MS - 2 * CHECK_MS);
    assert_eq!(host.committed("orders", 0), 1);
    host.pass_ms(3 * CHECK_MS);
    assert!(!host.is_there("group"));
    assert_eq!(host.replayed().group_count(), 0);
}

#[test]
fn what_is_committed_to_a_group_that_was_empty_for_long_has_a_week_of_its_own() {
    let mut host = Host::loaded();
    host.commit(commit("payments", 0, 1));
    host.consumer_of(&["payments"]);
    host.pass_ms(1_800_000 + 6 * DAY_MS);
    assert_eq!(host.commit(commit("orders", 0, 7)), ErrorCode::NONE);
    host.pass_ms(2 * DAY_MS);
    assert_eq!(host.committed("orders", 0), 7);
    host.pass_ms(5 * DAY_MS + 2 * CHECK_MS);
    assert!(!host.is_there("group"));
}

#[test]
fn offsets_may_be_looked_through_as_seldom_as_a_number_can_say() {
    let config = GroupConfig { offsets_retention_check_interval_ms: i64::MAX, ..GroupConfig::default() };
    let mut host = Host::with(config);
    host.tell(|coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
    assert_eq!(host.timers.values().collect::<Vec<_>>(), [&i64::MAX]);
}

#[test]
fn offsets_of_topics_that_a_group_reads_do_not_expire() {
    let mut host = Host::loaded();
    host.commit(commit("orders", 0, 1));
    host.commit(commit("payments", 0, 1));
    let member_id = host.consumer_of(&["orders"]);
    for _ in 0..(8 * DAY_MS / CHECK_MS) {
        let heartbeat = tidelog_wire::messages::HeartbeatRequest {
            group_id: "group".into(),
            member_id: member_id.clone(),
            generation_id: 1,
            ..Default::default()
        };
        let request: RequestId =
            host.ask(|coordinator, now_ms, topics, caller| coordinator.heartbeat(now_ms, topics, caller, &heartbeat));
        let _: Response = host.answer(request);
        host.pass_ms(CHECK_MS);
    }
    assert_eq!((host.committed("orders", 0), host.committed("payments", 0)), (1, -1));
}

#[test]
fn a_client_may_ask_for_a_retention_of_its_own() {
    let mut host = Host::loaded();
    host.commit(OffsetCommitRequest { retention_time_ms: DAY_MS, ..commit("orders", 0, 1) });
    host.fail_over();
    host.pass_ms(DAY_MS - CHECK_MS);
    assert_eq!(host.committed("orders", 0), 1);
    host.pass_ms(2 * CHECK_MS);
    assert_eq!(host.committed("orders", 0), -1);
}

#[test]
fn very_many_offsets_expire_in_rounds() {
    let config = GroupConfig::default();
    let retention_ms = config.offsets_retention_ms;
    let mut host = Host::with(config);
    host.version = 9;
    for group in 0..12_000 {
        let request = OffsetCommitRequest { group_id: text(&format!("group {group}")), ..commit("orders", 0, 1) };
        assert_eq!(host.commit(request), ErrorCode::NONE);
    }
    host.now_ms += retention_ms;
    host.tell(|coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
    for left in [7_000, 2_000, 0] {
        let (key, due_ms) = host.timers.first_key_value().map(|(key, due_ms)| (key.clone(), *due_ms)).expect("booked");
        host.now_ms = host.now_ms.max(due_ms);
        host.tell(|coordinator, now_ms, topics| coordinator.timer_due(now_ms, topics, key));
        assert_eq!(host.coordinator.group_count(), left);
    }
}

#[test]
fn a_group_that_holds_nothing_any_more_is_taken_out_of_the_log() {
    let mut host = Host::loaded();
    host.consumer_of(&["orders"]);
    host.pass_ms(1_800_000 + CHECK_MS);
    assert!(!host.is_there("group"));
    assert_eq!(host.replayed().group_count(), 0);
    assert_eq!(host.log.last().map(|record| record.value.is_none()), Some(true));
}
