//! Members with an instance id.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::ConsumerGroupHeartbeatRequest as Request;

use super::client::{Client, settle};
use super::{Host, SESSION_TIMEOUT_MS, error};

fn client(member_id: &str, instance_id: &str) -> Client {
    Client { instance_id: Some(instance_id.to_owned()), ..Client::new(member_id, &["t"]) }
}

fn leave(client: &Client, epoch: i32) -> Request {
    Request { member_epoch: epoch, topic_partitions: None, ..client.request() }
}

fn settled() -> (Host, [Client; 2]) {
    let mut host = Host::new(&[("t", 4)]);
    let mut clients = [client("m1", "i1"), client("m2", "i2")];
    settle(&mut host, &mut clients);
    (host, clients)
}

#[test]
fn a_restart_moves_nothing() {
    let (mut host, mut clients) = settled();
    let response = host.heartbeat(leave(&clients[0], -2));
    assert_eq!((error(&response), response.member_epoch), (ErrorCode::NONE, -2));
    clients[1].beat(&mut host);
    assert_eq!(clients[1].owned.len(), 2, "the place is kept");
    host.assert_log_holds_the_state();

    let mut restarted = client("m1-again", "i1");
    restarted.beat(&mut host);
    assert_eq!(restarted.owned, clients[0].owned);
    assert_eq!(restarted.epoch, clients[0].epoch, "no new group epoch");
    clients[1].beat(&mut host);
    assert_eq!(clients[1].epoch, restarted.epoch);
    assert_eq!(error(&host.heartbeat(clients[0].request())), ErrorCode::FENCED_INSTANCE_ID);
    host.assert_log_holds_the_state();
}

#[test]
fn who_does_not_come_back_in_time_is_out() {
    let (mut host, mut clients) = settled();
    host.heartbeat(leave(&clients[0], -2));
    host.pass(SESSION_TIMEOUT_MS - 1);
    clients[1].beat(&mut host);
    assert_eq!(clients[1].owned.len(), 2);
    host.pass(1);
    clients[1].beat(&mut host);
    assert_eq!(clients[1].owned.len(), 4);
    host.assert_log_holds_the_state();
}

#[test]
fn an_instance_that_is_there_cannot_be_replaced() {
    let (mut host, clients) = settled();
    let response = host.heartbeat(client("m3", "i1").request());
    assert_eq!(error(&response), ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(error(&host.heartbeat(clients[0].request())), ErrorCode::NONE);
}

#[test]
fn an_instance_id_that_its_member_does_not_use_any_more_is_free() {
    let (mut host, clients) = settled();
    let renamed = Client { instance_id: Some("i9".to_owned()), ..client("m1", "i1") };
    assert_eq!(error(&host.heartbeat(renamed.request())), ErrorCode::NONE);
    assert_eq!(error(&host.heartbeat(client("m3", "i1").request())), ErrorCode::NONE);
    assert_eq!(error(&host.heartbeat(clients[0].request())), ErrorCode::FENCED_INSTANCE_ID);
    host.assert_log_holds_the_state();
}

#[test]
fn the_same_member_may_join_again() {
    let (mut host, clients) = settled();
    let mut fresh = client("m1", "i1");
    fresh.beat(&mut host);
    assert_eq!(fresh.owned, clients[0].owned);
}

#[test]
fn a_static_member_that_leaves_for_good_is_out() {
    let (mut host, mut clients) = settled();
    host.heartbeat(leave(&clients[0], -1));
    clients[1].beat(&mut host);
    assert_eq!(clients[1].owned.len(), 4);
    assert_eq!(error(&host.heartbeat(clients[0].request())), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn what_an_absent_member_was_to_give_up_is_free() {
    let mut host = Host::new(&[("t", 2)]);
    let mut first = client("m1", "i1");
    let mut second = client("m2", "i2");
    first.beat(&mut host);
    second.beat(&mut host);
    first.beat(&mut host);
    host.heartbeat(leave(&first, -2));
    second.beat(&mut host);
    assert_eq!(second.owned.len(), 1);
    host.assert_log_holds_the_state();
}
