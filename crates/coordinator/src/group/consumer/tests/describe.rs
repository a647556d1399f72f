//! What administrators see.

use tidelog_wire::ErrorCode;

use super::client::{Client, settle};
use super::{Host, steady};

#[test]
fn states_follow_the_epochs() {
    let mut host = Host::new(&[("t", 2)]);
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    let described = host.describe();
    assert_eq!(described.error_code, ErrorCode::GROUP_ID_NOT_FOUND);

    clients[0].beat(&mut host);
    assert_eq!(host.describe().group_state, "Stable");
    clients[1].beat(&mut host);
    assert_eq!(host.describe().group_state, "Reconciling");
    settle(&mut host, &mut clients);
    assert_eq!(host.describe().group_state, "Stable");
    host.heartbeat(steady("m1", -1));
    assert_eq!(host.describe().group_state, "Assigning");
    host.heartbeat(steady("m2", -1));
    let described = host.describe();
    assert_eq!((described.group_state.as_str(), described.error_code), ("Empty", ErrorCode::NONE));
    assert_eq!((described.group_epoch, described.assignment_epoch), (4, 2));
}

#[test]
fn members_are_shown_with_what_they_have_and_are_to_have() {
    let mut host = Host::new(&[("t", 2)]);
    host.heartbeat(Client::new("m1", &["t"]).request());
    host.heartbeat(Client::new("m2", &["t"]).request());
    let described = host.describe();
    let [first, second] = &described.members[..] else { panic!("two members: {described:?}") };
    assert_eq!((first.member_id.as_str(), first.client_id.as_str()), ("m1", "client"));
    assert_eq!(first.client_host, "/127.0.0.1");
    assert_eq!((first.member_epoch, second.member_epoch), (1, 2));
    assert_eq!(first.assignment.topic_partitions[0].topic_name, "t");
    assert_eq!(first.assignment.topic_partitions[0].partitions, [0, 1]);
    assert_eq!(first.target_assignment.topic_partitions[0].partitions.len(), 1);
    assert_eq!(second.assignment.topic_partitions, []);
    assert_eq!((first.member_type, described.assignor_name.as_str()), (1, "uniform"));
    assert_eq!(first.subscribed_topic_names, ["t"]);
}
