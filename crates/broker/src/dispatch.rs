//! Which API is served in which versions, and by whom. One line per API; ApiVersions advertises exactly this table.

use std::ops::RangeInclusive;
use std::rc::Rc;

use bytes::Bytes;
use tidelog_wire::frame::RequestFrame;
use tidelog_wire::messages::ApiVersionsRequest;
use tidelog_wire::{ApiKey, DecodeError, Request};

use crate::api::{self, Api};
use crate::call::{Call, Context, Reply, refuse};
use crate::net::{ConnectionInfo, Ticket};
use crate::shard::Shard;

/// One served API.
struct Served {
    key: ApiKey,
    versions: RangeInclusive<i16>,
    handle: fn(Call),
}

/// Everything that is served, and nothing else is advertised.
static SERVED: &[Served] = &[
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
    answered::<api::sasl_handshake::SaslHandshake>(),
    Served { key: ApiKey::ApiVersions, versions: api::api_versions::VERSIONS, handle: api_versions },
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

/// Of a request that brings no records: names and numbers, all of which the shard decodes at once.
const BYTES_WITHOUT_RECORDS_MAX: usize = 16 << 20;

/// Handles one frame. Whatever is wrong with it ends in an answer or a disconnect, never in silence.
pub(crate) fn request(shard: &Rc<Shard>, connection: &Rc<ConnectionInfo>, frame: Bytes, ticket: Ticket) {
    let frame_bytes = frame.len();
    let frame = match RequestFrame::parse(frame) {
        Ok(frame) => frame,
        Err(reason) => {
            refuse(shard, connection, &reason);
            return ticket.disconnect();
        }
    };
    #[cfg(debug_assertions)]
    panic_if_asked(shard, frame.client_id.as_deref());
    let (key, version) = (frame.api_key, frame.api_version);
    let reply = Reply::new(shard, ticket, &frame);
    if key != ApiKey::Produce && frame_bytes > BYTES_WITHOUT_RECORDS_MAX {
        refuse(shard, connection, &DecodeError::TooExpensive);
        return reply.disconnect();
    }
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

/// Debug builds panic where a test wants them to, which says so by its client id.
#[cfg(debug_assertions)]
fn panic_if_asked(shard: &Shard, client_id: Option<&str>) {
    match client_id {
        Some("panic in a request") => panic!("a test asked for it"),
        Some("panic in a partition") => {
            let _section = shard.panics.section("a partition");
            panic!("a test asked for it");
        }
        Some("panic in a task") => shard.spawn("a task", async { panic!("a test asked for it") }),
        Some("panic on a disk thread") => drop(shard.disk.run(|| panic!("a test asked for it"))),
        _ => {}
    }
}

/// The one API whose answer is this table.
fn api_versions(call: Call) {
    if let Some((context, request, reply)) = call.decode::<ApiVersionsRequest>() {
        let served = SERVED.iter().map(|served| (served.key, &served.versions));
        reply.send(&api::api_versions::answer(&context, &request, served));
    }
}

/// Runs an [`Api`] to its answer in a task of its own: it may have to wait for the controller.
fn answer<A: Api>(call: Call) {
    let Some((context, request, reply)) = call.decode::<A::Request>() else {
        return;
    };
    let shard = Rc::clone(&context.shard);
    shard.spawn_request(async move {
        reply.room().await;
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
