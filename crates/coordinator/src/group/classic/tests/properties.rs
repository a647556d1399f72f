//! Whatever members do in whatever order, and whenever the coordinator dies, a few things hold.
//!
//! Groups and offsets are deleted in between, topics made anew, and weeks pass.
//!
//! After every step: a generation has one leader; requests that are not answered wait in exactly one member; an
//! assignment is of its generation and one member's; a commit of a former generation is refused; a committed offset
//! is what was last accepted; and the log replayed is the state, or where a generation is in the making, the state
//! before it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use tidelog_wire::messages::{OffsetCommitRequest, OffsetDeleteRequest};

use super::*;
use crate::Coordinator;
use crate::group::classic::member::Waiting;
use crate::group::classic::state::State;

const CLIENTS: usize = 5;
/// The clients from here on are static members.
const STATIC_FROM: usize = 3;
const PARTITIONS: i32 = 3;

#[derive(Clone, Debug)]
enum Action {
    Join {
        client: usize,
        protocols: usize,
        version: i16,
    },
    Sync {
        client: usize,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
        partition: i32,
        generations_ago: i32,
    },
    /// The client's process dies and comes back knowing nothing.
    Restart {
        client: usize,
    },
    Pass {
        ms: i64,
    },
    /// Until nobody is left, and their offsets are not either.
    PassDays,
    FailOver,
    DeleteGroup,
    DeleteOffset {
        partition: i32,
    },
    RecreateTopic,
}

fn action() -> impl Strategy<Value = Action> {
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (client.clone(), prop_oneof![6 => Just(0_usize), 1 => Just(1), 1 => Just(2)], prop_oneof![Just(3_i16), Just(5), Just(9)])
            .prop_map(|(client, protocols, version)| Action::Join { client, protocols, version }),
        8 => client.clone().prop_map(|client| Action::Sync { client }),
        3 => client.clone().prop_map(|client| Action::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Action::Leave { client }),
        4 => (client.clone(), 0..PARTITIONS, 0..2_i32)
            .prop_map(|(client, partition, generations_ago)| Action::Commit { client, partition, generations_ago }),
        1 => client.prop_map(|client| Action::Restart { client }),
        4 => prop_oneof![Just(500_i64), Just(3_000), Just(9_000), Just(61_000)].prop_map(|ms| Action::Pass { ms }),
        2 => Just(Action::FailOver),
        1 => prop_oneof![Just(Action::PassDays), Just(Action::DeleteGroup), Just(Action::RecreateTopic)],
        1 => (0..PARTITIONS).prop_map(|partition| Action::DeleteOffset { partition }),
    ]
}

/// What a client knows.
#[derive(Clone, Debug, Default)]
struct Known {
    /// How often its process has been restarted.
    life: u32,
    member_id: Str,
    generation: i32,
    /// The members, if it leads the generation.
    followers: Vec<Str>,
}

/// Who asked, in which of its lives and of which generation.
struct Asked {
    client: usize,
    life: u32,
    generation: i32,
}

struct World {
    story: Story,
    known: Vec<Known>,
    asked: BTreeMap<RequestId, Asked>,
    incarnation: u32,
    /// Leaders that were told to assign, by incarnation and generation.
    leaders: BTreeMap<(u32, i32), Str>,
    /// Who holds an assignment: a client, which may have had several member ids if it is static.
    owners: BTreeMap<Bytes, usize>,
    committed: BTreeMap<i32, i64>,
    next_offset: i64,
    last_complete: String,
}

impl World {
    fn new() -> Self {
        let mut story = Story::new();
        story.host.tell(|coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
        let last_complete = complete_state(&story.host.coordinator).unwrap_or_default();
        Self {
            story,
            known: vec![Known::default(); CLIENTS],
            asked: BTreeMap::new(),
            incarnation: 0,
            leaders: BTreeMap::new(),
            owners: BTreeMap::new(),
            committed: BTreeMap::new(),
            next_offset: 1,
            last_complete,
        }
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Join { client, protocols, version } => self.join(client, protocols, version),
            Action::Sync { client } => self.sync(client),
            Action::Heartbeat { client } => {
                let client = self.client(client);
                self.story.heartbeat(&client);
            }
            Action::Leave { client } => {
                let member_id = self.known[client].member_id.clone();
                self.story.leave(&[(&member_id, instance(client).as_deref())]);
            }
            Action::Commit { client, partition, generations_ago } => self.commit(client, partition, generations_ago),
            Action::Restart { client } => {
                let life = self.known[client].life + 1;
                self.known[client] = Known { life, ..Known::default() };
            }
            Action::Pass { ms } => self.story.host.pass_ms(ms),
            Action::PassDays => {
                self.story.host.pass_ms(8 * 24 * 60 * 60 * 1_000);
                self.committed.clear();
                assert_eq!(self.story.state(), "Dead");
            }
            Action::DeleteGroup => self.delete_group(),
            Action::DeleteOffset { partition } => self.delete_offset(partition),
            Action::RecreateTopic => {
                let deleted = self.story.host.topics.delete("orders");
                self.story.host.topics.create("orders", PARTITIONS as usize);
                self.story
                    .host
                    .tell(|coordinator, now_ms, topics| coordinator.topics_deleted(now_ms, topics, &[deleted]));
                self.committed.clear();
            }
            Action::FailOver => {
                self.story.host.fail_over();
                self.asked.clear();
                self.incarnation += 1;
            }
        }
        self.hear_answers();
        self.check();
    }

    fn client(&self, client: usize) -> Client {
        let known = &self.known[client];
        Client { member_id: known.member_id.clone(), generation: known.generation }
    }

    fn join(&mut self, client: usize, protocols: usize, version: i16) {
        let supported: [&[&str]; 3] = [&["range"], &["range", "sticky"], &["sticky", "range"]];
        self.story.host.version = version;
        let request = JoinGroupRequest {
            group_instance_id: instance(client),
            ..join_request(&self.known[client].member_id, supported[protocols])
        };
        let request = self.story.join(request);
        self.has_asked(request, client);
        self.story.host.version = i16::MAX;
    }

    fn sync(&mut self, client: usize) {
        let known = &self.known[client];
        let (incarnation, generation) = (self.incarnation, known.generation);
        let name = |member: &Str| format!("{incarnation}.{generation}.{member}");
        let assignments = known.followers.iter().map(|member| assigned(member, &name(member))).collect();
        let client_of = self.client(client);
        let request = self.story.sync(&client_of, assignments);
        self.has_asked(request, client);
    }

    fn has_asked(&mut self, request: RequestId, client: usize) {
        let Known { life, generation, .. } = self.known[client];
        self.asked.insert(request, Asked { client, life, generation });
    }

    fn commit(&mut self, client: usize, partition: i32, generations_ago: i32) {
        let known = &self.known[client];
        let generation = known.generation - generations_ago;
        let offset = self.next_offset;
        self.next_offset += 1;
        let partitions = vec![OffsetCommitRequestPartition {
            partition_index: partition,
            committed_offset: offset,
            ..Default::default()
        }];
        let request = OffsetCommitRequest {
            group_id: "group".into(),
            generation_id_or_member_epoch: generation,
            member_id: known.member_id.clone(),
            topics: vec![OffsetCommitRequestTopic { name: "orders".into(), partitions, ..Default::default() }],
            ..Default::default()
        };
        self.story.host.version = 9;
        let request = self
            .story
            .host
            .ask(|coordinator, now_ms, topics, caller| coordinator.offset_commit(now_ms, topics, caller, &request));
        self.story.host.version = i16::MAX;
        let Response::OffsetCommit(response) = self.story.host.answer(request) else { panic!("no commit") };
        if response.topics[0].partitions[0].error_code.is_none() {
            let group = self.story.host.coordinator.groups().classic("group");
            let present = group.map_or(0, |group| group.generation);
            assert!(generation == present || generation < 0, "{generation} commits in generation {present}");
            self.committed.insert(partition, offset);
        }
    }

    fn delete_group(&mut self) {
        let request = self.story.host.ask(|coordinator, now_ms, topics, caller| {
            coordinator.delete_group(now_ms, topics, caller, &"group".into())
        });
        let Response::DeleteGroup(result) = self.story.host.answer(request) else { panic!("not deleted") };
        if result.error_code.is_none() {
            self.committed.clear();
        }
    }

    fn delete_offset(&mut self, partition: i32) {
        let partitions = vec![OffsetDeleteRequestPartition { partition_index: partition }];
        let topics = vec![OffsetDeleteRequestTopic { name: "orders".into(), partitions }];
        let request = OffsetDeleteRequest { group_id: "group".into(), topics };
        let request = self
            .story
            .host
            .ask(|coordinator, now_ms, topics, caller| coordinator.offset_delete(now_ms, topics, caller, &request));
        let Response::OffsetDelete(response) = self.story.host.answer(request) else { panic!("not deleted") };
        let results = response.topics.iter().flat_map(|topic| &topic.partitions);
        if response.error_code.is_none() && results.clone().all(|result| result.error_code.is_none()) {
            self.committed.remove(&partition);
        }
    }

    /// Clients take notice of what they were told.
    fn hear_answers(&mut self) {
        for (request, response) in std::mem::take(&mut self.story.host.answers) {
            let asked = self.asked.remove(&request).expect("an answer is somebody's");
            if asked.life != self.known[asked.client].life {
                continue;
            }
            match response {
                Response::JoinGroup(joined) => self.has_joined(asked.client, joined),
                Response::SyncGroup(synced) => self.has_synced(&asked, synced),
                other => panic!("{other:?}"),
            }
        }
    }

    fn has_joined(&mut self, client: usize, joined: JoinGroupResponse) {
        let life = self.known[client].life;
        match joined.error_code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.known[client] = Known { life, member_id: joined.member_id, ..Known::default() };
                return;
            }
            _ => {
                self.known[client] = Known { life, ..Known::default() };
                return;
            }
        }
        assert!(joined.generation_id > 0);
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        if leads {
            let leader = (self.incarnation, joined.generation_id);
            let former = self.leaders.insert(leader, joined.member_id.clone());
            assert!(former.is_none_or(|former| former == joined.member_id), "two leaders of {leader:?}");
        }
        let followers =
            if leads { joined.members.into_iter().map(|member| member.member_id).collect() } else { vec![] };
        self.known[client] = Known { life, member_id: joined.member_id, generation: joined.generation_id, followers };
    }

    fn has_synced(&mut self, asked: &Asked, synced: SyncGroupResponse) {
        if synced.error_code.is_error() || synced.assignment.is_empty() {
            return;
        }
        let assignment = String::from_utf8(synced.assignment.to_vec()).expect("text");
        let generation = assignment.split('.').nth(1).expect("three parts");
        assert_eq!(generation, asked.generation.to_string(), "an assignment is of its generation");
        let owner = *self.owners.entry(synced.assignment).or_insert(asked.client);
        assert!(owner == asked.client, "{assignment} has two owners");
    }

    fn check(&mut self) {
        let host = &self.story.host;
        let group = host.coordinator.groups().classic("group");
        group.inspect(|group| group.check_invariants());
        let members = group.into_iter().flat_map(|group| group.members.values());
        let waiting = members.filter(|member| member.waiting != Waiting::No).count();
        assert_eq!(waiting, host.requests.values().filter(|is_answered| !**is_answered).count(), "a request is lost");
        if let Some(group) = group {
            check_who_waits(group);
        }
        let group = host.coordinator.groups().get("group");
        if group.is_none() {
            // A later group of the name counts its generations anew.
            self.incarnation += 1;
        }
        for partition in 0..PARTITIONS {
            let committed = group.and_then(|group| group.offsets.get("orders", partition));
            assert_eq!(committed.map(|committed| committed.offset), self.committed.get(&partition).copied());
        }
        if let Some(state) = complete_state(&host.coordinator) {
            self.last_complete = state;
        }
        let replayed = host.replayed();
        assert_eq!(complete_state(&replayed).as_ref(), Some(&self.last_complete), "the log is not the state");
        let holders = |coordinator: &Coordinator| {
            coordinator.groups().classic("group").map(|group| group.static_members.clone()).unwrap_or_default()
        };
        let present = holders(&host.coordinator);
        for (instance, holder) in holders(&replayed) {
            assert!(present.get(&instance).is_none_or(|present| *present == holder), "{instance} would be fenced");
        }
        let offsets = |coordinator: &Coordinator| coordinator.groups().get("group").map(|g| format!("{:?}", g.offsets));
        let none = Some(format!("{:?}", crate::offsets::Offsets::default()));
        assert_eq!(offsets(&replayed).or(none.clone()), offsets(&host.coordinator).or(none));
    }
}

fn check_who_waits(group: &ClassicGroup) {
    for member in group.members.values() {
        let is_expected = matches!(
            (&group.state, member.waiting),
            (_, Waiting::No)
                | (State::PreparingRebalance(_), Waiting::Join(_))
                | (State::CompletingRebalance { .. }, Waiting::Sync(_))
        );
        assert!(is_expected, "{:?} in {}", member.waiting, group.state_name());
    }
}

fn instance(client: usize) -> Option<Str> {
    (client >= STATIC_FROM).then(|| text(&format!("instance {client}")))
}

/// All that a new coordinator has to know; `None` while a generation is in the making. Static members go by their
/// instance ids: who restarts meanwhile is known under another member id.
fn complete_state(coordinator: &Coordinator) -> Option<String> {
    let Some(group) = coordinator.groups().classic("group").filter(|group| group.is_in_log || !group.is_empty()) else {
        return Some(String::new());
    };
    if !matches!(group.state, State::Empty | State::Stable { .. }) {
        return None;
    }
    let protocol = group.protocol.clone().unwrap_or_default();
    let name = |id: &Str| group.members.get(id).and_then(|member| member.instance_id.clone()).unwrap_or(id.clone());
    let members = group.members.iter().map(|(id, member)| {
        let id = name(id);
        let metadata = member.metadata(&protocol);
        let timeouts = (member.session_timeout_ms, member.rebalance_timeout_ms);
        format!("{id} {:?} {} {timeouts:?} {metadata:?} {:?}", member.instance_id, member.client_id, member.assignment)
    });
    let members: BTreeSet<String> = members.collect();
    Some(format!(
        "{} {:?} {} {} {:?} {:?} {:?} {members:?}",
        group.state_name(),
        group.state_since_ms,
        group.generation,
        group.protocol_type,
        group.protocol,
        group.leader.as_ref().map(name),
        group.subscribed,
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_group_keeps_its_promises(actions in prop::collection::vec(action(), 1..150)) {
        let mut world = World::new();
        actions.iter().for_each(|action| world.step(action));
    }
}
