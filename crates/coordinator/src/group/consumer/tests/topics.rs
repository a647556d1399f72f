//! Topics that come, grow, go and come again; subscriptions by regular expression.

use super::Host;
use super::client::{Client, settle};

fn subscriber(member_id: &str, regex: &str) -> Client {
    Client { regex: Some(regex.to_owned()), ..Client::new(member_id, &[]) }
}

#[test]
fn a_topic_that_comes_later_is_shared_from_then_on() {
    let mut host = Host::new(&[]);
    let mut client = Client::new("m1", &["t"]);
    client.beat(&mut host);
    assert_eq!((client.epoch, client.owned.len()), (1, 0));
    host.put_topic("t", 2);
    client.beat(&mut host);
    assert_eq!((client.epoch, client.owned.len()), (2, 2));
    host.assert_log_holds_the_state();
}

#[test]
fn new_partitions_are_shared_and_old_ones_stay() {
    let mut host = Host::new(&[("t", 2)]);
    let mut clients = [Client::new("m1", &["t"]), Client::new("m2", &["t"])];
    settle(&mut host, &mut clients);
    let before = clients.clone();
    host.put_topic("t", 4);
    settle(&mut host, &mut clients);
    for (client, before) in clients.iter().zip(&before) {
        assert_eq!(client.owned.len(), 2);
        assert!(client.owned.is_superset(&before.owned));
    }
}

#[test]
fn other_topics_do_not_concern_the_group() {
    let mut host = Host::new(&[("t", 2)]);
    let mut client = Client::new("m1", &["t"]);
    client.beat(&mut host);
    let records = host.log.len();
    host.put_topic("other", 2);
    client.beat(&mut host);
    assert_eq!((client.epoch, host.log.len()), (1, records));
}

#[test]
fn a_deleted_topic_is_given_up_and_one_made_anew_is_another() {
    let mut host = Host::new(&[("t", 2), ("u", 1)]);
    let old = host.topic_id("t");
    let mut client = Client::new("m1", &["t", "u"]);
    client.beat(&mut host);
    host.delete_topic("t");
    client.work(&mut host);
    assert_eq!(client.owned.len(), 1);
    let new = host.put_topic("t", 2);
    assert_ne!(new, old);
    client.work(&mut host);
    client.work(&mut host);
    assert!(client.owned.contains(&(new, 1)));
    assert!(!client.owned.contains(&(old, 1)));
    host.assert_log_holds_the_state();
}

#[test]
fn topics_that_changed_while_nobody_coordinated_are_noticed() {
    let mut host = Host::new(&[("t", 1)]);
    let mut client = Client::new("m1", &["t"]);
    client.beat(&mut host);
    host.topics.resize("t", 3);
    client.beat(&mut host);
    assert_eq!(client.owned.len(), 1, "nobody said so");
    host.fail_over();
    client.beat(&mut host);
    assert_eq!(client.owned.len(), 3);
}

#[test]
fn a_pattern_takes_in_topics_that_match_also_later() {
    let mut host = Host::new(&[("log-a", 1), ("other", 1)]);
    let mut client = subscriber("m1", "log-.*");
    client.beat(&mut host);
    assert_eq!(client.owned, [(host.topic_id("log-a"), 0)].into());
    host.put_topic("log-b", 1);
    host.put_topic("no-log-c", 1);
    client.beat(&mut host);
    assert_eq!(client.owned, [(host.topic_id("log-a"), 0), (host.topic_id("log-b"), 0)].into());
    assert!(host.group().expect("a group").is_subscribed_to("log-b"));
    host.delete_topic("log-a");
    client.work(&mut host);
    assert_eq!(client.owned.len(), 1);
    host.assert_log_holds_the_state();
}

#[test]
fn a_pattern_is_forgotten_with_its_last_subscriber() {
    let mut host = Host::new(&[("log-a", 2)]);
    let mut clients = [subscriber("m1", "log-.*"), subscriber("m2", "log-.*")];
    settle(&mut host, &mut clients);
    clients[0].regex = Some(String::new());
    clients[0].topics = vec!["log-a".to_owned()];
    clients[0].is_full_due = true;
    settle(&mut host, &mut clients);
    assert_eq!(host.group().expect("a group").regexes.len(), 1);
    host.heartbeat(super::steady("m2", -1));
    assert_eq!(host.group().expect("a group").regexes.len(), 0);
    host.assert_log_holds_the_state();
}

#[test]
fn names_and_a_pattern_add_up() {
    let mut host = Host::new(&[("log-a", 1), ("extra", 1)]);
    let mut client = Client { topics: vec!["extra".to_owned()], ..subscriber("m1", "log-.*") };
    client.beat(&mut host);
    assert_eq!(client.owned.len(), 2);
}
