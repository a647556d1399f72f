//! Which API is served in which versions, and by whom. One line per API; ApiVersions advertises exactly this table.

use std::ops::RangeInclusive;
use std::rc::Rc;

use bytes::Bytes;
use tidelog_wire::frame::{self, RequestFrame};
use tidelog_wire::{ApiKey, DecodeError, Message, Request};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::api::{self, Api, Context};
use crate::net::{ConnectionInfo, Ticket};
use crate::shard::Shard;

/// One served API.
pub(crate) struct Served {
    pub key: ApiKey,
    pub versions: RangeInclusive<i16>,
    handle: fn(Call),
}

/// Everything that is served, and nothing else is advertised.
pub(crate) static SERVED: &[Served] = &[
    Served { key: ApiKey::Produce, versions: api::produce::VERSIONS, handle: api::produce::handle },
    Served { key: ApiKey::Fetch, versions: api::fetch::VERSIONS, handle: api::fetch::handle },
    answered::<api::list_offsets::ListOffsets>(),
    answered::<api::metadata::Metadata>(),
    answered::<api::offset_commit::OffsetCommit>(),
    answered::<api::offset_fetch::OffsetFetch>(),
    answered::<api::find_coordinator::FindCoordinator>(),
    answered::<api::join_group::JoinGroup>(),
    answered::<api::heartbeat::Heartbeat>(),
    answered::<api::leave_group::LeaveGroup>(),
    answered::<api::sync_group::SyncGroup>(),
    answered::<api::describe_groups::DescribeGroups>(),
    answered::<api::list_groups::ListGroups>(),
    answered::<api::api_versions::ApiVersions>(),
    answered::<api::create_topics::CreateTopics>(),
    answered::<api::delete_topics::DeleteTopics>(),
    answered::<api::delete_records::DeleteRecords>(),
    answered::<api::init_producer_id::InitProducerId>(),
    answered::<api::offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    answered::<api::describe_configs::DescribeConfigs>(),
    answered::<api::alter_replica_log_dirs::AlterReplicaLogDirs>(),
    answered::<api::describe_log_dirs::DescribeLogDirs>(),
    answered::<api::alter_configs::AlterConfigs>(),
    answered::<api::create_partitions::CreatePartitions>(),
    answered::<api::delete_groups::DeleteGroups>(),
    answered::<api::elect_leaders::ElectLeaders>(),
    answered::<api::incremental_alter_configs::IncrementalAlterConfigs>(),
    answered::<api::alter_partition_reassignments::AlterPartitionReassignments>(),
    answered::<api::list_partition_reassignments::ListPartitionReassignments>(),
    answered::<api::offset_delete::OffsetDelete>(),
    answered::<api::describe_quorum::DescribeQuorum>(),
    answered::<api::describe_cluster::DescribeCluster>(),
    answered::<api::unregister_broker::UnregisterBroker>(),
    answered::<api::consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    answered::<api::consumer_group_describe::ConsumerGroupDescribe>(),
    answered::<api::list_config_resources::ListConfigResources>(),
    answered::<api::describe_topic_partitions::DescribeTopicPartitions>(),
];

const fn answered<A: Api>() -> Served {
    Served { key: <A::Request as Request>::KEY, versions: A::VERSIONS, handle: answer::<A> }
}

/// One request on its way to its handler.
pub(crate) struct Call {
    pub context: Context,
    pub frame: RequestFrame,
    pub reply: Reply,
}

/// The duty to answer a request of known version.
pub(crate) struct Reply {
    shard: Rc<Shard>,
    ticket: Ticket,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    arrived: Instant,
}

impl Reply {
    pub(crate) fn send(self, response: &impl Message) {
        let version = self.version;
        self.send_version(response, version);
    }

    /// For the one answer that is not of the request's version (ApiVersions).
    pub(crate) fn send_version(self, response: &impl Message, version: i16) {
        self.shard.metrics.request_answered(self.key, self.arrived.elapsed());
        match frame::encode_response(self.key, version, self.correlation_id, response) {
            Ok(frame) => self.ticket.send(frame),
            Err(reason) => {
                error!(api = self.key.name(), version, %reason, "response cannot be encoded, disconnecting");
                self.ticket.disconnect();
            }
        }
    }

    /// The request asked for no answer (acks=0).
    pub(crate) fn send_nothing(self) {
        self.shard.metrics.request_answered(self.key, self.arrived.elapsed());
        self.ticket.send_nothing();
    }

    /// Ends the connection instead of answering.
    pub(crate) fn disconnect(self) {
        self.ticket.disconnect();
    }
}

impl Call {
    /// The decoded request, or a disconnected peer.
    pub(crate) fn decode<R: Request>(self) -> Option<(Context, R, Reply)> {
        match self.frame.decode::<R>() {
            Ok(request) => Some((self.context, request, self.reply)),
            Err(reason) => {
                refuse(&self.context.shard, &self.context.connection, &reason);
                self.reply.disconnect();
                None
            }
        }
    }
}

/// Handles one frame. Whatever is wrong with it ends in an answer or a disconnect, never in silence.
pub(crate) fn request(shard: &Rc<Shard>, connection: &Rc<ConnectionInfo>, frame: Bytes, ticket: Ticket) {
    let frame = match RequestFrame::parse(frame) {
        Ok(frame) => frame,
        Err(reason) => {
            refuse(shard, connection, &reason);
            return ticket.disconnect();
        }
    };
    let (key, version) = (frame.api_key, frame.api_version);
    let reply = Reply {
        shard: Rc::clone(shard),
        ticket,
        key,
        version,
        correlation_id: frame.correlation_id,
        arrived: Instant::now(),
    };
    match SERVED.iter().find(|served| served.key == key) {
        Some(served) if served.versions.contains(&version) => {
            let client_id = frame.client_id.clone();
            let context = Context { shard: Rc::clone(shard), connection: Rc::clone(connection), version, client_id };
            (served.handle)(Call { context, frame, reply });
        }
        Some(_) if key == ApiKey::ApiVersions => {
            reply.send_version(&api::api_versions::unsupported_version(), 0);
        }
        _ => {
            let schema = key.name();
            refuse(shard, connection, &DecodeError::UnsupportedVersion { schema, version });
            reply.disconnect();
        }
    }
}

fn refuse(shard: &Shard, connection: &ConnectionInfo, reason: &DecodeError) {
    shard.metrics.bad_requests.add(1);
    if let Some(suppressed) = shard.bad_input_log.permit() {
        warn!(peer = %connection.address, %reason, suppressed, "disconnecting");
    }
}

/// Runs an [`Api`] to its answer in a task of its own: it may have to wait for the controller.
fn answer<A: Api>(call: Call) {
    let Some((context, request, reply)) = call.decode::<A::Request>() else {
        return;
    };
    tokio::task::spawn_local(async move {
        let response = A::answer(context, request).await;
        reply.send(&response);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_is_served_once_and_only_in_versions_its_schema_has() {
        for (index, served) in SERVED.iter().enumerate() {
            let schema = served.key.versions();
            assert!(served.versions.end() <= schema.end(), "{}", served.key);
            assert!(SERVED[..index].iter().all(|other| other.key != served.key), "{}", served.key);
        }
    }
}
