//! Against the `kafka-protocol` crate, at every version both know: it has to read what the schema says, and
//! write the same bytes, as [`crate::round_trip`] shows the generated code does.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use crate::bytes_of::{Style, bytes_of};
use crate::{codec, for_each_version};

struct Oracle {
    name: &'static str,
    has_version: fn(i16) -> bool,
    /// `None` if it cannot decode the bytes.
    recode: fn(Bytes, i16) -> Option<Bytes>,
}

fn has_version<M: Message>(version: i16) -> bool {
    (M::VERSIONS.min..=M::VERSIONS.max).contains(&version)
}

fn recode<M: Decodable + Encodable>(mut bytes: Bytes, version: i16) -> Option<Bytes> {
    let message = M::decode(&mut bytes, version).ok()?;
    assert!(bytes.is_empty(), "the oracle reads everything");
    let mut encoded = BytesMut::new();
    message.encode(&mut encoded, version).expect("the oracle encodes what it decoded");
    Some(encoded.freeze())
}

macro_rules! oracles {
    ($($name:ident)*) => {
        const ORACLES: &[Oracle] = &[$(Oracle {
            name: stringify!($name),
            has_version: has_version::<$name>,
            recode: recode::<$name>,
        }),*];
    };
}

oracles! {
    AddOffsetsToTxnRequest AddOffsetsToTxnResponse AddPartitionsToTxnRequest
    AddPartitionsToTxnResponse AddRaftVoterRequest AddRaftVoterResponse AlterClientQuotasRequest
    AlterClientQuotasResponse AlterConfigsRequest AlterConfigsResponse
    AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse
    AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse AlterShareGroupOffsetsRequest
    AlterShareGroupOffsetsResponse AlterUserScramCredentialsRequest
    AlterUserScramCredentialsResponse ApiVersionsRequest ApiVersionsResponse
    ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse ConsumerGroupHeartbeatRequest
    ConsumerGroupHeartbeatResponse ConsumerProtocolAssignment ConsumerProtocolSubscription
    CreateAclsRequest CreateAclsResponse CreateDelegationTokenRequest
    CreateDelegationTokenResponse CreatePartitionsRequest CreatePartitionsResponse
    CreateTopicsRequest CreateTopicsResponse DeleteAclsRequest DeleteAclsResponse
    DeleteGroupsRequest DeleteGroupsResponse DeleteRecordsRequest DeleteRecordsResponse
    DeleteShareGroupOffsetsRequest DeleteShareGroupOffsetsResponse DeleteShareGroupStateRequest
    DeleteShareGroupStateResponse DeleteTopicsRequest DeleteTopicsResponse DescribeAclsRequest
    DescribeAclsResponse DescribeClientQuotasRequest DescribeClientQuotasResponse
    DescribeClusterRequest DescribeClusterResponse DescribeConfigsRequest
    DescribeConfigsResponse DescribeDelegationTokenRequest DescribeDelegationTokenResponse
    DescribeGroupsRequest DescribeGroupsResponse DescribeLogDirsRequest DescribeLogDirsResponse
    DescribeProducersRequest DescribeProducersResponse DescribeQuorumRequest
    DescribeQuorumResponse DescribeShareGroupOffsetsRequest DescribeShareGroupOffsetsResponse
    DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse DescribeTransactionsRequest
    DescribeTransactionsResponse DescribeUserScramCredentialsRequest
    DescribeUserScramCredentialsResponse ElectLeadersRequest ElectLeadersResponse EndTxnMarker
    EndTxnRequest EndTxnResponse ExpireDelegationTokenRequest ExpireDelegationTokenResponse
    FetchRequest FetchResponse FindCoordinatorRequest FindCoordinatorResponse
    GetTelemetrySubscriptionsRequest GetTelemetrySubscriptionsResponse HeartbeatRequest
    HeartbeatResponse IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse
    InitProducerIdRequest InitProducerIdResponse InitializeShareGroupStateRequest
    InitializeShareGroupStateResponse JoinGroupRequest JoinGroupResponse LeaveGroupRequest
    LeaveGroupResponse ListConfigResourcesRequest ListConfigResourcesResponse ListGroupsRequest
    ListGroupsResponse ListOffsetsRequest ListOffsetsResponse ListPartitionReassignmentsRequest
    ListPartitionReassignmentsResponse ListTransactionsRequest ListTransactionsResponse
    MetadataRequest MetadataResponse OffsetCommitRequest OffsetCommitResponse
    OffsetDeleteRequest OffsetDeleteResponse OffsetFetchRequest OffsetFetchResponse
    OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse ProduceRequest ProduceResponse
    PushTelemetryRequest PushTelemetryResponse ReadShareGroupStateRequest
    ReadShareGroupStateResponse ReadShareGroupStateSummaryRequest
    ReadShareGroupStateSummaryResponse RemoveRaftVoterRequest RemoveRaftVoterResponse
    RenewDelegationTokenRequest RenewDelegationTokenResponse RequestHeader ResponseHeader
    SaslAuthenticateRequest SaslAuthenticateResponse SaslHandshakeRequest SaslHandshakeResponse
    ShareAcknowledgeRequest ShareAcknowledgeResponse ShareFetchRequest ShareFetchResponse
    ShareGroupDescribeRequest ShareGroupDescribeResponse ShareGroupHeartbeatRequest
    ShareGroupHeartbeatResponse SyncGroupRequest SyncGroupResponse TxnOffsetCommitRequest
    TxnOffsetCommitResponse UnregisterBrokerRequest UnregisterBrokerResponse
    UpdateFeaturesRequest UpdateFeaturesResponse WriteShareGroupStateRequest
    WriteShareGroupStateResponse WriteTxnMarkersRequest WriteTxnMarkersResponse
}

/// Messages that the other crate does not have.
const WITHOUT_ORACLE: &[&str] = &[
    "ConsumerGroupCurrentMemberAssignmentKey",
    "ConsumerGroupCurrentMemberAssignmentValue",
    "ConsumerGroupMemberMetadataKey",
    "ConsumerGroupMemberMetadataValue",
    "ConsumerGroupMetadataKey",
    "ConsumerGroupMetadataValue",
    "ConsumerGroupPartitionMetadataKey",
    "ConsumerGroupPartitionMetadataValue",
    "ConsumerGroupRegularExpressionKey",
    "ConsumerGroupRegularExpressionValue",
    "ConsumerGroupTargetAssignmentMemberKey",
    "ConsumerGroupTargetAssignmentMemberValue",
    "ConsumerGroupTargetAssignmentMetadataKey",
    "ConsumerGroupTargetAssignmentMetadataValue",
    "ControlRecordTypeSchema",
    "GroupMetadataKey",
    "GroupMetadataValue",
    "LegacyOffsetCommitKey",
    "LegacyOffsetCommitValue",
    "OffsetCommitKey",
    "OffsetCommitValue",
    "StreamsGroupDescribeRequest",
    "StreamsGroupDescribeResponse",
    "StreamsGroupHeartbeatRequest",
    "StreamsGroupHeartbeatResponse",
    "TransactionLogKey",
    "TransactionLogValue",
];

#[test]
fn both_codecs_agree() {
    let mut compared = 0;
    for_each_version(10, |message, version, random| {
        let name = &message.root().name;
        let Some(oracle) = ORACLES.iter().find(|oracle| oracle.name == name) else {
            assert!(WITHOUT_ORACLE.contains(&name.as_str()), "{name} is in neither list");
            return;
        };
        if !(oracle.has_version)(version) {
            return;
        }
        let bytes = Bytes::from(bytes_of(message, version, random, Style::default()));
        let ours = (codec(name).recode)(bytes.clone(), version);
        let ours = ours.unwrap_or_else(|error| panic!("{name} {version}: {error}")).encoded;
        let theirs = (oracle.recode)(bytes.clone(), version);
        assert_eq!(theirs.as_ref(), Some(&bytes), "{name} {version}");
        assert_eq!(ours.ok(), theirs, "{name} {version}");
        compared += 1;
    });
    assert!(compared > 3000, "only {compared} comparisons");
}
