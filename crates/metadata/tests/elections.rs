//! ISR, ELR, leaders: what becomes of a partition when brokers come and go.

mod support;

use support::*;
use tidelog_metadata::*;
use tidelog_wire::types::*;
use tidelog_wire::{ErrorCode, Str};

#[test]
fn a_fenced_leader_is_followed_by_the_first_in_sync_replica() {
    let mut cluster = Cluster::with_topic(3);
    assert_eq!(cluster.shown(), "leader 1 isr 1,2,3 elr ");
    cluster.fence(1);
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(1));
}

#[test]
fn a_fenced_follower_leaves_the_isr_without_a_new_leader_epoch() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    assert_eq!(cluster.shown(), "leader 1 isr 1,2 elr ");
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(0));
    assert_eq!(cluster.partition().partition_epoch, PartitionEpoch(1));
}

#[test]
fn below_min_isr_those_who_leave_stay_eligible() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    cluster.fence(2);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr 2");
    cluster.fence(1);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1,2");
    cluster.unfence(3);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1,2", "3 may lack committed records");
    cluster.unfence(2);
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr 1");
    cluster.unfence(1);
    assert_eq!(cluster.alter_isr(&[2, 1]), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 2 isr 2,1 elr ");
}

#[test]
fn with_a_min_isr_of_one_the_elected_leader_ends_the_others_eligibility() {
    let mut cluster = Cluster::with_topic(2);
    let (one, two) = (cluster.identity(1), cluster.identity(2));
    cluster.ask(Request::FenceBroker(two));
    cluster.ask(Request::FenceBroker(one));
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1", "2 left while the ISR was large enough");
    cluster.unfence(2);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1");
    cluster.unfence(1);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr ");
}

#[test]
fn a_crash_of_all_nodes_at_once_heals_by_itself() {
    let mut cluster = Cluster::with_topic(3);
    for id in 1..=3 {
        cluster.register(id);
    }
    assert_eq!(cluster.shown(), "leader -1 isr  elr 2,3");
    cluster.unfence(3);
    assert_eq!(cluster.shown(), "leader 3 isr 3 elr 2");
}

#[test]
fn a_new_incarnation_ends_the_leaderships_of_the_earlier_one() {
    let mut cluster = Cluster::with_topic(1);
    cluster.register(1);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1", "no fence came between, yet it leads no more");
    cluster.unfence(1);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr ");
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(2));
}

#[test]
fn an_unclean_replica_leaves_isr_and_elr() {
    let mut cluster = Cluster::with_topic(3);
    cluster.register_unclean(1, at(0, 10));
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
    cluster.fence(3);
    cluster.register_unclean(3, at(0, 5));
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr  last known 3");
}

#[test]
fn without_any_clean_replica_the_longest_log_leads_once_all_are_back() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    cluster.register_unclean(1, at(0, 10));
    cluster.register_unclean(2, at(1, 8));
    assert_eq!(cluster.shown(), "leader -1 isr  elr  last known 1,2");
    cluster.unfence(1);
    cluster.unfence(3);
    assert_eq!(cluster.shown(), "leader -1 isr  elr  last known 1,2", "2 is not back");
    cluster.unfence(2);
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr  recovering", "epoch 1 ends after epoch 0");
    assert_eq!(cluster.alter_isr(&[2]), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr ", "recovered");
    assert_eq!(cluster.alter_isr(&[2, 1, 3]), ErrorCode::NONE);
    let unclean = cluster.image.brokers().map(|broker| broker.unclean.len()).sum::<usize>();
    assert_eq!(unclean, 0, "in sync is whole");
}

#[test]
fn equal_logs_are_led_by_the_first_replica() {
    let mut cluster = Cluster::with_topic(3);
    for id in 1..=3 {
        cluster.register_unclean(id, at(0, 10));
    }
    for id in [3, 2, 1] {
        cluster.unfence(id);
    }
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr  recovering", "1 left while min ISR held without it");
}

#[test]
fn a_replaced_disk_makes_all_replicas_unclean() {
    let mut cluster = Cluster::with_topic(1);
    cluster.register_with(1, |registration| registration.directory_id = tidelog_wire::Uuid::from_u128(999));
    assert_eq!(cluster.shown(), "leader -1 isr  elr  last known 1");
    cluster.unfence(1);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr  recovering");
}

#[test]
fn a_replica_of_which_there_is_no_trace_is_unclean_if_logs_may_be_lost() {
    for (may_lack_logs, shown) in [(true, "leader -1 isr  elr  last known 1"), (false, "leader -1 isr  elr 1")] {
        let mut cluster = Cluster::with_topic(1);
        cluster.register_with(1, |registration| registration.may_lack_logs = may_lack_logs);
        assert_eq!(cluster.shown(), shown);
    }
    let mut cluster = Cluster::with_topic(1);
    let found = ReplicaReport { partition: cluster.id_partition(TOPIC, 0), unclean: false, position: at(0, 10) };
    cluster.register_with(1, |registration| {
        registration.may_lack_logs = true;
        registration.replicas = vec![found];
    });
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1", "it was found");
}

#[test]
fn write_caching_makes_a_crash_unclean_and_a_clean_stop_not() {
    let mut cluster = Cluster::running(2);
    cluster.create_assigned(TOPIC, &[&[1, 2]], &[("write.caching", "true"), ("min.insync.replicas", "2")]);
    let previous_broker_epoch = cluster.identity(2).broker_epoch;
    cluster.register_with(2, |registration| registration.previous_broker_epoch = previous_broker_epoch);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr 2");
    cluster.register(1);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 2 last known 1");
}

#[test]
fn an_unclean_election_takes_place_only_where_allowed() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    for id in [1, 2] {
        cluster.fence(id);
    }
    cluster.unfence(3);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1,2");
    assert_eq!(cluster.notes, [], "all leaders held everything");
    let enable = "unclean.leader.election.enable";
    assert_eq!(cluster.set_config(ConfigResourceType::Topic, TOPIC, enable, Some("true")), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 3 isr 3 elr  loss accepted");
    let leader_epoch = cluster.partition().leader_epoch;
    let (topic, partition, leader) = (Str::from(TOPIC), PartitionIndex(0), BrokerId(3));
    assert_eq!(cluster.notes, [Note::UncleanElection { topic, partition, leader, leader_epoch }]);
}

#[test]
fn a_lowered_min_isr_ends_eligibility_at_once() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    cluster.fence(2);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr 2");
    let outcome = cluster.set_config(ConfigResourceType::Topic, TOPIC, "min.insync.replicas", Some("1"));
    assert_eq!(outcome, ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr ", "1 may commit without 2 now");
    cluster.set_config(ConfigResourceType::Topic, TOPIC, "min.insync.replicas", None);
    assert_eq!(cluster.set_config(ConfigResourceType::Broker, "", "min.insync.replicas", Some("1")), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr ");
}

#[test]
fn a_replica_found_damaged_while_running_hands_over() {
    let mut cluster = Cluster::with_topic(3);
    let report = ReplicaReport { partition: cluster.id_partition(TOPIC, 0), unclean: true, position: at(0, 3) };
    let broker = cluster.identity(1);
    let partitions = vec![report.partition];
    cluster.ask(Request::ReportUnclean { broker, replicas: vec![report] });
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
    assert_eq!(cluster.image.broker(BrokerId(1)).expect("known").unclean.len(), 1);
    cluster.ask(Request::ReplicaRecovered { broker, partitions });
    assert_eq!(cluster.image.broker(BrokerId(1)).expect("known").unclean.len(), 0);
    assert_eq!(cluster.alter_isr(&[2, 3, 1]), ErrorCode::NONE);
}

/// The leader's last word of a follower is what it fetched before its records were damaged.
#[test]
fn a_replica_found_damaged_is_not_taken_back_by_what_it_fetched_before() {
    for was_in_sync in [true, false] {
        let mut cluster = Cluster::with_topic(3);
        if !was_in_sync {
            cluster.alter_isr(&[1, 2]);
        }
        let seen_before = cluster.alteration(&[1, 2, 3]);
        let report = ReplicaReport { partition: cluster.id_partition(TOPIC, 0), unclean: true, position: at(0, 3) };
        let broker = cluster.identity(3);
        cluster.ask(Request::ReportUnclean { broker, replicas: vec![report] });
        assert_eq!(cluster.shown(), "leader 1 isr 1,2 elr ");
        let PartitionAlteration { leader_epoch, .. } = seen_before;
        let since = PartitionAlteration { leader_epoch, ..cluster.alteration(&[1, 2, 3]) };
        for stale in [seen_before, since] {
            assert_eq!(cluster.alter(1, stale).error_code, ErrorCode::FENCED_LEADER_EPOCH);
        }
        assert_eq!(cluster.image.broker(BrokerId(3)).expect("known").unclean.len(), 1);
        assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::NONE, "by what it fetches in the new epoch");
    }
}

#[test]
fn a_stalled_broker_hands_over_but_keeps_min_isr() {
    let mut cluster = Cluster::with_topic(3);
    let broker = cluster.identity(1);
    cluster.ask(Request::DemoteBroker(broker));
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
    let broker = cluster.identity(2);
    cluster.ask(Request::DemoteBroker(broker));
    assert_eq!(cluster.shown(), "leader 3 isr 2,3 elr ", "without 2 nobody could acknowledge");
}

#[test]
fn a_damaged_only_replica_leads_on_in_a_new_epoch() {
    let mut cluster = Cluster::with_topic(1);
    let report = ReplicaReport { partition: cluster.id_partition(TOPIC, 0), unclean: true, position: at(0, 3) };
    let broker = cluster.identity(1);
    cluster.ask(Request::ReportUnclean { broker, replicas: vec![report] });
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr  recovering");
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(1));
}
