//! DeleteTopics, by name or by id (KIP-516).

use std::collections::BTreeSet;

use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::delete_topics_response::DeletableTopicResult;
use tidelog_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::{Context, Round};
use crate::record::Record;
use crate::response::RequestError;

impl Round {
    /// Takes `topics` and, from versions that have only those, `topic_names`.
    pub(super) fn delete_topics(
        &mut self,
        request: &DeleteTopicsRequest,
        context: &Context<'_>,
    ) -> DeleteTopicsResponse {
        let by_name = |name: &Str| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
        let states = request.topics.iter().cloned().chain(request.topic_names.iter().map(by_name));
        let enabled = self.config(context).delete_topic_enable;
        let mut deleted = BTreeSet::new();
        let responses = states.map(|state| self.answer_deletion(state, enabled, &mut deleted)).collect();
        DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
    }

    fn answer_deletion(
        &mut self,
        state: DeleteTopicState,
        enabled: bool,
        deleted: &mut BTreeSet<Uuid>,
    ) -> DeletableTopicResult {
        match self.delete_one(&state, enabled, deleted) {
            Ok((name, topic_id)) => {
                DeletableTopicResult { name: Some(name), topic_id, ..DeletableTopicResult::default() }
            }
            Err(error) => {
                let (error_code, error_message) = error.into_fields();
                DeletableTopicResult { name: state.name, topic_id: state.topic_id, error_code, error_message }
            }
        }
    }

    fn delete_one(
        &mut self,
        state: &DeleteTopicState,
        enabled: bool,
        deleted: &mut BTreeSet<Uuid>,
    ) -> Result<(Str, Uuid), RequestError> {
        let refuse = |code, message: &str| Err(RequestError::new(code, message));
        let topic = match (&state.name, state.topic_id) {
            (None, Uuid::ZERO) => return refuse(ErrorCode::INVALID_REQUEST, "neither topic name nor topic id is set"),
            (Some(_), topic_id) if !topic_id.is_zero() => {
                return refuse(ErrorCode::INVALID_REQUEST, "a topic is named by name or by id, not by both");
            }
            (Some(name), _) => self.image.topic(name),
            (None, topic_id) if deleted.contains(&topic_id) => {
                return refuse(ErrorCode::INVALID_REQUEST, "the request names the topic twice");
            }
            (None, topic_id) => self.image.topic_by_id(topic_id),
        };
        if !enabled {
            return refuse(ErrorCode::TOPIC_DELETION_DISABLED, "delete.topic.enable is false");
        }
        let Some(topic) = topic else {
            return match &state.name {
                Some(_) => refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no such topic"),
                None => refuse(ErrorCode::UNKNOWN_TOPIC_ID, "no topic has this id"),
            };
        };
        let (name, topic_id) = (topic.name.clone(), topic.id);
        self.check_room()?;
        self.push(Record::RemoveTopic { topic_id });
        deleted.insert(topic_id);
        Ok((name, topic_id))
    }
}
