//! Requests that are refused, and with which code.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::ConsumerGroupHeartbeatRequest as Request;

use super::client::{Client, settle};
use super::{Host, error, join, steady};

/// One group of one member, m1, in epoch 1.
fn host() -> Host {
    let mut host = Host::new(&[("t", 2)]);
    host.heartbeat(join("m1", &["t"]));
    host
}

#[test]
fn bad_requests_have_their_codes_and_change_nothing() {
    let ok = join("m2", &["t"]);
    let table = [
        (Request { group_id: "".into(), ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { group_id: " ".into(), ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { member_id: "".into(), ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { instance_id: Some("".into()), ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { rack_id: Some("".into()), ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { rebalance_timeout_ms: -1, ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { topic_partitions: None, ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { topic_partitions: Some(vec![Default::default()]), ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { subscribed_topic_names: None, ..ok.clone() }, ErrorCode::INVALID_REQUEST),
        (Request { server_assignor: Some("best".into()), ..ok.clone() }, ErrorCode::UNSUPPORTED_ASSIGNOR),
        (Request { subscribed_topic_regex: Some("(".into()), ..ok.clone() }, ErrorCode::INVALID_REGULAR_EXPRESSION),
        (steady("m1", -3), ErrorCode::INVALID_REQUEST),
        (steady("m1", -2), ErrorCode::INVALID_REQUEST),
        (steady("m2", 1), ErrorCode::UNKNOWN_MEMBER_ID),
        (steady("m2", -1), ErrorCode::UNKNOWN_MEMBER_ID),
        (steady("m1", 2), ErrorCode::FENCED_MEMBER_EPOCH),
        (Request { group_id: "none".into(), ..steady("m1", 1) }, ErrorCode::UNKNOWN_MEMBER_ID),
        (Request { group_id: "none".into(), ..steady("m1", -1) }, ErrorCode::GROUP_ID_NOT_FOUND),
        (Request { instance_id: Some("i".into()), ..steady("m1", 1) }, ErrorCode::UNKNOWN_MEMBER_ID),
    ];
    let mut host = host();
    let records = host.log.len();
    for (row, (request, expected)) in table.into_iter().enumerate() {
        assert_eq!(error(&host.heartbeat(request)), expected, "row {row}");
        assert_eq!(host.log.len(), records, "row {row}");
    }
    host.assert_log_holds_the_state();
}

#[test]
fn the_epoch_before_is_good_for_a_member_that_has_no_more_than_it_was_given() {
    let mut host = host();
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    settle(&mut host, &mut clients);
    assert_eq!(clients[0].epoch, 2);

    let mut late = clients[0].clone();
    late.epoch = 1;
    late.is_full_due = true;
    let mut greedy = late.clone();
    greedy.owned = clients[1].owned.clone();
    assert_eq!(error(&host.heartbeat(greedy.request())), ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(error(&host.heartbeat(steady("m1", 1))), ErrorCode::FENCED_MEMBER_EPOCH, "does not say what it has");
    let response = host.heartbeat(late.request());
    assert_eq!((error(&response), response.member_epoch), (ErrorCode::NONE, 2));
    assert!(response.assignment.is_some(), "what it missed");
}

#[test]
fn a_fenced_member_rejoins_with_its_id_and_without_partitions() {
    let mut host = host();
    let mut client = Client::new("m1", &["t"]);
    let response = host.heartbeat(steady("m1", 7));
    client.hear(&response);
    client.beat(&mut host);
    assert_eq!((client.epoch, client.owned.len()), (1, 2));
}

#[test]
fn offsets_are_for_members_in_their_epoch() {
    let host = host();
    let group = host.group().expect("a group");
    let commits = [
        ("m1", 1, 9, Ok(())),
        ("m1", 0, 9, Err(ErrorCode::STALE_MEMBER_EPOCH)),
        ("m1", 2, 9, Err(ErrorCode::STALE_MEMBER_EPOCH)),
        ("m1", 1, 8, Err(ErrorCode::UNSUPPORTED_VERSION)),
        ("m2", 1, 9, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
        ("", -1, 9, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
    ];
    for (member_id, epoch, version, expected) in commits {
        assert_eq!(group.may_commit(member_id, epoch, version), expected, "{member_id} {epoch}");
    }
    let fetches = [
        (Some("m1"), 1, Ok(())),
        (Some("m1"), 2, Err(ErrorCode::STALE_MEMBER_EPOCH)),
        (Some("m2"), 1, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
        (None, -1, Ok(())),
    ];
    for (member_id, epoch, expected) in fetches {
        assert_eq!(group.may_fetch(member_id, epoch), expected, "{member_id:?} {epoch}");
    }
}

#[test]
fn administrators_commit_to_an_empty_group() {
    let mut host = host();
    host.heartbeat(steady("m1", -1));
    assert_eq!(host.group().expect("an empty group").may_commit("", -1, 9), Ok(()));
}
