//! What a client knows of the cluster: addresses of brokers, leaders of partitions. Refreshed when it proves wrong.

use std::collections::HashMap;

use tidelog_wire::messages::metadata_request::MetadataRequestTopic;
use tidelog_wire::messages::metadata_response::MetadataResponseTopic;
use tidelog_wire::messages::{MetadataRequest, MetadataResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use crate::client::Client;
use crate::error::ClientError;

/// Who leads a partition, and since which epoch (-1 if the broker did not say).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    pub node_id: i32,
    pub epoch: i32,
}

/// A topic's partitions by index; `None` has no leader at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLeaders {
    pub topic_id: Uuid,
    pub partitions: Vec<Option<Leader>>,
}

#[derive(Default)]
pub(crate) struct Routes {
    brokers: HashMap<i32, (String, u16)>,
    topics: HashMap<String, TopicLeaders>,
    coordinators: HashMap<String, i32>,
}

impl Routes {
    pub fn address(&self, node_id: i32) -> Option<(String, u16)> {
        self.brokers.get(&node_id).cloned()
    }

    pub fn addresses(&self) -> Vec<(String, u16)> {
        self.brokers.values().cloned().collect()
    }

    pub fn coordinator(&self, group: &str) -> Option<i32> {
        self.coordinators.get(group).copied()
    }

    /// The answer names the address too, so that no metadata need be asked for.
    pub fn learn_coordinator(&mut self, group: &str, node_id: i32, host: &str, port: u16) {
        self.brokers.insert(node_id, (host.to_owned(), port));
        self.coordinators.insert(group.to_owned(), node_id);
    }

    pub fn forget_coordinator(&mut self, group: &str) {
        self.coordinators.remove(group);
    }

    fn learn(&mut self, response: &MetadataResponse) {
        let brokers = response.brokers.iter();
        self.brokers = brokers.map(|broker| (broker.node_id, (broker.host.to_string(), broker.port as u16))).collect();
        for topic in response.topics.iter().filter(|topic| topic.error_code.is_none()) {
            let name = topic.name.as_deref().unwrap_or_default();
            self.topics.insert(name.to_owned(), leaders_of(topic));
        }
    }
}

fn leaders_of(topic: &MetadataResponseTopic) -> TopicLeaders {
    let mut partitions = vec![None; topic.partitions.len()];
    for partition in &topic.partitions {
        let slot = usize::try_from(partition.partition_index).ok();
        let leader = Leader { node_id: partition.leader_id, epoch: partition.leader_epoch };
        if let Some(slot) = slot.and_then(|index| partitions.get_mut(index)) {
            *slot = (leader.node_id >= 0).then_some(leader);
        }
    }
    TopicLeaders { topic_id: topic.topic_id, partitions }
}

impl Client {
    /// Asks for the cluster's metadata; `None` means all topics.
    pub async fn metadata(
        &self,
        topics: Option<&[&str]>,
        allow_auto_topic_creation: bool,
    ) -> Result<MetadataResponse, ClientError> {
        let named =
            |name: &&str| MetadataRequestTopic { name: Some(Str::from((*name).to_owned())), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(named).collect()),
            allow_auto_topic_creation,
            ..Default::default()
        };
        let response = self.ask("cannot read the cluster's metadata", &request).await?;
        self.routes().learn(&response);
        Ok(response)
    }

    /// A topic's leaders as last heard; asks if nothing was heard yet.
    pub async fn leaders(&self, topic: &str, may_create: bool) -> Result<TopicLeaders, ClientError> {
        let known = self.routes().topics.get(topic).cloned();
        match known {
            Some(known) => Ok(known),
            None => self.refreshed_leaders(topic, may_create).await,
        }
    }

    /// Asks again; waits for a topic that is being created.
    pub async fn refreshed_leaders(&self, topic: &str, may_create: bool) -> Result<TopicLeaders, ClientError> {
        let what = format!("cannot find the leaders of topic {topic}");
        self.retrying(&what, || self.ask_leaders(&what, topic, may_create)).await
    }

    async fn ask_leaders(&self, what: &str, topic: &str, may_create: bool) -> Result<TopicLeaders, ClientError> {
        let response = self.metadata(Some(&[topic]), may_create).await?;
        let answer = response.topics.iter().find(|answer| answer.name.as_deref() == Some(topic));
        let code = answer.map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |answer| answer.error_code);
        match answer {
            Some(answer) if code.is_none() => Ok(leaders_of(answer)),
            // It may show a little later only where asking makes it.
            _ if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && !may_create => {
                Err(ClientError::UnknownTopic(topic.to_owned()))
            }
            _ => Err(ClientError::refused(what, code)),
        }
    }

    /// Forgets a topic's leaders after one of them said it is none.
    pub fn forget_leaders(&self, topic: &str) {
        self.routes().topics.remove(topic);
    }
}
