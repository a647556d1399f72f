//! CreateTopics. Each topic of a request is created or refused by itself.

use std::collections::BTreeMap;

use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use tidelog_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::new_topic::PARTITIONS_MAX;
use super::room::TOO_MUCH_AT_ONCE;
use super::{Context, Round};
use crate::config::{ConfigEntry, Resolver, describe_topic};
use crate::request::CreateOrigin;
use crate::response::RequestError;

/// Topics that one request of a broker for itself creates; whoever waits for the others asks again.
const AUTO_CREATED_MAX: usize = 1000;
/// Of the topics' configs in one answer.
const CONFIGS_BYTES_MAX: usize = 512 << 10;

impl Round {
    pub(super) fn create_topics(
        &mut self,
        request: &CreateTopicsRequest,
        origin: CreateOrigin,
        context: &mut Context<'_>,
    ) -> CreateTopicsResponse {
        if request.validate_only {
            // Judged as if created, one after the other, on a round that nobody proposes.
            let mut round = self.clone();
            let mut response = round.create_each(&request.topics, origin, context);
            describe_created(&mut response, &round.resolver(context));
            response.topics.iter_mut().for_each(|topic| topic.topic_id = Uuid::ZERO);
            return response;
        }
        self.create_each(&request.topics, origin, context)
    }

    fn create_each(
        &mut self,
        topics: &[CreatableTopic],
        origin: CreateOrigin,
        context: &mut Context<'_>,
    ) -> CreateTopicsResponse {
        let mut mentions: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in topics {
            *mentions.entry(topic.name.as_str()).or_default() += 1;
        }
        let mut allowance = Allowance::new(origin);
        let mut results = Vec::with_capacity(mentions.len());
        for topic in topics {
            match mentions.remove(topic.name.as_str()) {
                Some(1) => results.push(match self.create_one(topic, origin, &mut allowance, context) {
                    Ok(result) => result,
                    Err(error) => refused(&topic.name, error),
                }),
                Some(_) => {
                    let error = RequestError::new(ErrorCode::INVALID_REQUEST, "the request names the topic twice");
                    results.push(refused(&topic.name, error));
                }
                None => {}
            }
        }
        CreateTopicsResponse { topics: results, ..CreateTopicsResponse::default() }
    }

    fn create_one(
        &mut self,
        topic: &CreatableTopic,
        origin: CreateOrigin,
        allowance: &mut Allowance,
        context: &mut Context<'_>,
    ) -> Result<CreatableTopicResult, RequestError> {
        self.check_room()?;
        allowance.take(self.partitions_asked(topic, context))?;
        let new = self.plan_topic(topic, origin, context)?;
        let topic_id = context.random_uuid();
        let records = new.records(topic_id, &self.image);
        self.push_all(records);
        Ok(CreatableTopicResult {
            name: new.name.clone(),
            topic_id,
            error_message: None,
            num_partitions: new.replicas.len() as i32,
            replication_factor: new.replication_factor() as i16,
            configs: None,
            ..CreatableTopicResult::default()
        })
    }
}

/// What one request may still create. A topic that cannot be created takes from it too: looking at it is work.
struct Allowance {
    topics: usize,
    partitions: usize,
    /// A client hears that it asks too much; a broker asks again.
    refusal: (ErrorCode, &'static str),
}

impl Allowance {
    fn new(origin: CreateOrigin) -> Self {
        let partitions = PARTITIONS_MAX;
        match origin {
            CreateOrigin::Admin => {
                let refusal = (ErrorCode::POLICY_VIOLATION, "a request may create at most 10000 partitions");
                Self { topics: PARTITIONS_MAX, partitions, refusal }
            }
            CreateOrigin::Broker => {
                let refusal = (ErrorCode::THROTTLING_QUOTA_EXCEEDED, TOO_MUCH_AT_ONCE);
                Self { topics: AUTO_CREATED_MAX, partitions, refusal }
            }
        }
    }

    fn take(&mut self, partitions: usize) -> Result<(), RequestError> {
        match (self.topics.checked_sub(1), self.partitions.checked_sub(partitions)) {
            (Some(topics), Some(partitions)) => {
                (self.topics, self.partitions) = (topics, partitions);
                Ok(())
            }
            _ => Err(RequestError::new(self.refusal.0, self.refusal.1)),
        }
    }
}

/// Fills in the configs of the topics that were created (KIP-525), once they are: they need not be kept with the answer.
/// They are a hundred times as long as a topic's name, so beyond a bound the answer says that it does not have them.
pub fn describe_created(response: &mut CreateTopicsResponse, resolver: &Resolver<'_>) {
    let mut bytes_left = CONFIGS_BYTES_MAX;
    let is_bare = |topic: &&mut CreatableTopicResult| topic.error_code == ErrorCode::NONE && topic.configs.is_none();
    for result in response.topics.iter_mut().filter(is_bare) {
        result.configs = Some(Vec::new());
        if bytes_left == 0 {
            result.topic_config_error_code = ErrorCode::POLICY_VIOLATION;
        } else if let Some(topic) = resolver.image.topic_by_id(result.topic_id) {
            let configs: Vec<_> = describe_topic(resolver, topic).into_iter().map(shown).collect();
            let bytes: usize = configs.iter().map(size_of_config).sum();
            bytes_left = bytes_left.saturating_sub(bytes);
            result.configs = Some(configs);
        }
    }
}

fn size_of_config(config: &CreatableTopicConfigs) -> usize {
    config.name.as_bytes().len() + config.value.as_ref().map_or(0, |value| value.as_bytes().len()) + 4
}

fn shown(entry: ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
    }
}

fn refused(name: &Str, error: RequestError) -> CreatableTopicResult {
    let (error_code, error_message) = error.into_fields();
    CreatableTopicResult { name: name.clone(), error_code, error_message, ..CreatableTopicResult::default() }
}
