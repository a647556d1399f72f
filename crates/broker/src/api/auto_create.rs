//! Creation of topics by asking for them (`auto.create.topics.enable`).

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tidelog_metadata::{CreateOrigin, Image, Request, Response};
use tidelog_wire::messages::CreateTopicsRequest;
use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str};

use crate::coordinator_host::{self, OFFSETS_TOPIC};
use crate::shard::Shard;

/// How long the local image may take to show a topic that was created.
const VISIBLE_WITHIN: Duration = Duration::from_millis(500);
const CREATION_TIMEOUT_MS: i32 = 5_000;

/// Topics that could not be created, and what to tell the client of each.
pub(crate) type Refused = HashMap<Str, ErrorCode>;

/// Creates topics with the defaults for partitions and replication, and waits until this broker sees their leaders, so
/// that the first answer about them is already a useful one.
pub(crate) async fn create(shard: &Rc<Shard>, names: &[Str]) -> Refused {
    let request = CreateTopicsRequest {
        topics: names.iter().map(|name| creatable(shard, name)).collect(),
        timeout_ms: CREATION_TIMEOUT_MS,
        validate_only: false,
    };
    let submitted = shard.controller.submit(Request::CreateTopics { request, origin: CreateOrigin::Broker });
    let refused: Refused = match submitted.await {
        Ok(Response::CreateTopics(response)) => response
            .topics
            .into_iter()
            .filter(|topic| !is_there(topic.error_code))
            .map(|topic| (topic.name, as_metadata_error(topic.error_code)))
            .collect(),
        Ok(_) | Err(_) => names.iter().map(|name| (name.clone(), ErrorCode::LEADER_NOT_AVAILABLE)).collect(),
    };
    let created = names.iter().filter(|name| !refused.contains_key(*name));
    let created: Vec<_> = created.collect();
    let mut images = shard.image_changes();
    let all_led = images.wait_for(|image| created.iter().all(|name| is_led(image, name)));
    let _ = tokio::time::timeout(VISIBLE_WITHIN, all_led).await;
    refused
}

fn creatable(shard: &Shard, name: &Str) -> CreatableTopic {
    match name.as_str() {
        OFFSETS_TOPIC => coordinator_host::creatable(&shard.options.groups),
        _ => CreatableTopic {
            name: name.clone(),
            num_partitions: -1,
            replication_factor: -1,
            ..CreatableTopic::default()
        },
    }
}

fn is_led(image: &Image, topic: &str) -> bool {
    image.topic(topic).is_some_and(|topic| topic.partitions().all(|(_, partition)| partition.leader != BrokerId::NONE))
}

fn is_there(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS)
}

/// What cannot be created *now* looks to clients like a topic that has no leader yet: they ask again.
fn as_metadata_error(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::INVALID_TOPIC_EXCEPTION => code,
        ErrorCode::INVALID_REPLICATION_FACTOR | ErrorCode::POLICY_VIOLATION => code,
        _ => ErrorCode::LEADER_NOT_AVAILABLE,
    }
}
