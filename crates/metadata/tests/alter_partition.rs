//! AlterPartition: what a leader may ask for, and in which order it is refused.

mod support;

use support::*;
use tidelog_metadata::*;
use tidelog_wire::types::*;
use tidelog_wire::{ErrorCode, Uuid};

type Adapt = fn(&mut PartitionAlteration);

#[test]
fn refusals_come_in_krafts_order() {
    let table: &[(&str, i32, Adapt, ErrorCode)] = &[
        ("another topic", 1, |it| it.partition.topic_id = Uuid::from_u128(7), ErrorCode::UNKNOWN_TOPIC_ID),
        (
            "another partition",
            1,
            |it| it.partition.partition = PartitionIndex(5),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ),
        (
            "a negative partition",
            1,
            |it| it.partition.partition = PartitionIndex(-1),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ),
        ("a leader epoch to come", 1, |it| it.leader_epoch.0 += 1, ErrorCode::NOT_CONTROLLER),
        ("a partition epoch to come", 1, |it| it.partition_epoch.0 += 1, ErrorCode::NOT_CONTROLLER),
        ("an old leader epoch", 2, |it| it.leader_epoch.0 -= 1, ErrorCode::FENCED_LEADER_EPOCH),
        ("not the leader", 3, |it| it.partition_epoch.0 -= 1, ErrorCode::INVALID_REQUEST),
        ("an old partition epoch", 2, |it| it.partition_epoch.0 -= 1, ErrorCode::INVALID_UPDATE_VERSION),
        ("no replica", 2, |it| it.new_isr[0].broker_id = BrokerId(4), ErrorCode::INVALID_REQUEST),
        ("named twice", 2, |it| it.new_isr.push(it.new_isr[0]), ErrorCode::INVALID_REQUEST),
        ("nobody", 2, |it| it.new_isr.clear(), ErrorCode::INVALID_REQUEST),
        (
            "recovery out of nothing",
            2,
            |it| it.leader_recovery = LeaderRecovery::Recovering,
            ErrorCode::INVALID_REQUEST,
        ),
        ("an incarnation of old", 2, |it| it.new_isr[1].broker_epoch.0 -= 1, ErrorCode::INELIGIBLE_REPLICA),
        ("as it should", 2, |_| {}, ErrorCode::NONE),
    ];
    for (what, asking, adapt, expected) in table {
        let mut cluster = Cluster::running(4);
        cluster.create_assigned(TOPIC, &[&[1, 2, 3]], &[]);
        cluster.fence(1);
        let mut alteration = cluster.alteration(&[2, 3]);
        if *asking == 1 {
            cluster.unfence(1);
        }
        adapt(&mut alteration);
        assert_eq!(cluster.alter(*asking, alteration).error_code, *expected, "{what}");
    }
}

#[test]
fn a_leader_that_leaves_itself_out_leaves_the_leadership_to_the_others() {
    let mut cluster = Cluster::with_topic(3);
    assert_eq!(cluster.alter_isr(&[2, 3]), ErrorCode::NEW_LEADER_ELECTED);
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
    assert_eq!(cluster.alter_isr(&[3]), ErrorCode::NEW_LEADER_ELECTED);
    assert_eq!(cluster.shown(), "leader 3 isr 3 elr 2", "it holds everything, and may lead again");
}

#[test]
fn a_leader_of_an_earlier_incarnation_is_stale() {
    let mut cluster = Cluster::with_topic(3);
    let earlier = cluster.identity(1);
    let alteration = cluster.alteration(&[1, 2]);
    cluster.start(1);
    let request = AlterPartition { broker: earlier, partitions: vec![alteration] };
    match cluster.ask(Request::AlterPartition(request)) {
        Response::AlterPartition(Err(error)) => assert_eq!(error.code, ErrorCode::STALE_BROKER_EPOCH),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rebooted_follower_does_not_rejoin_on_what_its_earlier_self_fetched() {
    let mut cluster = Cluster::with_topic(3);
    cluster.alter_isr(&[1, 2]);
    let before_the_reboot = cluster.alteration(&[1, 2, 3]);
    cluster.start(3);
    assert_eq!(cluster.alter(1, before_the_reboot).error_code, ErrorCode::INELIGIBLE_REPLICA);
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::NONE);
}

#[test]
fn an_unknown_epoch_does_for_members_that_stay_only() {
    let mut cluster = Cluster::with_topic(3);
    let mut shrink = cluster.alteration(&[1, 2]);
    shrink.new_isr[1].broker_epoch = BrokerEpoch::NONE;
    assert_eq!(cluster.alter(1, shrink).error_code, ErrorCode::NONE);
    let mut expand = cluster.alteration(&[1, 2, 3]);
    expand.new_isr[2].broker_epoch = BrokerEpoch::NONE;
    assert_eq!(cluster.alter(1, expand).error_code, ErrorCode::INELIGIBLE_REPLICA);
}

#[test]
fn fenced_and_stopping_brokers_do_not_join() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::INELIGIBLE_REPLICA);
    cluster.unfence(3);
    cluster.alter_isr(&[1, 2, 3]);
    assert!(cluster.shut_down(3, Patience::Full).ready);
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::INELIGIBLE_REPLICA);
}

#[test]
fn an_isr_shrunk_below_min_leaves_eligible_members() {
    let mut cluster = Cluster::with_topic(3);
    assert_eq!(cluster.alter_isr(&[1, 2]), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1]), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr 2");
    assert_eq!(cluster.alter_isr(&[1, 3]), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 1 isr 1,3 elr ");
}

#[test]
fn the_answer_is_the_state_after_it_and_asking_for_what_is_outdates_what_was_asked_before() {
    let mut cluster = Cluster::with_topic(3);
    let alteration = cluster.alteration(&[1, 2]);
    let answer = cluster.alter(1, alteration);
    assert_eq!(answer.isr, [BrokerId(1), BrokerId(2)]);
    assert_eq!((answer.leader, answer.leader_epoch), (BrokerId(1), LeaderEpoch(0)));
    assert_eq!(answer.partition_epoch, PartitionEpoch(1));
    let delayed = cluster.alteration(&[1, 2, 3]);
    let again = cluster.alteration(&[1, 2]);
    let confirmed = cluster.alter(1, again);
    assert_eq!((&confirmed.isr, confirmed.leader_epoch), (&answer.isr, answer.leader_epoch));
    assert_eq!(confirmed.partition_epoch, PartitionEpoch(2));
    assert_eq!(cluster.alter(1, delayed).error_code, ErrorCode::INVALID_UPDATE_VERSION);
}
