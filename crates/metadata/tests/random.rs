//! Random requests keep the promises. [`Cluster::ask`] checks them after each step; see `support/invariants.rs`.

mod support;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use support::*;
use tidelog_metadata::*;
use tidelog_wire::messages::create_partitions_request::CreatePartitionsTopic;
use tidelog_wire::messages::{
    CreatePartitionsRequest, DeleteTopicsRequest, ElectLeadersRequest, UnregisterBrokerRequest,
};
use tidelog_wire::types::*;
use tidelog_wire::{Str, Uuid};

const BROKERS: i32 = 4;
const TOPICS: [&str; 2] = ["orders", "payments"];

#[derive(Clone, Debug)]
enum Step {
    Register { id: i32, unclean: Option<Index>, epoch: i32, end: i64 },
    RegisterOtherDisk(i32),
    Fence(i32),
    Unfence(i32),
    Demote(i32),
    ShutDown { id: i32, patience: Patience },
    AlterIsr { partition: Index, members: Vec<i32>, late: bool },
    Damage { partition: Index, replica: Index },
    Recover { partition: Index, replica: Index },
    Create { topic: Index, partitions: i32, replication_factor: i16 },
    Delete(Index),
    Grow(Index),
    MinIsr { topic: Index, value: Option<&'static str> },
    AllowUnclean { topic: Index, value: Option<&'static str> },
    Elect(i8),
    Balance,
    Reassign { partition: Index, replicas: Option<Vec<i32>> },
    Unregister(i32),
}

fn patience() -> impl Strategy<Value = Patience> {
    prop_oneof![Just(Patience::Full), Just(Patience::RunningOnly), Just(Patience::None)]
}

fn target() -> impl Strategy<Value = Vec<i32>> {
    subsequence((1..=BROKERS).collect::<Vec<_>>(), 1..=BROKERS as usize).prop_shuffle()
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 1..=BROKERS;
    let index = any::<Index>;
    prop_oneof![
        4 => (id(), proptest::option::of(index()), 0..4, 0..100_i64)
            .prop_map(|(id, unclean, epoch, end)| Step::Register { id, unclean, epoch, end }),
        1 => id().prop_map(Step::RegisterOtherDisk),
        4 => id().prop_map(Step::Fence),
        8 => id().prop_map(Step::Unfence),
        2 => id().prop_map(Step::Demote),
        2 => (id(), patience()).prop_map(|(id, patience)| Step::ShutDown { id, patience }),
        10 => (index(), subsequence((1..=BROKERS).collect::<Vec<_>>(), 0..=BROKERS as usize), proptest::bool::weighted(0.1))
            .prop_map(|(partition, members, late)| Step::AlterIsr { partition, members, late }),
        2 => (index(), index()).prop_map(|(partition, replica)| Step::Damage { partition, replica }),
        1 => (index(), index()).prop_map(|(partition, replica)| Step::Recover { partition, replica }),
        3 => (index(), 1..4, 1..=BROKERS as i16)
            .prop_map(|(topic, partitions, replication_factor)| Step::Create { topic, partitions, replication_factor }),
        1 => index().prop_map(Step::Delete),
        1 => index().prop_map(Step::Grow),
        2 => (index(), prop_oneof![Just(None), Just(Some("1")), Just(Some("2")), Just(Some("3"))])
            .prop_map(|(topic, value)| Step::MinIsr { topic, value }),
        1 => (index(), prop_oneof![3 => Just(None), 1 => Just(Some("true"))])
            .prop_map(|(topic, value)| Step::AllowUnclean { topic, value }),
        1 => (0..2_i8).prop_map(Step::Elect),
        1 => Just(Step::Balance),
        4 => (index(), proptest::option::weighted(0.8, target()))
            .prop_map(|(partition, replicas)| Step::Reassign { partition, replicas }),
        1 => id().prop_map(Step::Unregister),
    ]
}

impl Step {
    fn run(self, cluster: &mut Cluster) {
        match self {
            Self::Register { id, unclean, epoch, end } => {
                let partition = unclean.and_then(|index| pick(cluster, index));
                let report =
                    partition.map(|partition| ReplicaReport { partition, unclean: true, position: at(epoch, end) });
                cluster.register_with(id, |registration| registration.replicas.extend(report));
            }
            Self::RegisterOtherDisk(id) => {
                let directory_id =
                    Uuid::from_u128(10_000 + u128::from(cluster.image.next_broker_epoch().get().unsigned_abs()));
                cluster.register_with(id, |registration| registration.directory_id = directory_id);
            }
            Self::Fence(id) => with_broker(cluster, id, Request::FenceBroker),
            Self::Unfence(id) => with_broker(cluster, id, Request::UnfenceBroker),
            Self::Demote(id) => with_broker(cluster, id, Request::DemoteBroker),
            Self::ShutDown { id, patience } => {
                with_broker(cluster, id, |broker| Request::ControlledShutdown { broker, patience });
            }
            Self::AlterIsr { partition, members, late } => alter_isr(cluster, partition, members, late),
            Self::Damage { partition, replica } => report(cluster, partition, replica, |broker, partition| {
                let report = ReplicaReport { partition, unclean: true, position: at(0, 1) };
                Request::ReportUnclean { broker, replicas: vec![report] }
            }),
            Self::Recover { partition, replica } => report(cluster, partition, replica, |broker, partition| {
                Request::ReplicaRecovered { broker, partitions: vec![partition] }
            }),
            Self::Create { topic: name, partitions, replication_factor } => {
                cluster.create(topic(named(&name), partitions, replication_factor, &[]), CreateOrigin::Admin);
            }
            Self::Delete(name) => {
                let request = DeleteTopicsRequest { topic_names: vec![Str::from(named(&name))], ..Default::default() };
                cluster.ask(Request::DeleteTopics(request));
            }
            Self::Grow(name) => {
                let topic = CreatePartitionsTopic { name: Str::from(named(&name)), count: 4, assignments: None };
                let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
                cluster.ask(Request::CreatePartitions(request));
            }
            Self::MinIsr { topic, value } => {
                cluster.set_config(ConfigResourceType::Topic, named(&topic), "min.insync.replicas", value);
            }
            Self::AllowUnclean { topic, value } => {
                let name = "unclean.leader.election.enable";
                cluster.set_config(ConfigResourceType::Topic, named(&topic), name, value);
            }
            Self::Elect(election_type) => {
                let request = ElectLeadersRequest { election_type, topic_partitions: None, ..Default::default() };
                cluster.ask(Request::ElectLeaders(request));
            }
            Self::Balance => {
                cluster.ask(Request::BalanceLeaders);
            }
            Self::Reassign { partition, replicas } => reassign(cluster, partition, replicas),
            Self::Unregister(broker_id) => {
                cluster.ask(Request::UnregisterBroker(UnregisterBrokerRequest { broker_id }));
            }
        }
    }
}

fn named(index: &Index) -> &'static str {
    TOPICS[index.index(TOPICS.len())]
}

fn partitions(cluster: &Cluster) -> Vec<TopicIdPartition> {
    let topics = cluster.image.topics();
    topics.flat_map(|topic| topic.partitions().map(|(index, _)| topic.id_partition(index))).collect()
}

fn pick(cluster: &Cluster, index: Index) -> Option<TopicIdPartition> {
    let all = partitions(cluster);
    (!all.is_empty()).then(|| *index.get(&all))
}

fn with_broker(cluster: &mut Cluster, id: i32, request: impl FnOnce(BrokerIdentity) -> Request) {
    if cluster.image.broker(BrokerId(id)).is_some() {
        let identity = cluster.identity(id);
        cluster.ask(request(identity));
    }
}

fn report(
    cluster: &mut Cluster,
    partition: Index,
    replica: Index,
    request: impl FnOnce(BrokerIdentity, TopicIdPartition) -> Request,
) {
    let Some(id) = pick(cluster, partition) else { return };
    let replica = *replica.get(&cluster.image.partition(id).expect("picked").replicas);
    with_broker(cluster, replica.get(), |broker| request(broker, id));
}

fn reassign(cluster: &mut Cluster, partition: Index, replicas: Option<Vec<i32>>) {
    let Some(id) = pick(cluster, partition) else { return };
    let topic = cluster.image.topic_by_id(id.topic_id).expect("picked").name.to_string();
    cluster.reassign_partition(&topic, id.partition.get(), replicas.as_deref());
}

fn alter_isr(cluster: &mut Cluster, partition: Index, members: Vec<i32>, late: bool) {
    let Some(id) = pick(cluster, partition) else { return };
    let state = cluster.image.partition(id).expect("picked").clone();
    let epoch = |member: BrokerId| cluster.image.broker(member).map_or(BrokerEpoch::NONE, |broker| broker.epoch);
    let members = members.into_iter().map(BrokerId).filter(|member| state.replicas.contains(member));
    let others = members.filter(|member| *member != state.leader);
    let isr = std::iter::once(state.leader).chain(others);
    let alteration = PartitionAlteration {
        partition: id,
        leader_epoch: state.leader_epoch,
        partition_epoch: PartitionEpoch(state.partition_epoch.get() - i32::from(late)),
        new_isr: isr.map(|broker_id| IsrMember { broker_id, broker_epoch: epoch(broker_id) }).collect(),
        leader_recovery: LeaderRecovery::Recovered,
    };
    with_broker(cluster, state.leader.get(), |broker| {
        Request::AlterPartition(AlterPartition { broker, partitions: vec![alteration] })
    });
}

/// Everyone comes back, and the unclean ones say where their logs end.
fn everyone_returns(cluster: &mut Cluster) {
    for id in 1..=BROKERS {
        let reports: Vec<ReplicaReport> = partitions(cluster)
            .into_iter()
            .map(|partition| ReplicaReport { partition, unclean: false, position: at(0, i64::from(id)) })
            .collect();
        cluster.register_with(id, |registration| registration.replicas = reports);
        cluster.unfence(id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_after_every_step_and_all_partitions_are_led_once_all_brokers_return(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut cluster = Cluster::running(BROKERS);
        cluster.create(topic("orders", 2, 3, &[]), CreateOrigin::Admin);
        for step in steps {
            step.run(&mut cluster);
        }
        everyone_returns(&mut cluster);
        let offline = cluster.image.health().offline;
        prop_assert_eq!(offline, 0, "{:?}", cluster.image.topics().collect::<Vec<_>>());
    }
}
