//! Fields that a version does not have.

use tidelog_wire::messages::fetch_request::{FetchTopic, ReplicaState};
use tidelog_wire::messages::produce_response::{LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse};
use tidelog_wire::messages::{FetchRequest, MetadataRequest, ProduceResponse};
use tidelog_wire::{EncodeError, Message, Reader, Uuid, Writer};

fn encode<M: Message>(message: &M, version: i16) -> Result<Writer, EncodeError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version).map(|()| writer)
}

fn over_the_wire<M: Message>(message: &M, version: i16) -> M {
    let writer = encode(message, version).expect("encodes");
    M::decode(&mut Reader::new(writer.into_bytes()), version).expect("decodes")
}

#[test]
fn an_ignorable_field_is_left_out() {
    let topic = FetchTopic { topic: "t".into(), topic_id: Uuid::ONE, ..Default::default() };
    let request = FetchRequest { topics: vec![topic], ..Default::default() };
    let by_name = &over_the_wire(&request, 12).topics[0];
    assert_eq!((by_name.topic.as_str(), by_name.topic_id), ("t", Uuid::ZERO));
    let by_id = &over_the_wire(&request, 13).topics[0];
    assert_eq!((by_id.topic.as_str(), by_id.topic_id), ("", Uuid::ONE));
}

#[test]
fn a_field_that_would_be_lost_is_an_error() {
    let replica_state = ReplicaState { replica_id: 1, replica_epoch: 2 };
    let request = FetchRequest { replica_state, ..Default::default() };
    assert_eq!(over_the_wire(&request, 15), request);
    let error = EncodeError::FieldNotInVersion { field: "FetchRequest.replica_state", version: 14 };
    assert_eq!(encode(&request, 14).err(), Some(error));
    // As in Kafka, a leader hint is for versions that can carry it, and only for those.
    let current_leader = LeaderIdAndEpoch { leader_id: 1, leader_epoch: 1 };
    let partition = PartitionProduceResponse { current_leader, ..Default::default() };
    let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    assert_eq!(over_the_wire(&response, 10), response);
    let error = EncodeError::FieldNotInVersion { field: "PartitionProduceResponse.current_leader", version: 9 };
    assert_eq!(encode(&response, 9).err(), Some(error));
}

#[test]
fn null_needs_a_version_that_has_it() {
    let all_topics = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(over_the_wire(&all_topics, 1).topics, None);
    let error = EncodeError::NullInVersion { field: "topics", version: 0 };
    assert_eq!(encode(&all_topics, 0).err(), Some(error));
}
