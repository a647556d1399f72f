//! Group requests on bare connections.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tidelog_client::{ConnectOptions, Connection};
use tidelog_cluster_tests::Cluster;
use tidelog_wire::messages::metadata_request::MetadataRequestTopic;
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::{FindCoordinatorRequest, MetadataRequest, OffsetCommitRequest};
use tidelog_wire::{ErrorCode, Str, Uuid};
use tokio::time::{Instant, sleep};

const RETRY_AFTER: Duration = Duration::from_millis(5);

/// Runs a benchmark's asynchronous part.
pub fn block_on<T>(body: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(body)
}

async fn connect(address: &str) -> Result<Connection> {
    let (host, port) = address.rsplit_once(':').context("an address")?;
    Ok(Connection::connect(host, port.parse()?, &ConnectOptions::default()).await?)
}

/// A connection to the group's coordinator, found anew until there is one that can be reached.
pub async fn connect_to_coordinator(cluster: &Cluster, group: &str, within: Duration) -> Result<Connection> {
    let deadline = Instant::now() + within;
    loop {
        for id in cluster.ids().filter(|id| cluster.is_running(*id)) {
            if let Ok(connection) = try_coordinator(&cluster.address(id), group).await {
                return Ok(connection);
            }
        }
        if Instant::now() > deadline {
            bail!("no coordinator of {group} within {within:?}");
        }
        sleep(RETRY_AFTER).await;
    }
}

async fn try_coordinator(address: &str, group: &str) -> Result<Connection> {
    let key = Str::from(group.to_owned());
    let request = FindCoordinatorRequest { coordinator_keys: vec![key], ..FindCoordinatorRequest::default() };
    let response = connect(address).await?.send(&request).await?;
    let found = response.coordinators.first().context("an answer about no group")?;
    if found.error_code != ErrorCode::NONE {
        bail!("no coordinator: {:?}", found.error_code);
    }
    connect(&format!("{}:{}", found.host, found.port)).await
}

pub async fn topic_id(cluster: &Cluster, topic: &str) -> Result<Uuid> {
    let name = Some(Str::from(topic.to_owned()));
    let asked = MetadataRequestTopic { name, ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![asked]), ..MetadataRequest::default() };
    let response = connect(&cluster.address(1)).await?.send(&request).await?;
    Ok(response.topics.first().context("an answer about no topic")?.topic_id)
}

/// A commit of `offset` to partitions 0 to `partitions`, as an administrator or a consumer without members makes it.
pub fn commit(group: &str, topic: &str, topic_id: Uuid, partitions: i32, offset: i64) -> OffsetCommitRequest {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(Str::default()),
        ..OffsetCommitRequestPartition::default()
    };
    OffsetCommitRequest {
        group_id: Str::from(group.to_owned()),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: Str::from(topic.to_owned()),
            topic_id,
            partitions: (0..partitions).map(partition).collect(),
        }],
        ..OffsetCommitRequest::default()
    }
}
