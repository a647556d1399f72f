//! CreateTopics. Each topic of a request is created or refused by itself.

use std::collections::BTreeMap;

use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use tidelog_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::new_topic::{NewTopic, PARTITIONS_MAX};
use super::{Context, Round};
use crate::config::{ConfigEntry, describe_topic};
use crate::request::CreateOrigin;
use crate::response::RequestError;

impl Round {
    pub(super) fn create_topics(
        &mut self,
        request: &CreateTopicsRequest,
        origin: CreateOrigin,
        context: &mut Context<'_>,
    ) -> CreateTopicsResponse {
        if request.validate_only {
            // Judged as if created, one after the other, on a round that nobody proposes.
            return self.clone().create_each(&request.topics, origin, context, |_| Uuid::ZERO);
        }
        self.create_each(&request.topics, origin, context, |topic_id| topic_id)
    }

    fn create_each(
        &mut self,
        topics: &[CreatableTopic],
        origin: CreateOrigin,
        context: &mut Context<'_>,
        shown_id: fn(Uuid) -> Uuid,
    ) -> CreateTopicsResponse {
        let mut mentions: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in topics {
            *mentions.entry(topic.name.as_str()).or_default() += 1;
        }
        let mut partitions_left = PARTITIONS_MAX;
        let mut results = Vec::with_capacity(mentions.len());
        for topic in topics {
            match mentions.remove(topic.name.as_str()) {
                Some(1) => results.push(match self.create_one(topic, origin, &mut partitions_left, context) {
                    Ok(result) => CreatableTopicResult { topic_id: shown_id(result.topic_id), ..result },
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
        partitions_left: &mut usize,
        context: &mut Context<'_>,
    ) -> Result<CreatableTopicResult, RequestError> {
        let asked = usize::try_from(topic.num_partitions).unwrap_or(topic.assignments.len());
        let Some(left) = partitions_left.checked_sub(asked) else {
            let message = format!("a request may create at most {PARTITIONS_MAX} partitions");
            return Err(RequestError::new(ErrorCode::POLICY_VIOLATION, message));
        };
        let new = self.plan_topic(topic, origin, context)?;
        *partitions_left = left;
        let topic_id = context.random_uuid();
        let records = new.records(topic_id, &self.image);
        self.push_all(records);
        Ok(self.created(&new, topic_id, context))
    }

    fn created(&self, new: &NewTopic, topic_id: Uuid, context: &Context<'_>) -> CreatableTopicResult {
        let entries = match self.image.topic_by_id(topic_id) {
            Some(topic) => describe_topic(&self.resolver(context), topic),
            None => Vec::new(),
        };
        CreatableTopicResult {
            name: new.name.clone(),
            topic_id,
            error_message: None,
            num_partitions: new.replicas.len() as i32,
            replication_factor: new.replication_factor() as i16,
            configs: Some(entries.into_iter().map(shown).collect()),
            ..CreatableTopicResult::default()
        }
    }
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
