//! A well-behaved consumer: takes what it is given, gives up what it is asked to, and says so.

use std::collections::BTreeSet;

use tidelog_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use tidelog_wire::{ErrorCode, Uuid};

use super::{Host, join, steady};

#[derive(Clone, Debug)]
pub struct Client {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub epoch: i32,
    /// What it reads from.
    pub owned: BTreeSet<(Uuid, i32)>,
    /// What it has been told to read from, once it has given up the rest.
    pub assigned: BTreeSet<(Uuid, i32)>,
    /// An answer was lost, or something changed: the next request says everything.
    pub is_full_due: bool,
}

impl Client {
    pub fn new(member_id: &str, topics: &[&str]) -> Self {
        Self {
            member_id: member_id.to_owned(),
            instance_id: None,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            regex: None,
            epoch: 0,
            owned: BTreeSet::new(),
            assigned: BTreeSet::new(),
            is_full_due: false,
        }
    }

    pub fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let instance_id = self.instance_id.clone().map(Into::into);
        let full = ConsumerGroupHeartbeatRequest {
            member_epoch: self.epoch,
            instance_id: instance_id.clone(),
            subscribed_topic_regex: self.regex.clone().map(Into::into),
            topic_partitions: Some(self.topic_partitions()),
            ..join(&self.member_id, &topics)
        };
        match self.epoch == 0 || self.is_full_due {
            true => full,
            false => ConsumerGroupHeartbeatRequest {
                instance_id,
                topic_partitions: Some(self.topic_partitions())
                    .filter(|_| self.owned != self.assigned || self.epoch > 0),
                ..steady(&self.member_id, self.epoch)
            },
        }
    }

    fn topic_partitions(&self) -> Vec<TopicPartitions> {
        let each = self.owned.iter();
        each.map(|(topic_id, partition)| TopicPartitions { topic_id: *topic_id, partitions: vec![*partition] })
            .collect()
    }

    pub fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        match response.error_code {
            ErrorCode::NONE => {}
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID => return self.abandon(),
            other => panic!("{other}: {:?}", response.error_message),
        }
        self.epoch = response.member_epoch;
        self.is_full_due = false;
        if let Some(assignment) = &response.assignment {
            self.assigned = assignment
                .topic_partitions
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, *partition)))
                .collect();
        }
        // Giving up is asked for at once and takes until `revoke`; new partitions may be read from at once.
        let is_revoking = self.owned.iter().any(|partition| !self.assigned.contains(partition));
        if !is_revoking {
            self.owned = self.assigned.clone();
        }
    }

    /// Finishes giving up what is no longer assigned.
    pub fn revoke(&mut self) {
        self.owned = self.assigned.clone();
    }

    pub fn abandon(&mut self) {
        self.epoch = 0;
        self.owned.clear();
        self.assigned.clear();
    }

    pub fn beat(&mut self, host: &mut Host) {
        let response = host.heartbeat(self.request());
        self.hear(&response);
    }

    /// Beats and revokes at once.
    pub fn work(&mut self, host: &mut Host) {
        self.beat(host);
        self.revoke();
    }
}

/// Until nobody's assignment changes any more.
pub fn settle(host: &mut Host, clients: &mut [Client]) {
    for _ in 0..30 {
        let before = clients.to_vec();
        for client in clients.iter_mut() {
            client.work(host);
        }
        let is_same = |(now, before): (&Client, &Client)| now.epoch == before.epoch && now.owned == before.owned;
        if clients.iter().zip(&before).all(is_same) {
            return;
        }
    }
    panic!("the group does not settle: {clients:#?}");
}
