//! Random histories of clients, losses, timeouts, topics and coordinators: whatever happens, no partition has two owners,
//! the log holds the state, and once it is quiet everybody gets a share.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidelog_wire::{ErrorCode, Uuid};

use super::client::{Client, settle};
use super::{Host, SESSION_TIMEOUT_MS, steady};

const CLIENTS: usize = 5;
const TOPICS: [&str; 3] = ["a", "b", "log-c"];

#[derive(Clone, Debug)]
enum Event {
    Beat(usize),
    /// The request arrives, the answer does not.
    LoseAnswer(usize),
    Revoke(usize),
    Leave(usize),
    /// Forgets everything; a static member comes back with its instance id.
    Restart(usize),
    Subscribe(usize, u8),
    Pass(i64),
    Topic(usize, usize),
    DeleteTopic(usize),
    FailOver,
    /// The coordinator dies with requests of these clients in flight: what it decided on the first `committed` of them
    /// is in its successor's log, the rest is not, and nobody hears an answer.
    FailOverMeanwhile {
        clients: Vec<usize>,
        committed: usize,
    },
}

fn any_event() -> impl Strategy<Value = Event> {
    let client = || 0..CLIENTS;
    prop_oneof![
        12 => client().prop_map(Event::Beat),
        6 => client().prop_map(Event::Revoke),
        2 => client().prop_map(Event::LoseAnswer),
        1 => client().prop_map(Event::Leave),
        2 => client().prop_map(Event::Restart),
        2 => (client(), any::<u8>()).prop_map(|(client, mask)| Event::Subscribe(client, mask)),
        2 => (1..SESSION_TIMEOUT_MS).prop_map(Event::Pass),
        1 => (0..TOPICS.len(), 1..6usize).prop_map(|(topic, count)| Event::Topic(topic, count)),
        1 => (0..TOPICS.len()).prop_map(Event::DeleteTopic),
        1 => Just(Event::FailOver),
        1 => (prop::sample::subsequence(vec![0, 1, 2, 3, 4], 1..CLIENTS), 0..CLIENTS)
            .prop_map(|(clients, committed)| Event::FailOverMeanwhile { clients, committed }),
    ]
}

struct World {
    host: Host,
    clients: Vec<Client>,
    restarts: usize,
    /// Who was ever given a partition in an epoch.
    owners: BTreeMap<(Uuid, i32, i32), String>,
}

impl World {
    fn new() -> Self {
        let clients = (0..CLIENTS).map(|client| Client {
            // Two of them are static.
            instance_id: (client < 2).then(|| format!("i{client}")),
            ..Client::new(&format!("m{client}"), &["a"])
        });
        Self { host: Host::new(&[("a", 3)]), clients: clients.collect(), restarts: 0, owners: BTreeMap::new() }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Beat(client) => self.beat(client, true),
            Event::LoseAnswer(client) => self.beat(client, false),
            Event::Revoke(client) => self.clients[client].revoke(),
            Event::Leave(client) => self.leave(client, -1),
            Event::Restart(client) => self.restart(client),
            Event::Subscribe(client, mask) => self.subscribe(client, mask),
            Event::Pass(ms) => self.pass(ms),
            Event::Topic(topic, count) => {
                let before = self.host.topics.partitions_of(TOPICS[topic]);
                self.host.put_topic(TOPICS[topic], count.max(before));
            }
            Event::DeleteTopic(topic) => self.host.delete_topic(TOPICS[topic]),
            Event::FailOver => self.host.fail_over(),
            Event::FailOverMeanwhile { ref clients, committed } => self.fail_over_meanwhile(clients, committed),
        }
    }

    fn beat(&mut self, client: usize, is_answer_heard: bool) {
        let request = self.clients[client].request();
        let response = self.host.heartbeat(request);
        if !is_answer_heard {
            self.clients[client].is_full_due = true;
            return;
        }
        if response.error_code == ErrorCode::UNRELEASED_INSTANCE_ID
            || response.error_code == ErrorCode::FENCED_INSTANCE_ID
        {
            return;
        }
        self.clients[client].hear(&response);
        self.note_owners(client);
    }

    fn fail_over_meanwhile(&mut self, clients: &[usize], committed: usize) {
        for (position, client) in clients.iter().enumerate() {
            let request = self.clients[*client].request();
            let outcome = self.host.decide(request);
            if position < committed {
                self.host.log.extend(outcome.records);
            }
            self.clients[*client].is_full_due = true;
        }
        self.host.fail_over();
    }

    fn note_owners(&mut self, client: usize) {
        let client = &self.clients[client];
        let name = client.instance_id.as_ref().unwrap_or(&client.member_id);
        for (topic, partition) in &client.assigned {
            let owner = self.owners.entry((*topic, *partition, client.epoch)).or_insert_with(|| name.clone());
            assert_eq!(owner, name, "{partition} has two owners in epoch {}", client.epoch);
        }
    }

    fn leave(&mut self, client: usize, epoch: i32) {
        let client = &mut self.clients[client];
        let mut request = steady(&client.member_id, epoch);
        request.instance_id = client.instance_id.clone().map(Into::into);
        self.host.heartbeat(request);
        client.abandon();
    }

    fn restart(&mut self, client: usize) {
        if self.clients[client].instance_id.is_some() {
            self.leave(client, -2);
        }
        self.restarts += 1;
        let client = &mut self.clients[client];
        client.abandon();
        client.member_id = format!("{}-{}", &client.member_id[..2], self.restarts);
    }

    fn subscribe(&mut self, client: usize, mask: u8) {
        let client = &mut self.clients[client];
        let wanted = TOPICS.iter().enumerate().filter(|(topic, _)| mask & (1 << topic) != 0);
        client.topics = wanted.map(|(_, topic)| (*topic).to_owned()).collect();
        client.regex = Some(if mask & 8 != 0 { "log-.*".to_owned() } else { String::new() });
        client.is_full_due = true;
    }

    /// Clients know when they have been silent for too long.
    fn pass(&mut self, ms: i64) {
        self.host.pass(ms);
        let group = self.host.group();
        for client in &mut self.clients {
            let is_member = group.is_some_and(|group| group.members.contains_key(client.member_id.as_str()));
            if !is_member {
                client.abandon();
            }
        }
    }

    fn check(&self) {
        let mut read: BTreeSet<(Uuid, i32)> = BTreeSet::new();
        for client in &self.clients {
            for partition in &client.owned {
                assert!(read.insert(*partition), "two clients read from {partition:?}: {:#?}", self.clients);
            }
        }
        let Some(group) = self.host.group() else { return };
        let mut owned = 0;
        for (member_id, member) in &group.members {
            for partitions in [&member.current.assigned, &member.current.revoking] {
                for (topic, partitions) in partitions.iter() {
                    for partition in partitions {
                        assert_eq!(group.owners.get(&(*topic, *partition)), Some(member_id));
                        owned += 1;
                    }
                }
            }
        }
        assert_eq!(group.owners.len(), owned, "owners are exactly what members have");
    }

    /// Everything that is subscribed to is read by somebody in the end.
    fn check_all_is_read(&mut self) {
        // Members that restarted under other ids time out.
        for _ in 0..3 {
            self.clients.iter_mut().for_each(|client| client.work(&mut self.host));
            self.pass(SESSION_TIMEOUT_MS / 3);
        }
        self.pass(SESSION_TIMEOUT_MS / 2);
        settle(&mut self.host, &mut self.clients);
        self.check();
        for name in self.host.topics.names() {
            let id = self.host.topic_id(&name);
            let is_wanted = |client: &Client| {
                client.topics.iter().any(|topic| name == topic.as_str())
                    || (client.regex.as_deref() == Some("log-.*") && name.starts_with("log-"))
            };
            let is_read = |partition| self.clients.iter().any(|client| client.owned.contains(&(id, partition)));
            if self.clients.iter().any(is_wanted) {
                let partition_count = self.host.topics.partitions_of(&name) as i32;
                assert!((0..partition_count).all(is_read), "somebody reads all of {name}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_partition_has_two_owners_whatever_happens(events in prop::collection::vec(any_event(), 1..80)) {
        let mut world = World::new();
        for (count, event) in events.iter().enumerate() {
            world.happen(event);
            world.check();
            if count % 8 == 0 {
                world.host.assert_log_holds_the_state();
            }
        }
        world.host.assert_log_holds_the_state();
        world.check_all_is_read();
    }
}
