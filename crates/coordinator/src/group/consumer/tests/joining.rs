//! Joining, sharing, leaving.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::ConsumerGroupHeartbeatRequest;

use super::client::{Client, settle};
use super::{GROUP, Host, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS, error, join, steady};
use crate::{GroupConfig, GroupSettings};

#[test]
fn the_first_member_gets_everything_with_its_first_answer() {
    let mut host = Host::new(&[("t", 3)]);
    let response = host.heartbeat(join("m1", &["t"]));
    assert_eq!(error(&response), ErrorCode::NONE);
    assert_eq!((response.member_id.as_deref(), response.member_epoch), (Some("m1"), 1));
    assert_eq!(response.heartbeat_interval_ms, 5_000);
    let assignment = response.assignment.expect("a full answer");
    assert_eq!(assignment.topic_partitions.len(), 1);
    assert_eq!(assignment.topic_partitions[0].topic_id, host.topic_id("t"));
    assert_eq!(assignment.topic_partitions[0].partitions, [0, 1, 2]);
    host.assert_log_holds_the_state();
}

#[test]
fn a_steady_heartbeat_writes_nothing_and_repeats_no_assignment() {
    let mut host = Host::new(&[("t", 3)]);
    host.heartbeat(join("m1", &["t"]));
    let records = host.log.len();
    let response = host.heartbeat(steady("m1", 1));
    assert_eq!((error(&response), response.member_epoch), (ErrorCode::NONE, 1));
    assert_eq!(response.assignment, None);
    assert_eq!(host.log.len(), records);
}

#[test]
fn a_partition_is_handed_over_only_after_its_owner_gave_it_up() {
    let mut host = Host::new(&[("t", 2)]);
    let mut first = Client::new("m1", &["t"]);
    let mut second = Client::new("m2", &["t"]);
    first.beat(&mut host);
    assert_eq!(first.owned.len(), 2);

    second.beat(&mut host);
    assert_eq!((second.epoch, second.owned.len()), (2, 0), "waits");
    first.beat(&mut host);
    assert_eq!((first.epoch, first.owned.len(), first.assigned.len()), (1, 2, 1), "asked to give up one");
    second.beat(&mut host);
    assert_eq!(second.owned.len(), 0, "still the first one's");
    first.beat(&mut host);
    assert_eq!(first.epoch, 1, "has not done it yet");

    first.revoke();
    first.beat(&mut host);
    assert_eq!(first.epoch, 2);
    second.beat(&mut host);
    assert_eq!((second.epoch, second.owned.len()), (2, 1));
    assert!(first.owned.is_disjoint(&second.owned));
    host.assert_log_holds_the_state();
}

#[test]
fn what_a_leaver_had_is_free_at_once() {
    let mut host = Host::new(&[("t", 4)]);
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    settle(&mut host, &mut clients);
    let response = host.heartbeat(steady("m1", -1));
    assert_eq!((error(&response), response.member_epoch), (ErrorCode::NONE, -1));
    clients[1].beat(&mut host);
    assert_eq!(clients[1].owned.len(), 4);
    assert_eq!(error(&host.heartbeat(steady("m1", 2))), ErrorCode::UNKNOWN_MEMBER_ID);
    host.assert_log_holds_the_state();
}

#[test]
fn who_is_silent_for_a_session_timeout_is_out() {
    let mut host = Host::new(&[("t", 4)]);
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    settle(&mut host, &mut clients);
    host.pass(SESSION_TIMEOUT_MS - 1);
    clients[1].beat(&mut host);
    host.pass(1);
    assert_eq!(error(&host.heartbeat(steady("m1", clients[0].epoch))), ErrorCode::UNKNOWN_MEMBER_ID);
    clients[1].beat(&mut host);
    assert_eq!(clients[1].owned.len(), 4);
    host.assert_log_holds_the_state();
}

#[test]
fn members_that_go_silent_together_do_not_have_the_others_looked_at_each_time() {
    let mut host = Host::new(&[("t", 4)]);
    let mut clients: Vec<_> = (0..100).map(|member| Client::new(&format!("m{member}"), &["t"])).collect();
    clients.iter_mut().for_each(|client| client.beat(&mut host));
    host.topics.looked_up.set(0);
    host.pass(SESSION_TIMEOUT_MS);
    assert!(host.group().expect("a group").is_empty());
    assert_eq!(host.topics.looked_up.get(), 0);
    host.assert_log_holds_the_state();
}

#[test]
fn a_groups_own_settings_count_from_the_next_heartbeat_on() {
    let mut host = Host::new(&[("t", 2)]);
    host.heartbeat(join("m1", &["t"]));
    host.topics.group_settings = GroupSettings { session_timeout_ms: Some(6_000), heartbeat_interval_ms: Some(1_000) };
    host.pass(SESSION_TIMEOUT_MS - 1);
    let response = host.heartbeat(steady("m1", 1));
    assert_eq!((error(&response), response.heartbeat_interval_ms), (ErrorCode::NONE, 1_000));
    host.pass(5_999);
    assert_eq!(error(&host.heartbeat(steady("m1", 1))), ErrorCode::NONE);
    host.pass(6_000);
    assert_eq!(error(&host.heartbeat(steady("m1", 1))), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn who_does_not_give_up_in_time_is_out() {
    let mut host = Host::new(&[("t", 2)]);
    let mut stubborn = Client::new("m1", &["t"]);
    let mut waiting = Client::new("m2", &["t"]);
    stubborn.beat(&mut host);
    waiting.beat(&mut host);
    stubborn.beat(&mut host);
    host.pass(i64::from(REBALANCE_TIMEOUT_MS) - 1);
    stubborn.beat(&mut host);
    assert_eq!(stubborn.epoch, 1);
    host.pass(1);
    assert_eq!(error(&host.heartbeat(steady("m1", 1))), ErrorCode::UNKNOWN_MEMBER_ID);
    waiting.beat(&mut host);
    assert_eq!(waiting.owned.len(), 2);
}

#[test]
fn giving_up_in_time_ends_the_rebalance_timeout() {
    let mut host = Host::new(&[("t", 2)]);
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    clients[0].beat(&mut host);
    settle(&mut host, &mut clients);
    host.pass(i64::from(REBALANCE_TIMEOUT_MS) + 1);
    clients[0].beat(&mut host);
    assert_eq!((clients[0].epoch, clients[0].owned.len()), (2, 1));
}

#[test]
fn members_get_another_session_timeout_from_a_new_coordinator() {
    let mut host = Host::new(&[("t", 2)]);
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    settle(&mut host, &mut clients);
    host.pass(SESSION_TIMEOUT_MS - 1);
    host.fail_over();
    host.pass(SESSION_TIMEOUT_MS - 1);
    let before = clients.clone();
    clients.iter_mut().for_each(|client| client.beat(&mut host));
    assert_eq!(clients[0].epoch, before[0].epoch, "nothing happened for the members");
    host.fail_over();
    host.pass(SESSION_TIMEOUT_MS);
    assert!(host.group().expect("a group").is_empty());
}

#[test]
fn a_revocation_goes_on_under_a_new_coordinator() {
    let mut host = Host::new(&[("t", 2)]);
    let mut first = Client::new("m1", &["t"]);
    let mut second = Client::new("m2", &["t"]);
    first.beat(&mut host);
    second.beat(&mut host);
    first.beat(&mut host);
    host.fail_over();
    second.beat(&mut host);
    assert_eq!(second.owned.len(), 0);
    host.pass(i64::from(REBALANCE_TIMEOUT_MS));
    second.beat(&mut host);
    assert_eq!(second.owned.len(), 2, "the first one's time was up");
}

#[test]
fn members_without_an_id_get_one_in_version_0() {
    let mut host = Host::new(&[("t", 1)]);
    let response = host.heartbeat_at_version(0, join("", &["t"]));
    let member_id = response.member_id.expect("an id");
    assert_eq!((member_id.len(), response.member_epoch), (22, 1));
    assert_eq!(error(&host.heartbeat_at_version(0, steady(&member_id, 1))), ErrorCode::NONE);
}

#[test]
fn a_full_group_takes_nobody_new() {
    let config = GroupConfig { consumer_max_size: 1, ..GroupConfig::default() };
    let mut host = Host::with_config(&[("t", 1)], config);
    host.heartbeat(join("m1", &["t"]));
    assert_eq!(error(&host.heartbeat(join("m2", &["t"]))), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(error(&host.heartbeat(join("m1", &["t"]))), ErrorCode::NONE, "it is in already");
}

#[test]
fn a_group_that_is_too_large_keeps_its_members_and_takes_nobody_new() {
    let mut host = Host::new(&[("t", 4)]);
    let mut clients = ["m1", "m2", "m3"].map(|member_id| Client::new(member_id, &["t"]));
    settle(&mut host, &mut clients);
    host.config = GroupConfig { consumer_max_size: 2, ..GroupConfig::default() }.into();
    host.fail_over();
    let epoch = clients[0].epoch;
    for client in &mut clients {
        client.beat(&mut host);
        assert_eq!((client.epoch, client.owned.is_empty()), (epoch, false), "nothing moves");
    }
    let table = [
        ("m4", ErrorCode::GROUP_MAX_SIZE_REACHED, "is new"),
        ("m1", ErrorCode::NONE, "joins again"),
        ("m3", ErrorCode::NONE, "joins again"),
    ];
    for (member_id, code, why) in table {
        assert_eq!(error(&host.heartbeat(join(member_id, &["t"]))), code, "{member_id} {why}");
    }
    host.heartbeat(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..join("m1", &["t"]) });
    assert_eq!(error(&host.heartbeat(join("m4", &["t"]))), ErrorCode::GROUP_MAX_SIZE_REACHED, "there are two still");
    host.heartbeat(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..join("m2", &["t"]) });
    assert_eq!(error(&host.heartbeat(join("m4", &["t"]))), ErrorCode::NONE, "a place is free");
}

#[test]
fn the_group_goes_by_the_assignor_that_most_members_want() {
    let mut host = Host::new(&[("a", 2), ("b", 2)]);
    let ranged = |member_id| ConsumerGroupHeartbeatRequest {
        server_assignor: Some("range".into()),
        ..join(member_id, &["a", "b"])
    };
    host.heartbeat(ranged("m1"));
    assert_eq!(host.describe().assignor_name, "range");
    host.heartbeat(join("m2", &["a", "b"]));
    host.heartbeat(ranged("m3"));
    let target = &host.group().expect("a group").targets["m1"];
    assert_eq!(target.of(host.topic_id("a")), target.of(host.topic_id("b")), "co-partitioned");
    host.assert_log_holds_the_state();
}

#[test]
fn a_changed_subscription_moves_the_group_on() {
    let mut host = Host::new(&[("a", 2), ("b", 2)]);
    let mut client = Client::new("m1", &["a"]);
    client.beat(&mut host);
    client.topics = vec!["b".to_owned()];
    client.is_full_due = true;
    client.work(&mut host);
    client.work(&mut host);
    let b = host.topic_id("b");
    assert_eq!(client.owned, [(b, 0), (b, 1)].into());
    assert_eq!(client.epoch, 2);
    host.assert_log_holds_the_state();
}

#[test]
fn a_member_may_subscribe_to_nothing() {
    let mut host = Host::new(&[("t", 1)]);
    let response = host.heartbeat(join("m1", &[]));
    assert_eq!((error(&response), response.member_epoch), (ErrorCode::NONE, 1));
    assert_eq!(response.assignment.expect("a full answer").topic_partitions, []);
}

#[test]
fn five_hundred_members_share_ten_thousand_partitions() {
    let mut host = Host::new(&[("t", 10_000)]);
    for member in 0..500 {
        // Only the last one's target matters here; each of them costs what the last one does.
        let topics: &[&str] = if member < 490 { &[] } else { &["t"] };
        assert_eq!(error(&host.heartbeat(join(&format!("m{member}"), topics))), ErrorCode::NONE);
    }
    let group = host.group().expect("a group");
    let targets: Vec<usize> = group.targets.values().map(super::super::Partitions::count).collect();
    assert_eq!(targets.iter().sum::<usize>(), 10_000);
    assert_eq!(targets.iter().max(), Some(&1_000));
    assert_eq!(GROUP, "g");
}
