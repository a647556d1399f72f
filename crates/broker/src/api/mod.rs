//! One file per API: the versions served, what they mean, and the handler.
//!
//! A handler turns a decoded request into a response. It knows partitions, the image and the controller, and neither
//! sockets, files nor Raft. Adding an API is one file here and one line in [`crate::dispatch`].

use std::ops::RangeInclusive;

pub(crate) use tidelog_metadata::operations::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS};
use tidelog_metadata::{Image, Partition};
use tidelog_wire::Request;
use tidelog_wire::types::BrokerId;

pub(crate) use crate::call::Context;

pub(crate) mod alter_configs;
pub(crate) mod alter_partition_reassignments;
pub(crate) mod alter_replica_log_dirs;
pub(crate) mod api_versions;
mod auto_create;
pub(crate) mod consumer_group_describe;
pub(crate) mod consumer_group_heartbeat;
mod controller;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_quorum;
pub(crate) mod describe_topic_partitions;
pub(crate) mod elect_leaders;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
mod groups;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_config_resources;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_partition_reassignments;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod sasl_handshake;
mod set;
pub(crate) mod sync_group;
pub(crate) mod unregister_broker;

/// One API whose answer is a plain function of its request, however long that takes.
pub(crate) trait Api: 'static {
    type Request: Request + 'static;
    /// Every version in it is served completely.
    const VERSIONS: RangeInclusive<i16>;

    async fn answer(context: Context, request: Self::Request) -> <Self::Request as Request>::Response;
}

/// Brokers as messages name them.
fn broker_ids<'a>(brokers: impl IntoIterator<Item = &'a BrokerId>) -> Vec<i32> {
    brokers.into_iter().map(|broker| broker.get()).collect()
}

/// Replicas whose broker is fenced or not registered.
fn offline_replicas(image: &Image, partition: &Partition) -> Vec<i32> {
    let is_offline = |replica: &&BrokerId| image.broker(**replica).is_none_or(|broker| broker.fenced);
    broker_ids(partition.replicas.iter().filter(is_offline))
}
