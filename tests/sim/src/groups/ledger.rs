//! What members were told, and what must be true of it: one leader per generation; no partition has two owners in a
//! generation; a stale generation cannot commit; a committed offset never goes back by itself; and nothing that a
//! coordinator told is unknown to a later one.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidelog_coordinator::{Record, Response};
use tidelog_wire::messages::OffsetCommitRequest;

use super::GroupRequest;
use crate::checker::Checker;

/// A reply, and what it depends on: the log up to `end`.
#[derive(Debug)]
pub struct Told {
    pub leader_epoch: i32,
    pub end: i64,
    /// The log's record of what was decided, if it took one.
    pub value: Option<u64>,
    /// The log's last record before `end`.
    pub last: Option<u64>,
    pub member: i32,
    pub number: u64,
    pub request: GroupRequest,
    pub response: Response,
}

/// A group and a member of it, or of classic groups, which count for all members alike, nobody.
type Whose = (String, String);

#[derive(Debug, Default)]
pub struct Ledger {
    batches: BTreeMap<u64, Rc<Vec<Record>>>,
    /// Offsets as they were accepted, by the value of their record.
    commits: BTreeMap<u64, (String, i32, i64)>,
    /// Where acknowledged commits stand in the log: the last of a group's partition in each leader epoch.
    acked: BTreeMap<(String, i32), BTreeMap<i32, i64>>,
    pub acked_count: usize,
    /// Greatest generation or member epoch that was told in each leader epoch and is in the log.
    generations: BTreeMap<Whose, BTreeMap<i32, i32>>,
    /// Who was told to lead a generation. One that no assignment was told of may be counted anew by a later coordinator.
    leaders: BTreeMap<(String, i32, i32), String>,
    owners: BTreeMap<(String, i32, i32), String>,
}

impl Ledger {
    pub fn store(&mut self, value: u64, records: Rc<Vec<Record>>) {
        self.batches.insert(value, records);
    }

    /// Nothing for records that are no coordinator's.
    pub fn batch(&self, value: u64) -> &[Record] {
        self.batches.get(&value).map_or(&[], |records| records)
    }

    /// A coordinator has decided, and nobody knows yet.
    pub fn decided(&mut self, told: &Told, decided: &mut BTreeMap<Whose, i32>) {
        match (&told.request, &told.response) {
            (GroupRequest::Join(request), Response::JoinGroup(joined)) if joined.error_code.is_none() => {
                decided.insert((request.group_id.to_string(), String::new()), joined.generation_id);
            }
            (GroupRequest::ConsumerHeartbeat(request), Response::ConsumerGroupHeartbeat(heard))
                if heard.error_code.is_none() && heard.member_epoch > 0 =>
            {
                decided.insert((request.group_id.to_string(), request.member_id.to_string()), heard.member_epoch);
            }
            (GroupRequest::Heartbeat(request), Response::Heartbeat(heard)) if heard.error_code.is_none() => {
                self.check_present(told, decided, (request.group_id.to_string(), String::new()), request.generation_id);
            }
            (GroupRequest::Commit(request), Response::OffsetCommit(answer))
                if answer.topics[0].partitions[0].error_code.is_none() =>
            {
                self.check_present(told, decided, generation_of(request), request.generation_id_or_member_epoch);
                let (partition, offset) = committed(request);
                let value = told.value.expect("a commit is in the log");
                self.commits.insert(value, (request.group_id.to_string(), partition, offset));
            }
            _ => {}
        }
    }

    /// Nothing is granted to a generation after the next one began.
    fn check_present(&self, told: &Told, decided: &BTreeMap<Whose, i32>, whose: Whose, generation: i32) {
        let present = decided.get(&whose).copied().max(self.told_by(&whose, told.leader_epoch));
        let is_present = present.is_none_or(|present| present <= generation);
        assert!(is_present, "{whose:?} is heard in {generation}, after {present:?} began: {told:?}");
    }

    /// Greatest generation that coordinators up to this leader epoch told.
    fn told_by(&self, whose: &Whose, leader_epoch: i32) -> Option<i32> {
        self.generations.get(whose)?.range(..=leader_epoch).map(|(_, generation)| *generation).max()
    }

    /// A reply leaves.
    pub fn told(&mut self, told: &Told, checker: &Checker) {
        assert_eq!(checker.committed_value(told.end - 1), told.last, "told what is not committed: {told:?}");
        match (&told.request, &told.response) {
            (GroupRequest::Join(request), Response::JoinGroup(joined)) if joined.error_code.is_none() => {
                let group = request.group_id.to_string();
                let known = self.told_by(&(group.clone(), String::new()), told.leader_epoch);
                assert!(known <= Some(joined.generation_id), "{known:?} was told before {joined:?}");
                let key = (group, told.leader_epoch, joined.generation_id);
                let leader = self.leaders.entry(key).or_insert_with(|| joined.leader.to_string());
                assert_eq!(leader.as_str(), joined.leader.as_str(), "two leaders of one generation: {joined:?}");
            }
            (GroupRequest::Sync(request), Response::SyncGroup(synced)) if synced.error_code.is_none() => {
                let group = request.group_id.to_string();
                self.note_generation((group.clone(), String::new()), told, request.generation_id);
                let partitions = synced.assignment.iter().map(|partition| i32::from(*partition));
                self.note_owner(&group, request.generation_id, &request.member_id, partitions);
            }
            (GroupRequest::ConsumerHeartbeat(request), Response::ConsumerGroupHeartbeat(heard))
                if heard.error_code.is_none() && heard.member_epoch > 0 =>
            {
                let group = request.group_id.to_string();
                self.note_generation((group.clone(), request.member_id.to_string()), told, heard.member_epoch);
                let topics = heard.assignment.iter().flat_map(|assignment| &assignment.topic_partitions);
                let partitions = topics.flat_map(|topic| topic.partitions.iter().copied());
                self.note_owner(&group, heard.member_epoch, &request.member_id, partitions);
            }
            (GroupRequest::Commit(request), Response::OffsetCommit(answer))
                if answer.topics[0].partitions[0].error_code.is_none() =>
            {
                self.acked_count += 1;
                let at = told.end - 1;
                let partition = (request.group_id.to_string(), committed(request).0);
                self.acked.entry(partition).or_default().insert(told.leader_epoch, at);
            }
            (GroupRequest::Fetch(request), Response::OffsetFetch(answer)) if answer.error_code.is_none() => {
                for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                    let whose = (request.group_id.to_string(), partition.partition_index);
                    self.check_fetched(told, checker, whose, partition.committed_offset);
                }
            }
            _ => {}
        }
    }

    fn note_generation(&mut self, whose: Whose, told: &Told, generation: i32) {
        let known = self.told_by(&whose, told.leader_epoch - 1);
        assert!(known <= Some(generation), "{whose:?} was told {known:?} by an earlier coordinator than {told:?}");
        let greatest = self.generations.entry(whose).or_default().entry(told.leader_epoch).or_insert(generation);
        *greatest = generation.max(*greatest);
    }

    fn note_owner(&mut self, group: &str, generation: i32, member: &str, partitions: impl Iterator<Item = i32>) {
        for partition in partitions {
            let key = (group.to_owned(), generation, partition);
            let owner = self.owners.entry(key).or_insert_with(|| member.to_owned());
            assert_eq!(owner, member, "{partition} of {group} has two owners in {generation}");
        }
    }

    /// What is read is the last commit of the log that the reply depends on, which holds all that was acknowledged.
    fn check_fetched(&self, told: &Told, checker: &Checker, whose: (String, i32), fetched: i64) {
        let is_of = |commit: &&(String, i32, i64)| (&commit.0, commit.1) == (&whose.0, whose.1);
        let commit_at = |offset: i64| self.commits.get(&checker.committed_value(offset)?).filter(is_of);
        let last = (0..told.end).rev().find_map(commit_at).map_or(-1, |commit| commit.2);
        assert_eq!(fetched, last, "the committed offset of {whose:?} is another: {told:?}");
        let earlier = self.acked.get(&whose).into_iter().flat_map(|acked| acked.range(..told.leader_epoch));
        for (leader_epoch, at) in earlier {
            assert!(*at < told.end, "a commit acknowledged in {leader_epoch} is not known: {whose:?} {told:?}");
        }
    }
}

fn generation_of(request: &OffsetCommitRequest) -> Whose {
    let is_classic = request.group_id == super::CLASSIC_GROUP;
    (request.group_id.to_string(), if is_classic { String::new() } else { request.member_id.to_string() })
}

fn committed(request: &OffsetCommitRequest) -> (i32, i64) {
    let partition = &request.topics[0].partitions[0];
    (partition.partition_index, partition.committed_offset)
}
