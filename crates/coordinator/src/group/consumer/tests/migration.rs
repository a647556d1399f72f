//! Groups that change their protocol member by member, and back.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, JoinGroupRequest};
use tidelog_wire::{ErrorCode, Uuid};

use super::classic_client::ClassicClient;
use super::client::Client;
use super::{Host, SESSION_TIMEOUT_MS, error, join, steady};
use crate::group::Kind;
use crate::{GroupConfig, MigrationPolicy, Response};

/// More than a group's first generation waits for without a configured delay.
const INITIAL_DELAY_MS: i64 = 20;
const PARTITIONS: usize = 6;

struct World {
    host: Host,
    classics: Vec<ClassicClient>,
    consumers: Vec<Client>,
}

impl World {
    fn new(classics: &[bool], consumers: usize) -> Self {
        Self::with_policy(classics, consumers, MigrationPolicy::Bidirectional)
    }

    fn with_policy(classics: &[bool], consumers: usize, policy: MigrationPolicy) -> Self {
        Self::with(classics, consumers, GroupConfig { consumer_migration_policy: policy, ..GroupConfig::default() })
    }

    fn with(classics: &[bool], consumers: usize, config: GroupConfig) -> Self {
        let config = GroupConfig { group_initial_rebalance_delay_ms: 0, ..config };
        Self {
            host: Host::with_config(&[("t", PARTITIONS)], config),
            classics: classics.iter().map(|is_cooperative| ClassicClient::new(&["t"], *is_cooperative)).collect(),
            consumers: (0..consumers).map(|consumer| Client::new(&format!("new-{consumer}"), &["t"])).collect(),
        }
    }

    fn check(&self) {
        let mut read: BTreeSet<(Uuid, i32)> = BTreeSet::new();
        let owned = self.classics.iter().map(|client| &client.owned).chain(self.consumers.iter().map(|it| &it.owned));
        for partition in owned.flatten() {
            assert!(read.insert(*partition), "{partition:?} is read twice: {:#?} {:#?}", self.classics, self.consumers);
        }
    }

    fn round(&mut self) {
        for client in &mut self.classics {
            client.step(&mut self.host);
        }
        for client in &mut self.consumers {
            client.work(&mut self.host);
        }
        self.check();
        self.host.pass(500);
    }

    /// Until everybody has a share and all partitions are read.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.round();
            let is_settled = self.classics.iter().all(ClassicClient::is_settled);
            if is_settled
                && self.read() == self.host.topics.partitions_of("t")
                && self.shares().iter().all(|share| *share > 0)
            {
                return self.host.assert_log_holds_the_state();
            }
        }
        panic!("does not settle: {:#?} {:#?}", self.classics, self.consumers);
    }

    fn shares(&self) -> Vec<usize> {
        let classics = self.classics.iter().map(|client| client.owned.len());
        classics.chain(self.consumers.iter().map(|client| client.owned.len())).collect()
    }

    fn read(&self) -> usize {
        self.shares().iter().sum()
    }

    fn is_new_kind(&self) -> bool {
        self.host.group().is_some()
    }
}

#[test]
fn a_group_of_eager_members_is_taken_over_and_comes_back() {
    takes_over_and_comes_back(false);
}

#[test]
fn a_group_of_cooperative_members_is_taken_over_and_comes_back() {
    takes_over_and_comes_back(true);
}

fn takes_over_and_comes_back(is_cooperative: bool) {
    let mut world = World::new(&[is_cooperative; 2], 0);
    world.settle();
    assert!(!world.is_new_kind());

    world.consumers.push(Client::new("new", &["t"]));
    world.settle();
    assert!(world.is_new_kind());
    assert_eq!(world.shares(), [2, 2, 2]);
    let described = world.host.describe();
    let mut types: Vec<i8> = described.members.iter().map(|member| member.member_type).collect();
    types.sort_unstable();
    assert_eq!(types, [0, 0, 1]);

    let gone = world.consumers.remove(0);
    assert_eq!(error(&world.host.heartbeat(steady(&gone.member_id, -1))), ErrorCode::NONE);
    assert!(!world.is_new_kind());
    world.settle();
    assert_eq!(world.shares(), [3, 3]);
}

#[test]
fn a_group_changes_over_one_process_at_a_time() {
    let mut world = World::new(&[true, true, false], 0);
    world.settle();
    for step in 0..3 {
        world.classics[0].leave(&mut world.host);
        world.classics.remove(0);
        world.consumers.push(Client::new(&format!("new-{step}"), &["t"]));
        world.settle();
    }
    assert!(world.is_new_kind());
    assert!(world.host.describe().members.iter().all(|member| member.member_type == 1));
}

#[test]
fn a_classic_member_joins_a_group_of_the_new_kind() {
    let mut world = World::new(&[], 2);
    world.settle();
    world.classics.push(ClassicClient::new(&["t"], true));
    world.settle();
    assert_eq!(world.shares(), [2, 2, 2]);
    // The new ones go: a classic group is what is left.
    while let Some(client) = world.consumers.pop() {
        world.host.heartbeat(steady(&client.member_id, -1));
    }
    assert!(!world.is_new_kind());
    world.settle();
    assert_eq!(world.shares(), [6]);
}

#[test]
fn a_silent_member_of_the_new_protocol_turns_the_group_back() {
    let mut world = World::new(&[true], 1);
    world.settle();
    world.consumers.clear();
    for _ in 0..5 {
        world.host.pass(SESSION_TIMEOUT_MS / 5);
        world.round();
    }
    assert!(!world.is_new_kind());
    let late = world.host.heartbeat(steady("new-0", 2));
    assert_eq!(error(&late), ErrorCode::UNKNOWN_MEMBER_ID, "it is to join again");
    world.settle();
}

#[test]
fn a_silent_classic_member_loses_its_place() {
    let mut world = World::new(&[true], 1);
    world.settle();
    world.classics.clear();
    for _ in 0..4 {
        world.host.pass(SESSION_TIMEOUT_MS / 5);
        world.consumers[0].work(&mut world.host);
    }
    assert_eq!(world.shares(), [6]);
}

#[test]
fn a_classic_member_that_does_not_join_in_time_loses_its_place() {
    let mut world = World::new(&[true], 1);
    world.classics[0].step(&mut world.host);
    world.settle();
    world.consumers.push(Client::new("another", &["t"]));
    world.consumers[1].beat(&mut world.host);
    // It beats, and does not join.
    let mut stubborn = world.classics[0].clone();
    for _ in 0..5 {
        stubborn.step(&mut world.host);
        stubborn.clone_from(&world.classics[0]);
        world.host.pass(5_000);
    }
    world.classics.clear();
    world.settle();
    assert_eq!(world.shares(), [3, 3]);
}

#[test]
fn what_a_cooperative_member_still_reads_is_its_own_also_in_a_generation_that_never_came_to_be() {
    let mut world = World::new(&[true; 3], 0);
    let World { host, classics, consumers } = &mut world;
    // It reads everything; the second one's generation waits for its assignment; the third one ends that.
    (0..3).for_each(|_| classics[0].step(host));
    host.pass(INITIAL_DELAY_MS);
    (0..2).for_each(|_| classics[0].step(host));
    assert_eq!(classics[0].owned.len(), PARTITIONS);
    (0..3).for_each(|_| classics[1].step(host));
    (0..2).for_each(|_| classics[0].step(host));
    (0..3).for_each(|_| classics[2].step(host));
    consumers.push(Client::new("new", &["t"]));
    consumers[0].beat(host);
    assert_eq!(consumers[0].owned.len(), 0);
    world.settle();
}

#[test]
fn the_policy_decides() {
    let mut world = World::with_policy(&[true], 0, MigrationPolicy::Downgrade);
    world.settle();
    assert_eq!(error(&world.host.heartbeat(join("new", &["t"]))), ErrorCode::GROUP_ID_NOT_FOUND);
    world.settle();

    let mut world = World::with_policy(&[true], 0, MigrationPolicy::Upgrade);
    world.settle();
    world.consumers.push(Client::new("new", &["t"]));
    world.settle();
    let gone = world.consumers.remove(0);
    world.host.heartbeat(steady(&gone.member_id, -1));
    assert!(world.is_new_kind(), "it stays what it is");
    world.settle();
}

#[test]
fn who_finds_no_room_leaves_the_group_as_it_was() {
    let config = GroupConfig { consumer_max_size: 1, ..GroupConfig::default() };
    let mut world = World::with(&[true], 0, config);
    world.classics[0].instance_id = Some("i".to_owned());
    world.settle();
    assert_eq!(error(&world.host.heartbeat(join("new", &["t"]))), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert!(!world.is_new_kind());
    world.classics[0].step(&mut world.host);
    assert!(world.classics[0].is_settled());
    // Who takes a member's place needs none of its own.
    world.consumers.push(Client { instance_id: Some("i".to_owned()), ..Client::new("new", &["t"]) });
    world.classics.clear();
    world.settle();
}

#[test]
fn members_that_are_no_consumers_have_no_place_there() {
    let mut world = World::new(&[], 1);
    world.settle();
    let request = JoinGroupRequest {
        group_id: super::GROUP.into(),
        session_timeout_ms: 10_000,
        protocol_type: "connect".into(),
        protocols: vec![Default::default()],
        ..Default::default()
    };
    let request = world
        .host
        .call(9, |coordinator, now_ms, topics, caller| coordinator.join_group(now_ms, topics, caller, &request));
    let Some(Response::JoinGroup(response)) = world.host.answer(request) else { panic!("an answer") };
    assert_eq!(response.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn a_static_member_changes_its_protocol_and_keeps_its_place() {
    let mut world = World::new(&[true, true], 0);
    world.classics[0].instance_id = Some("i".to_owned());
    world.settle();
    let before = world.classics.remove(0).owned;
    world.consumers.push(Client { instance_id: Some("i".to_owned()), ..Client::new("new", &["t"]) });
    world.consumers[0].beat(&mut world.host);
    assert_eq!(world.consumers[0].owned, before);
    world.settle();
}

#[test]
fn offsets_of_classic_members_are_for_their_generation() {
    let mut world = World::new(&[true], 1);
    world.settle();
    let classic = &world.classics[0];
    let group = world.host.group().expect("a group");
    assert_eq!(group.may_commit(&classic.member_id, classic.generation, 8), Ok(()));
    assert_eq!(group.may_commit(&classic.member_id, classic.generation - 1, 8), Err(ErrorCode::ILLEGAL_GENERATION));
}

#[derive(Clone, Debug)]
enum Event {
    Classic(usize),
    Consumer(usize),
    LeaveClassic(usize),
    LeaveConsumer(usize),
    /// The process dies and another one begins, of static members with the same instance id.
    RestartClassic(usize),
    RestartConsumer(usize),
    Grow(usize),
    /// A static member's next process speaks the other protocol.
    ChangeProtocol(usize),
    /// The request arrives, the answer does not.
    LoseClassicAnswer(usize),
    LoseConsumerAnswer(usize),
    /// Members that are too long silent know that themselves.
    Pass(i64),
    FailOver,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..3usize).prop_map(Event::Classic),
        8 => (0..2usize).prop_map(Event::Consumer),
        1 => (0..3usize).prop_map(Event::LeaveClassic),
        2 => (0..2usize).prop_map(Event::LeaveConsumer),
        1 => (0..3usize).prop_map(Event::RestartClassic),
        1 => (0..2usize).prop_map(Event::RestartConsumer),
        1 => (PARTITIONS..PARTITIONS + 3).prop_map(Event::Grow),
        1 => (0..3usize).prop_map(Event::ChangeProtocol),
        1 => (0..3usize).prop_map(Event::LoseClassicAnswer),
        1 => (0..2usize).prop_map(Event::LoseConsumerAnswer),
        3 => (1..2_000i64).prop_map(Event::Pass),
        1 => (1..SESSION_TIMEOUT_MS).prop_map(Event::Pass),
        1 => Just(Event::FailOver),
    ]
}

fn at<T>(all: &mut [T], index: usize) -> Option<&mut T> {
    let count = all.len();
    all.get_mut(index % count.max(1))
}

impl World {
    fn happen(&mut self, event: &Event) {
        let Self { host, classics, consumers } = self;
        let (classic, consumer) = match *event {
            Event::Classic(i) | Event::LeaveClassic(i) | Event::RestartClassic(i) | Event::LoseClassicAnswer(i) => {
                (at(classics, i), None)
            }
            Event::Consumer(i) | Event::LeaveConsumer(i) | Event::RestartConsumer(i) | Event::LoseConsumerAnswer(i) => {
                (None, at(consumers, i))
            }
            _ => (None, None),
        };
        match (event, classic, consumer) {
            (Event::Classic(_), Some(client), _) => client.step(host),
            (Event::LeaveClassic(_), Some(client), _) => client.leave(host),
            (Event::RestartClassic(_), Some(client), _) => client.forget(),
            (Event::LoseClassicAnswer(_), Some(client), _) => {
                client.ask(host);
                client.reconnect();
            }
            (Event::Consumer(_), _, Some(client)) => client.work(host),
            (Event::LeaveConsumer(_), _, Some(client)) => {
                host.heartbeat(steady(&client.member_id, -1));
                client.abandon();
            }
            (Event::RestartConsumer(_), _, Some(client)) => restart(host, client),
            (Event::LoseConsumerAnswer(_), _, Some(client)) => {
                host.heartbeat(client.request());
                client.is_full_due = true;
            }
            _ => self.turn(event),
        }
    }

    fn turn(&mut self, event: &Event) {
        let host = &mut self.host;
        match *event {
            Event::Grow(count) => {
                let before = host.topics.partitions_of("t");
                host.put_topic("t", count.max(before));
            }
            Event::ChangeProtocol(index) => self.change_protocol(index),
            Event::Pass(ms) => self.pass(ms),
            Event::FailOver => {
                host.fail_over();
                self.classics.iter_mut().for_each(ClassicClient::reconnect);
            }
            _ => {}
        }
    }

    fn change_protocol(&mut self, index: usize) {
        let Self { host, classics, consumers } = self;
        let instance_id = Some(format!("i{index}"));
        if let Some(at) = classics.iter().position(|client| client.instance_id == instance_id) {
            classics.remove(at);
            let name = format!("changed-{index}-{}", host.requests.len());
            consumers.push(Client { instance_id, ..Client::new(&name, &["t"]) });
        } else if let Some(at) = consumers.iter().position(|client| client.instance_id == instance_id) {
            restart(host, &mut consumers.remove(at));
            let mut client = ClassicClient::new(&["t"], index == 0);
            client.instance_id = instance_id;
            classics.push(client);
        }
    }

    fn pass(&mut self, ms: i64) {
        self.host.pass(ms);
        let groups = self.host.coordinator.groups();
        let is_member = |id: &str| match groups.get(super::GROUP).map(|group| &group.kind) {
            Some(Kind::Classic(group)) => group.has_member(id),
            Some(Kind::Consumer(group)) => group.members.contains_key(id),
            None => false,
        };
        self.classics.iter_mut().filter(|client| !is_member(&client.member_id)).for_each(ClassicClient::lapse);
        self.consumers.iter_mut().filter(|client| !is_member(&client.member_id)).for_each(Client::abandon);
    }
}

fn restart(host: &mut Host, client: &mut Client) {
    if client.instance_id.is_some() {
        let instance_id = client.instance_id.clone().map(Into::into);
        host.heartbeat(ConsumerGroupHeartbeatRequest { instance_id, ..steady(&client.member_id, -2) });
    }
    client.abandon();
    client.member_id.push_str("-again");
}

proptest! {
    #[test]
    fn no_partition_is_read_twice_whoever_comes_and_goes(events in prop::collection::vec(any_event(), 1..150)) {
        let mut world = World::new(&[true, false, true], 2);
        world.classics[0].instance_id = Some("i0".to_owned());
        world.classics[1].instance_id = Some("i1".to_owned());
        world.consumers[0].instance_id = Some("i2".to_owned());
        for event in &events {
            world.happen(event);
            world.check();
        }
        world.host.assert_log_holds_the_state();
        world.settle();
    }
}
