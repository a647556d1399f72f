//! Registration, controlled shutdown, producer ids.

mod support;

use support::*;
use tidelog_metadata::*;
use tidelog_wire::types::*;
use tidelog_wire::{ErrorCode, Str, Uuid};

fn refusal(response: Response) -> ErrorCode {
    match response {
        Response::RegisterBroker(Err(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_begins_fenced_and_each_incarnation_gets_a_higher_epoch() {
    let mut cluster = Cluster::founded(2);
    cluster.register(1);
    let first = cluster.identity(1).broker_epoch;
    assert!(cluster.image.broker(BrokerId(1)).expect("registered").fenced);
    cluster.register(2);
    cluster.register(1);
    assert!(cluster.identity(1).broker_epoch > cluster.identity(2).broker_epoch);
    assert!(cluster.identity(2).broker_epoch > first);
}

#[test]
fn the_same_incarnation_asking_again_gets_the_same_answer() {
    let mut cluster = Cluster::founded(1);
    let fixed = |registration: &mut BrokerRegistration| registration.incarnation_id = Uuid::from_u128(77_777);
    let first = cluster.register_with(1, fixed);
    cluster.live.insert(BrokerId(1));
    let image = cluster.image.clone();
    assert_eq!(cluster.register_with(1, fixed), first);
    assert_eq!(cluster.image, image);
}

#[test]
fn another_process_cannot_take_a_living_brokers_id_but_a_dead_ones() {
    let mut cluster = Cluster::running(1);
    cluster.live.insert(BrokerId(1));
    assert_eq!(refusal(cluster.register_with(1, |_| {})), ErrorCode::DUPLICATE_BROKER_REGISTRATION);
    cluster.live.clear();
    cluster.register(1);
}

#[test]
fn nonsense_is_refused() {
    let mut cluster = Cluster::founded(1);
    let other_cluster = cluster.register_with(1, |it| it.cluster_id = Some(Str::from("other")));
    assert_eq!(refusal(other_cluster), ErrorCode::INCONSISTENT_CLUSTER_ID);
    assert_eq!(refusal(cluster.register_with(-1, |_| {})), ErrorCode::INVALID_REGISTRATION);
    assert_eq!(refusal(cluster.register_with(1, |it| it.endpoints.clear())), ErrorCode::INVALID_REGISTRATION);
    assert_eq!(refusal(cluster.register_with(1, |it| it.incarnation_id = Uuid::ZERO)), ErrorCode::INVALID_REGISTRATION);
    let bootstrap =
        |id| Request::Bootstrap { cluster_id: Str::from(id), nodes: Vec::new(), default_configs: Vec::new() };
    assert!(matches!(cluster.ask(bootstrap("other")), Response::Bootstrap(Err(_))));
    assert_eq!(cluster.ask(bootstrap("c")), Response::Bootstrap(Ok(())));
}

#[test]
fn features_are_finalized_by_whatever_version_becomes_active() {
    let mut cluster = Cluster::founded(1);
    let levels = |cluster: &Cluster| -> Vec<(String, i16)> {
        cluster.image.features().map(|(name, level)| (name.to_string(), level)).collect()
    };
    let served = levels(&cluster);
    assert!(served.contains(&("group.version".to_owned(), 1)), "{served:?}");
    assert!(served.iter().all(|(name, _)| name != "transaction.version" && name != "share.version"), "{served:?}");
    for level in [0, 9] {
        // As a cluster founded before there was such a feature, and as one that a newer version has led.
        cluster.image.apply(&Record::FeatureLevel { name: Str::from("group.version"), level }).expect("applies");
        let bootstrap =
            Request::Bootstrap { cluster_id: Str::from("c"), nodes: Vec::new(), default_configs: Vec::new() };
        assert_eq!(cluster.ask(bootstrap), Response::Bootstrap(Ok(())));
        assert!(levels(&cluster).contains(&("group.version".to_owned(), level.max(1))), "{:?}", levels(&cluster));
    }
}

#[test]
fn requests_of_an_earlier_incarnation_are_stale_and_of_a_stranger_unknown() {
    let mut cluster = Cluster::running(1);
    let earlier = cluster.identity(1);
    cluster.register(1);
    let code = |response| match response {
        Response::UnfenceBroker(Err(error)) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(cluster.ask(Request::UnfenceBroker(earlier))), ErrorCode::STALE_BROKER_EPOCH);
    let stranger = BrokerIdentity { broker_id: BrokerId(9), ..earlier };
    assert_eq!(code(cluster.ask(Request::UnfenceBroker(stranger))), ErrorCode::BROKER_ID_NOT_REGISTERED);
}

#[test]
fn a_stopping_broker_hands_over_and_leaves() {
    let mut cluster = Cluster::with_topic(3);
    assert_eq!(cluster.shut_down(1, Patience::Full), ControlledShutdownProgress { ready: true, waiting_partitions: 0 });
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
    cluster.unfence(1);
    assert!(!cluster.image.is_active(BrokerId(1)), "only a new incarnation comes back");
    cluster.start(1);
    assert!(cluster.image.is_active(BrokerId(1)));
}

#[test]
fn a_stopping_broker_waits_while_min_isr_needs_it() {
    let mut cluster = Cluster::with_topic(3);
    cluster.start(3);
    assert_eq!(cluster.shown(), "leader 1 isr 1,2 elr ", "3 was restarted and is catching up");
    assert_eq!(
        cluster.shut_down(1, Patience::Full),
        ControlledShutdownProgress { ready: false, waiting_partitions: 1 }
    );
    assert_eq!(cluster.shown(), "leader 2 isr 1,2 elr ", "it leads no more, and still counts");
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::NONE);
    assert!(cluster.shut_down(1, Patience::Full).ready);
    assert_eq!(cluster.shown(), "leader 2 isr 2,3 elr ");
}

#[test]
fn a_stopping_broker_that_insists_leaves_anyway_and_stays_eligible() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    assert!(!cluster.shut_down(1, Patience::Full).ready);
    assert!(cluster.shut_down(1, Patience::None).ready);
    assert_eq!(cluster.shown(), "leader 2 isr 2 elr 1");
}

#[test]
fn of_two_that_stop_at_once_none_leads_for_the_other() {
    let mut cluster = Cluster::with_topic(3);
    cluster.start(3);
    assert!(!cluster.shut_down(1, Patience::Full).ready, "3 is catching up");
    assert_eq!(cluster.shown(), "leader 2 isr 1,2 elr ");
    assert!(!cluster.shut_down(2, Patience::Full).ready);
    assert_eq!(cluster.shown(), "leader 2 isr 1,2 elr ", "1 is stopping too");
    assert!(!cluster.shut_down(1, Patience::Full).ready);
    assert_eq!(cluster.shown(), "leader 2 isr 1,2 elr ", "nothing goes to and fro");
    assert_eq!(cluster.alter_isr(&[1, 2, 3]), ErrorCode::NONE);
    assert!(cluster.shut_down(2, Patience::Full).ready);
    assert_eq!(cluster.shown(), "leader 3 isr 1,3 elr ", "3 stays");
    assert!(cluster.shut_down(1, Patience::Full).ready, "it need not wait for 2");
}

#[test]
fn brokers_that_all_stop_wait_for_nobody() {
    let mut cluster = Cluster::with_topic(3);
    for id in [2, 3] {
        cluster.fence(id);
    }
    cluster.unfence(2);
    cluster.unfence(3);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr 3", "the others have yet to catch up");
    assert!(!cluster.shut_down(1, Patience::Full).ready);
    assert!(cluster.shut_down(2, Patience::Full).ready);
    assert!(cluster.shut_down(3, Patience::Full).ready);
    assert!(cluster.shut_down(1, Patience::Full).ready, "nobody is left that could catch up");
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1,3");
}

#[test]
fn a_stopped_broker_is_awaited_for_a_while_for_it_may_be_restarting() {
    let mut cluster = Cluster::with_topic(3);
    assert!(cluster.shut_down(3, Patience::Full).ready);
    cluster.fence(3);
    assert!(!cluster.shut_down(1, Patience::Full).ready);
    assert!(cluster.shut_down(1, Patience::RunningOnly).ready);
    cluster.fence(1);
    cluster.start(1);
    assert_eq!(cluster.alter_isr(&[2, 1]), ErrorCode::NONE);
    cluster.start(3);
    assert!(!cluster.shut_down(1, Patience::RunningOnly).ready, "3 is back and catching up");
}

#[test]
fn a_stopping_preferred_leader_is_not_given_its_leadership_back() {
    let mut cluster = Cluster::with_topic(3);
    cluster.start(3);
    assert!(!cluster.shut_down(1, Patience::Full).ready);
    assert_eq!(cluster.ask(Request::BalanceLeaders), Response::BalanceLeaders { moved: 0 });
    assert_eq!(cluster.shown(), "leader 2 isr 1,2 elr ");
}

#[test]
fn nobody_waits_for_replicas_that_do_not_exist() {
    let mut cluster = Cluster::with_topic(1);
    assert!(cluster.shut_down(1, Patience::Full).ready);
    assert_eq!(cluster.shown(), "leader -1 isr  elr 1");
}

#[test]
fn producer_id_blocks_do_not_overlap() {
    let mut cluster = Cluster::running(2);
    let mut first_of = |id| {
        let identity = cluster.identity(id);
        match cluster.ask(Request::AllocateProducerIds(identity)) {
            Response::AllocateProducerIds(Ok(block)) => (block.first.get(), block.len),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([first_of(1), first_of(2), first_of(1)], [(0, 1000), (1000, 1000), (2000, 1000)]);
}

#[test]
fn health_counts_what_is_missing() {
    let mut cluster = Cluster::with_topic(3);
    let healthy = cluster.image.health();
    assert_eq!((healthy.partitions, healthy.under_replicated, healthy.offline), (1, 0, 0));
    cluster.fence(1);
    let degraded = cluster.image.health();
    assert_eq!((degraded.under_replicated, degraded.at_min_isr, degraded.preferred_leader_imbalance), (1, 1, 1));
    assert_eq!((degraded.active_brokers, degraded.fenced_brokers), (2, 1));
    cluster.fence(2);
    assert_eq!(cluster.image.health().under_min_isr, 1);
    cluster.fence(3);
    assert_eq!(cluster.image.health().offline, 1);
}
