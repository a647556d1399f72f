//! Which brokers have no room for records.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use serde::Serialize;
use tidelog_client::{Client, ClientError};
use tidelog_wire::messages::describe_configs_request::DescribeConfigsResource;
use tidelog_wire::messages::{DescribeConfigsRequest, DescribeLogDirsRequest, MetadataResponse};

/// A verdict on the cluster does not wait longer for a broker to tell.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const BROKERS_IN_FLIGHT: usize = 16;
/// The first version that tells how much of the volume is usable.
const SPACE_FROM: i16 = 4;
const BROKER_RESOURCE: i8 = 4;
const RESERVE: &str = "log.dir.reserve.bytes";
/// A segment grows by up to so much at once.
const GROWTH_BYTES: i64 = 4 << 20;

/// A log directory that takes no records any more.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FullDisk {
    pub broker: i32,
    pub log_dir: String,
    pub usable_bytes: i64,
    pub reserve_bytes: i64,
}

/// Asks every broker. One that does not tell is left out.
pub async fn full_disks(client: &Client, metadata: &MetadataResponse) -> Vec<FullDisk> {
    let asking = metadata.brokers.iter().map(|broker| async move {
        let asked = tokio::time::timeout(ANSWER_WITHIN, full_disks_of(client, broker.node_id)).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    });
    let full: Vec<Vec<FullDisk>> = stream::iter(asking).buffered(BROKERS_IN_FLIGHT).collect().await;
    full.into_iter().flatten().collect()
}

async fn full_disks_of(client: &Client, broker: i32) -> Result<Vec<FullDisk>, ClientError> {
    let connection = client.broker(broker).await?;
    if !connection.version::<DescribeLogDirsRequest>().is_ok_and(|version| version >= SPACE_FROM) {
        return Ok(Vec::new());
    }
    let described = connection.send(&DescribeLogDirsRequest { topics: Some(Vec::new()) }).await?;
    let resource = DescribeConfigsResource {
        resource_type: BROKER_RESOURCE,
        resource_name: broker.to_string().into(),
        configuration_keys: Some(vec![RESERVE.into()]),
    };
    let configs = connection.send(&DescribeConfigsRequest { resources: vec![resource], ..Default::default() }).await?;
    let configs = configs.results.into_iter().flat_map(|result| result.configs);
    let reserve_bytes = configs.filter_map(|config| config.value?.parse().ok()).next().unwrap_or(0);
    let full = described.results.into_iter().filter(|result| is_full(result.usable_bytes, reserve_bytes));
    let full = full.map(|result| FullDisk {
        broker,
        log_dir: result.log_dir.to_string(),
        usable_bytes: result.usable_bytes,
        reserve_bytes,
    });
    Ok(full.collect())
}

fn is_full(usable_bytes: i64, reserve_bytes: i64) -> bool {
    (0..=reserve_bytes.saturating_add(GROWTH_BYTES)).contains(&usable_bytes)
}
