//! Row 25 and row 17: how long many partitions take until every one has its leader and its replicas, and until every one
//! has acknowledged a record; and what they cost when nothing happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use tidelog_client::{Client, ClientOptions};
use tidelog_cluster_tests::{Cluster, Spec, Target};
use tidelog_wire::Str;
use tidelog_wire::compression::Compression;
use tidelog_wire::messages::ProduceRequest;
use tidelog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use tidelog_wire::record::BatchBuilder;
use tokio::task::JoinSet;

use crate::groups::block_on;
use crate::processes::cpu_seconds;

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Partitions of each topic
    #[arg(long, default_value_t = 1000)]
    partitions: i32,
    /// How long to watch the idle cluster afterwards
    #[arg(long, default_value_t = 10)]
    idle_seconds: u64,
}

pub fn run(options: &Options) -> Result<()> {
    let cluster = Cluster::start(Target::from_environment()?, &Spec::brokers(3))?;
    let pids: Vec<u32> = cluster.ids().map(|id| cluster.pid(id)).collect::<Result<_>>()?;
    let started = Instant::now();
    for topic in 0..options.topics {
        cluster.create_topic(&format!("many-{topic}"), options.partitions)?;
    }
    let created = started.elapsed();
    let started = Instant::now();
    block_on(append_to_each(&cluster, options))?;
    let appended = started.elapsed();
    let cpu_before = cpu_seconds(&pids);
    std::thread::sleep(Duration::from_secs(options.idle_seconds));
    let cpu = cpu_seconds(&pids) - cpu_before;
    let resident_mib = cluster.ids().map(|id| Ok(cluster.resident_bytes(id)? >> 20)).collect::<Result<Vec<_>>>()?;
    let report = serde_json::json!({
        "bench": "partitions",
        "partitions": options.topics as i64 * i64::from(options.partitions),
        "created_s": created.as_secs_f64(),
        "first_acks_s": appended.as_secs_f64(),
        "idle_cpu_percent_of_a_core": cpu / options.idle_seconds as f64 * 100.0,
        "resident_mib": resident_mib,
    });
    println!("{report}");
    Ok(())
}

/// The first record of every partition, acknowledged by all replicas: one request for each topic to each leader.
async fn append_to_each(cluster: &Cluster, options: &Options) -> Result<()> {
    let client = Client::connect(&cluster.bootstrap(), ClientOptions::default()).await?;
    let mut requests = JoinSet::new();
    for topic in 0..options.topics {
        for (leader, request) in first_appends(&client, &format!("many-{topic}")).await? {
            let connection = client.broker(leader).await?;
            requests.spawn(async move { connection.send_within(&request, Duration::from_secs(60)).await });
        }
    }
    while let Some(response) = requests.join_next().await {
        for answer in response??.responses.iter().flat_map(|topic| &topic.partition_responses) {
            ensure!(answer.error_code.is_none(), "partition {}: {}", answer.index, answer.error_code.name());
        }
    }
    Ok(())
}

async fn first_appends(client: &Client, topic: &str) -> Result<BTreeMap<i32, ProduceRequest>> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, Some(b"first"), &[]);
    let batch = builder.build()?;
    let leaders = client.leaders(topic, false).await?;
    let mut by_leader: BTreeMap<i32, Vec<PartitionProduceData>> = BTreeMap::new();
    for (index, leader) in (0..).zip(&leaders.partitions) {
        if let Some(leader) = leader {
            let data = PartitionProduceData { index, records: Some(batch.clone()) };
            by_leader.entry(leader.node_id).or_default().push(data);
        }
    }
    let request = |partition_data| ProduceRequest {
        acks: -1,
        timeout_ms: 60_000,
        topic_data: vec![TopicProduceData {
            name: Str::from(topic.to_owned()),
            topic_id: leaders.topic_id,
            partition_data,
        }],
        ..ProduceRequest::default()
    };
    Ok(by_leader.into_iter().map(|(leader, partitions)| (leader, request(partitions))).collect())
}
