//! Replicas move to other brokers while the partition goes on (KIP-455).

mod support;

use support::*;
use tidelog_metadata::{Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::UnregisterBrokerRequest;
use tidelog_wire::types::*;

/// Five brokers, and a partition on 1 to 3.
fn five() -> Cluster {
    let mut cluster = Cluster::running(5);
    cluster.create_assigned(TOPIC, &[&[1, 2, 3]], &[]);
    cluster
}

#[test]
fn a_move_ends_when_every_new_replica_is_in_sync_and_leadership_goes_along() {
    let mut cluster = five();
    assert_eq!(cluster.reassign(Some(&[4, 5, 3])), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "+4,+5,3,-1,-2");
    assert_eq!(cluster.shown(), "leader 1 isr 1,2,3 elr ", "nothing changes for producers");
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(0));
    assert_eq!(cluster.alter_isr(&[1, 2, 3, 4]), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "+4,+5,3,-1,-2");
    assert_eq!(cluster.alter_isr(&[1, 2, 3, 4, 5]), ErrorCode::NEW_LEADER_ELECTED);
    assert_eq!(cluster.replicas(), "4,5,3");
    assert_eq!(cluster.shown(), "leader 4 isr 3,4,5 elr ");
}

#[test]
fn a_leader_that_stays_goes_on_in_a_new_epoch() {
    let mut cluster = five();
    assert_eq!(cluster.reassign(Some(&[1, 2, 4])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1, 2, 3, 4]), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 1 isr 1,2,4 elr ");
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(1), "3 may be added again, with an empty log");
}

#[test]
fn a_shorter_list_and_another_order_hold_at_once() {
    let mut cluster = five();
    assert_eq!(cluster.reassign(Some(&[3, 2])), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "3,2");
    assert_eq!(cluster.shown(), "leader 3 isr 2,3 elr ");
    assert_eq!(cluster.reassign(Some(&[2, 3])), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "2,3");
    assert_eq!(cluster.shown(), "leader 3 isr 2,3 elr ", "the preferred leader is for the next balance");
}

#[test]
fn cancelling_puts_things_back() {
    let mut cluster = five();
    assert_eq!(cluster.reassign(None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    assert_eq!(cluster.reassign(Some(&[4, 2, 5])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1, 2, 3, 4]), ErrorCode::NONE);
    assert_eq!(cluster.reassign(None), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "1,2,3", "in their order");
    assert_eq!(cluster.shown(), "leader 1 isr 1,2,3 elr ");
    assert_eq!(cluster.reassign(None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
}

#[test]
fn another_target_replaces_the_first() {
    let mut cluster = five();
    assert_eq!(cluster.reassign(Some(&[4, 2, 3])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::NONE);
    assert_eq!(cluster.reassign(Some(&[5, 2, 3])), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "+5,2,3,-1", "4 is wanted no more");
    assert_eq!(cluster.reassign(None), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "1,2,3");
}

#[test]
fn what_would_leave_no_replica_in_sync_is_refused() {
    let mut cluster = five();
    assert_eq!(cluster.reassign(Some(&[4, 5])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1, 2, 3, 4]), ErrorCode::NONE);
    for id in [1, 2, 3] {
        cluster.fence(id);
    }
    assert_eq!(cluster.shown(), "leader 4 isr 4 elr ");
    assert_eq!(cluster.reassign(None), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    cluster.start(2);
    assert_eq!(cluster.alter_isr(&[4, 2]), ErrorCode::NONE);
    assert_eq!(cluster.reassign(None), ErrorCode::NONE);
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr ");
}

#[test]
fn a_growing_factor_refuses_no_producer_meanwhile() {
    let mut cluster = Cluster::running(3);
    cluster.create_assigned(TOPIC, &[&[1]], &[]);
    let min_isr = |cluster: &Cluster| {
        let topic = cluster.image.topic(TOPIC).expect("exists");
        cluster.image.min_insync_replicas(topic, cluster.partition())
    };
    assert_eq!(cluster.reassign(Some(&[1, 2, 3])), ErrorCode::NONE);
    assert_eq!((cluster.replicas().as_str(), min_isr(&cluster)), ("1,+2,+3", 1));
    assert_eq!(cluster.image.health().under_replicated, 0, "as Kafka counts");
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::NONE);
    assert_eq!((cluster.replicas().as_str(), min_isr(&cluster)), ("1,2,3", 2));
    assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(0), "nobody was dropped");
}

#[test]
fn a_move_does_not_end_below_min_isr() {
    let mut cluster = five();
    for id in [2, 3] {
        cluster.fence(id);
    }
    assert_eq!(cluster.reassign(Some(&[2, 3, 4])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1, 4]), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "2,3,+4,-1", "without 1 nobody could acknowledge");
    cluster.start(2);
    assert_eq!(cluster.alter_isr(&[1, 4, 2]), ErrorCode::NEW_LEADER_ELECTED);
    assert_eq!(cluster.replicas(), "2,3,4");
    assert_eq!(cluster.shown(), "leader 2 isr 4,2 elr ");
}

#[test]
fn an_added_replica_in_sync_does_not_stand_in_for_one_that_is_missing() {
    let mut cluster = five();
    cluster.fence(3);
    assert_eq!(cluster.reassign(Some(&[2, 4, 5])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[1, 2, 4]), ErrorCode::NONE);
    assert_eq!(cluster.replicas(), "2,+4,+5,-1,-3");
    assert_eq!(cluster.image.health().under_replicated, 1);
    cluster.start(3);
    assert_eq!(cluster.alter_isr(&[1, 2, 4, 3]), ErrorCode::NONE);
    assert_eq!(cluster.image.health().under_replicated, 0, "5 is not missed yet");
}

#[test]
fn a_dead_brokers_replica_moves_away_too() {
    let mut cluster = five();
    cluster.fence(1);
    assert_eq!(cluster.reassign(Some(&[4, 2, 3])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[2, 3, 4]), ErrorCode::NONE);
    assert_eq!((cluster.replicas(), cluster.shown()), ("4,2,3".into(), "leader 2 isr 2,3,4 elr ".into()));
    assert_eq!(cluster.image.replica_count(BrokerId(1)), 0);
}

#[test]
fn nonsense_is_refused() {
    let mut cluster = five();
    for replicas in [&[][..], &[1, 1], &[1, 9], &[-1]] {
        assert_eq!(cluster.reassign(Some(replicas)), ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{replicas:?}");
    }
    assert_eq!(cluster.reassign_partition(TOPIC, 7, Some(&[1])), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(cluster.reassign_partition("none", 0, Some(&[1])), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(cluster.replicas(), "1,2,3");
}

fn unregister(cluster: &mut Cluster, broker_id: i32) -> ErrorCode {
    match cluster.ask(Request::UnregisterBroker(UnregisterBrokerRequest { broker_id })) {
        Response::UnregisterBroker(answer) => answer.error_code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_is_forgotten_once_it_has_stopped_and_holds_nothing() {
    let mut cluster = five();
    assert_eq!(unregister(&mut cluster, 1), ErrorCode::INVALID_REQUEST, "it runs");
    cluster.fence(1);
    assert_eq!(unregister(&mut cluster, 1), ErrorCode::INVALID_REQUEST, "a replica would be missing for ever");
    assert_eq!(cluster.reassign(Some(&[4, 2, 3])), ErrorCode::NONE);
    assert_eq!(cluster.alter_isr(&[2, 3, 4]), ErrorCode::NONE);
    assert_eq!(unregister(&mut cluster, 1), ErrorCode::NONE);
    assert_eq!(unregister(&mut cluster, 1), ErrorCode::BROKER_ID_NOT_REGISTERED);
    assert_eq!(cluster.image.known_brokers().len(), 4, "it counts no more, configured or not");
    cluster.start(1);
    assert_eq!(cluster.image.known_brokers().len(), 5);
}
