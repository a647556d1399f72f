//! What a member asks and believes, told as stories of its coordinator's answers.

use std::time::{Duration, Instant};

use tidelog_wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use tidelog_wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use tidelog_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest, OffsetCommitResponse,
};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::member::{Ask, Ended, Member, Partitions, Start, Starts, Step};

const TOPIC_ID: Uuid = Uuid::from_u128(7);
const PATIENCE: Duration = Duration::from_secs(30);

struct Story {
    now: Instant,
    member: Member,
}

impl Story {
    fn begin() -> Self {
        let now = Instant::now();
        Self { now, member: Member::new("g", "t", "m", PATIENCE, now) }
    }

    /// A member that reads `partitions` from offset 10, and has told so.
    fn reading(partitions: &[i32]) -> Self {
        let mut story = Self::begin();
        story.expect_heartbeat();
        story.grant(1, Some(partitions));
        assert_eq!(story.begin_at(10, true), of(partitions));
        let told = story.expect_heartbeat();
        assert_eq!(owned(&told), Some(partitions.to_vec()));
        story.grant(1, None);
        assert_eq!(story.next(), None);
        story
    }

    fn next(&mut self) -> Option<Step> {
        self.member.next(self.now)
    }

    fn expect_heartbeat(&mut self) -> ConsumerGroupHeartbeatRequest {
        match self.next() {
            Some(Step::Heartbeat(request)) => request,
            other => panic!("a heartbeat is due, not {other:?}"),
        }
    }

    fn expect_commit(&mut self) -> OffsetCommitRequest {
        match self.next() {
            Some(Step::Commit(request)) => request,
            other => panic!("a commit is due, not {other:?}"),
        }
    }

    fn grant(&mut self, member_epoch: i32, assigned: Option<&[i32]>) {
        let topic = |partitions: &[i32]| TopicPartitions { topic_id: TOPIC_ID, partitions: partitions.to_vec() };
        let assignment = assigned.map(|partitions| Assignment { topic_partitions: vec![topic(partitions)] });
        let answer = ConsumerGroupHeartbeatResponse {
            member_epoch,
            heartbeat_interval_ms: 5000,
            assignment,
            ..Default::default()
        };
        assert_eq!(self.member.heard(self.now, &answer), Ok(()));
    }

    fn refuse(&mut self, error_code: ErrorCode) -> Result<(), Ended> {
        let answer = ConsumerGroupHeartbeatResponse {
            error_code,
            error_message: Some(Str::from_static("why")),
            ..Default::default()
        };
        self.member.heard(self.now, &answer)
    }

    /// Answers where to begin with the same offset for all that are asked for, which it returns.
    fn begin_at(&mut self, next_offset: i64, is_committed: bool) -> Partitions {
        let Some(Step::Begin(wanted, request)) = self.next() else { panic!("it wants to know where to begin") };
        assert_eq!(request.groups[0].member_id.as_deref(), Some("m"));
        let starts: Starts =
            wanted.into_iter().map(|partition| (partition, Start { next_offset, is_committed })).collect();
        self.member.begun(self.now, Ok(starts)).expect("it goes on").into_keys().collect()
    }

    fn answer_commit(&mut self, request: &OffsetCommitRequest, error_code: ErrorCode) -> Result<(), Ended> {
        let partition = |partition_index| OffsetCommitResponsePartition { partition_index, error_code };
        let asked = request.topics[0].partitions.iter().map(|asked| partition(asked.partition_index));
        let topic = OffsetCommitResponseTopic { topic_id: TOPIC_ID, partitions: asked.collect(), ..Default::default() };
        self.member.committed(self.now, &OffsetCommitResponse { topics: vec![topic], ..Default::default() })
    }

    fn write(&mut self, partition: i32, next_offset: i64) {
        self.member.written(self.now, partition, next_offset);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets time pass until there is something to do.
    fn pass_until_due(&mut self) {
        self.now = self.member.wake_at(self.now).expect("something will be due");
    }
}

fn of(partitions: &[i32]) -> Partitions {
    partitions.iter().map(|index| (TOPIC_ID, *index)).collect()
}

fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<Vec<i32>> {
    let topics = request.topic_partitions.as_ref()?;
    Some(topics.iter().flat_map(|topic| topic.partitions.iter().copied()).collect())
}

fn offsets(request: &OffsetCommitRequest) -> Vec<(i32, i64)> {
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.partition_index, partition.committed_offset)).collect()
}

#[test]
fn who_joins_says_everything_and_owns_nothing() {
    let mut story = Story::begin();
    let join = story.expect_heartbeat();
    assert_eq!((join.member_epoch, join.member_id.as_str()), (0, "m"));
    assert_eq!(join.subscribed_topic_names, Some(vec![Str::from_static("t")]));
    assert!(join.rebalance_timeout_ms > 0);
    assert_eq!(owned(&join), Some(Vec::new()));
    assert_eq!(story.next(), None, "one heartbeat at a time");
}

#[test]
fn heartbeats_come_at_the_coordinators_interval_and_say_only_what_is_new() {
    let mut story = Story::reading(&[0, 1]);
    story.pass(Duration::from_millis(4999));
    assert_eq!(story.next(), None);
    story.pass(Duration::from_millis(1));
    let heartbeat = story.expect_heartbeat();
    assert_eq!((heartbeat.member_epoch, heartbeat.rebalance_timeout_ms), (1, -1));
    assert_eq!((heartbeat.subscribed_topic_names, heartbeat.topic_partitions), (None, None));
}

#[test]
fn what_is_to_go_is_committed_before_the_coordinator_is_told() {
    let mut story = Story::reading(&[0, 1]);
    story.write(0, 15);
    story.write(1, 16);
    story.pass(Duration::from_secs(5));
    let periodic = story.expect_commit();
    assert_eq!(story.answer_commit(&periodic, ErrorCode::NONE), Ok(()));
    story.write(1, 20);
    story.expect_heartbeat();
    story.grant(2, Some(&[0, 2]));
    assert_eq!(story.next(), Some(Step::End(of(&[1]))));
    let last = story.expect_commit();
    assert_eq!((offsets(&last), last.generation_id_or_member_epoch), (vec![(1, 20)], 2));
    assert_eq!(story.next(), None, "nothing is taken or told while something is being given up");
    assert_eq!(story.answer_commit(&last, ErrorCode::NONE), Ok(()));
    assert_eq!(owned(&story.expect_heartbeat()), Some(vec![0]));
    assert_eq!(story.begin_at(3, true), of(&[2]));
}

#[test]
fn what_cannot_be_committed_is_given_up_all_the_same_after_a_while() {
    let mut story = Story::reading(&[0]);
    story.write(0, 15);
    story.pass(Duration::from_secs(5));
    let commit = story.expect_commit();
    story.expect_heartbeat();
    story.grant(2, Some(&[]));
    assert_eq!(story.next(), Some(Step::End(of(&[0]))));
    assert_eq!(story.answer_commit(&commit, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), Ok(()));
    assert_eq!(story.next(), None);
    story.pass(Duration::from_secs(20));
    assert_eq!(owned(&story.expect_heartbeat()), Some(vec![]));
}

#[test]
fn only_what_was_written_is_committed_and_nothing_twice() {
    let mut story = Story::reading(&[0, 1]);
    story.write(1, 12);
    assert_eq!(story.next(), None, "commits are gathered");
    story.pass_until_due();
    let commit = story.expect_commit();
    assert_eq!(offsets(&commit), [(1, 12)]);
    assert_eq!((commit.member_id.as_str(), commit.generation_id_or_member_epoch), ("m", 1));
    story.write(1, 13);
    assert_eq!(story.answer_commit(&commit, ErrorCode::NONE), Ok(()));
    story.pass(Duration::from_secs(1));
    let commit = story.expect_commit();
    assert_eq!(offsets(&commit), [(1, 13)]);
    assert_eq!(story.answer_commit(&commit, ErrorCode::NONE), Ok(()));
    story.pass(Duration::from_secs(1));
    assert_eq!(story.next(), None);
}

#[test]
fn where_nothing_was_committed_the_beginning_is() {
    let mut story = Story::begin();
    story.expect_heartbeat();
    story.grant(1, Some(&[0]));
    assert_eq!(story.begin_at(100, false), of(&[0]));
    assert_eq!(offsets(&story.expect_commit()), [(0, 100)]);
}

#[test]
fn who_is_fenced_drops_everything_and_joins_again() {
    for code in [ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::GROUP_ID_NOT_FOUND] {
        let mut story = Story::reading(&[0, 1]);
        story.write(0, 15);
        story.pass_until_due();
        let commit = story.expect_commit();
        story.pass(Duration::from_secs(5));
        story.expect_heartbeat();
        assert_eq!(story.refuse(code), Ok(()));
        assert_eq!(story.next(), Some(Step::End(of(&[0, 1]))));
        let join = story.expect_heartbeat();
        assert_eq!((join.member_epoch, owned(&join)), (0, Some(Vec::new())));
        story.grant(4, Some(&[0]));
        assert_eq!(story.begin_at(12, true), of(&[0]));
        assert_eq!(story.answer_commit(&commit, ErrorCode::NONE), Ok(()));
        story.write(0, 13);
        story.pass(Duration::from_secs(1));
        assert_eq!(offsets(&story.expect_commit()), [(0, 13)], "the late answer is about another life");
    }
}

#[test]
fn a_commit_of_a_stale_epoch_is_made_again_with_the_next_one() {
    for code in [ErrorCode::STALE_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        let mut story = Story::reading(&[0]);
        story.write(0, 15);
        story.pass_until_due();
        let commit = story.expect_commit();
        assert_eq!(story.answer_commit(&commit, code), Ok(()));
        story.expect_heartbeat();
        story.grant(2, None);
        story.pass_until_due();
        let again = story.expect_commit();
        assert_eq!((offsets(&again), again.generation_id_or_member_epoch), (vec![(0, 15)], 2));
    }
}

#[test]
fn another_coordinator_is_told_everything() {
    for code in
        [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS]
    {
        let mut story = Story::reading(&[0, 1]);
        story.pass(Duration::from_secs(5));
        story.expect_heartbeat();
        assert_eq!(story.refuse(code), Ok(()));
        assert_eq!(story.next(), Some(Step::ForgetCoordinator));
        assert_eq!(story.next(), None, "not at once");
        story.pass_until_due();
        let heartbeat = story.expect_heartbeat();
        assert_eq!((heartbeat.member_epoch, owned(&heartbeat)), (1, Some(vec![0, 1])));
        assert!(heartbeat.subscribed_topic_names.is_some() && heartbeat.rebalance_timeout_ms > 0);
    }
}

#[test]
fn a_member_that_nobody_hears_ends_when_its_patience_does() {
    let mut story = Story::reading(&[0]);
    story.pass(Duration::from_secs(5));
    story.expect_heartbeat();
    assert_eq!(story.member.unanswered(story.now, Ask::Heartbeat), Ok(()));
    story.pass(PATIENCE);
    assert_eq!(story.next(), Some(Step::ForgetCoordinator));
    story.expect_heartbeat();
    assert_eq!(story.member.unanswered(story.now, Ask::Heartbeat), Err(Ended::Unheard));
}

#[test]
fn other_refusals_end_it_and_say_why() {
    let codes = [
        ErrorCode::UNSUPPORTED_ASSIGNOR,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::GROUP_ID_NOT_FOUND,
        ErrorCode::UNKNOWN_MEMBER_ID,
    ];
    for code in codes {
        let mut story = Story::begin();
        story.expect_heartbeat();
        assert_eq!(story.refuse(code), Err(Ended::Refused(code, Some("why".to_owned()))));
    }
    let mut story = Story::reading(&[0]);
    story.write(0, 11);
    story.pass_until_due();
    let commit = story.expect_commit();
    let refused = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    assert_eq!(story.answer_commit(&commit, refused), Err(Ended::Refused(refused, None)));
}

#[test]
fn who_leaves_commits_first_and_goes_on_being_a_member_meanwhile() {
    let mut story = Story::reading(&[0]);
    story.write(0, 15);
    story.member.leave(story.now);
    let commit = story.expect_commit();
    assert_eq!(story.next(), None);
    story.pass(Duration::from_secs(5));
    assert_eq!(story.expect_heartbeat().member_epoch, 1);
    assert_eq!(story.answer_commit(&commit, ErrorCode::NONE), Ok(()));
    assert_eq!(story.next(), None);
    story.grant(1, None);
    assert_eq!(story.expect_heartbeat().member_epoch, -1);
    story.grant(-1, None);
    assert!(story.member.has_left() && story.member.is_committed());
    assert_eq!(story.next(), None);
}

#[test]
fn who_never_joined_need_not_leave() {
    let mut story = Story::begin();
    story.member.leave(story.now);
    assert!(story.member.has_left());
    let mut story = Story::begin();
    story.expect_heartbeat();
    story.member.leave(story.now);
    assert!(!story.member.has_left(), "its join is on its way");
    story.grant(1, Some(&[0]));
    assert_eq!(story.expect_heartbeat().member_epoch, -1);
    assert_eq!(story.refuse(ErrorCode::UNKNOWN_MEMBER_ID), Ok(()));
    assert!(story.member.has_left());
}

#[test]
fn a_leave_that_nobody_hears_is_tried_for_a_while() {
    let mut story = Story::reading(&[0]);
    story.member.leave(story.now);
    assert_eq!(story.expect_heartbeat().member_epoch, -1);
    assert_eq!(story.member.unanswered(story.now, Ask::Heartbeat), Ok(()));
    assert_eq!(story.next(), Some(Step::ForgetCoordinator));
    assert_eq!(story.next(), None, "not at once");
    story.pass(Duration::from_secs(10));
    assert_eq!(story.expect_heartbeat().member_epoch, -1);
    assert_eq!(story.member.unanswered(story.now, Ask::Heartbeat), Ok(()));
    assert!(story.member.has_left());
}

#[test]
fn it_is_settled_when_it_reads_all_that_it_was_given() {
    let mut story = Story::begin();
    story.expect_heartbeat();
    story.grant(1, Some(&[]));
    assert!(!story.member.is_settled(), "others may have to give something up first");
    story.pass(Duration::from_secs(5));
    story.expect_heartbeat();
    story.grant(2, Some(&[0]));
    assert!(!story.member.is_settled());
    story.begin_at(0, true);
    assert!(story.member.is_settled());
}
