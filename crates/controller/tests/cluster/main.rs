//! The quorum as its users see it: whole nodes with sockets and disks, founded, killed, wiped, restarted.

mod founding;
mod nodes;
mod requests;

use tidelog_metadata::{CreateOrigin, Request, Response};
use tidelog_wire::messages::CreateTopicsRequest;
use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::{ErrorCode, Str};

/// One partition, one replica: enough to see that the metadata works.
pub fn create_topic(name: &str) -> Request {
    let topic = CreatableTopic { name: Str::from(name.to_owned()), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    Request::CreateTopics { request, origin: CreateOrigin::Admin }
}

pub fn error_of(response: &Response) -> ErrorCode {
    match response {
        Response::CreateTopics(response) => response.topics[0].error_code,
        other => panic!("not an answer to CreateTopics: {other:?}"),
    }
}
