//! rskafka creates a topic, writes and reads it back, finds offsets, deletes records and the topic.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rskafka::chrono::DateTime;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;

use crate::Settings;

const TIMEOUT_MS: i32 = 10_000;
const RECORDS: i64 = 200;

pub fn run(settings: &Settings) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tour(settings))
}

async fn tour(settings: &Settings) -> Result<()> {
    let bootstrap = settings.get("bootstrap").context("bootstrap is missing")?;
    let topic = settings.get("topic").context("topic is missing")?;
    let client = ClientBuilder::new(bootstrap.split(',').map(str::to_owned).collect()).build().await?;
    let controller = client.controller_client()?;
    controller.create_topic(topic, 2, 3, TIMEOUT_MS).await?;
    let partition = client.partition_client(topic.as_str(), 1, UnknownTopicHandling::Retry).await?;
    let written = (0..RECORDS).map(record).collect::<Result<Vec<_>>>()?;
    let offsets = partition.produce(written, Compression::NoCompression).await?;
    ensure!(offsets == (0..RECORDS).collect::<Vec<_>>(), "{offsets:?}");
    read_back(&partition).await?;
    ensure!(partition.get_offset(OffsetAt::Latest).await? == RECORDS, "the latest offset");
    partition.delete_records(50, TIMEOUT_MS).await?;
    ensure!(partition.get_offset(OffsetAt::Earliest).await? == 50, "the earliest offset after deleting");
    controller.delete_topic(topic, TIMEOUT_MS).await?;
    Ok(())
}

fn record(n: i64) -> Result<Record> {
    Ok(Record {
        key: Some(n.to_string().into_bytes()),
        value: Some(format!("value {n}").into_bytes()),
        headers: BTreeMap::from([("n".to_owned(), n.to_string().into_bytes())]),
        timestamp: DateTime::from_timestamp_millis(1_000_000 + n).context("a timestamp")?,
    })
}

async fn read_back(partition: &PartitionClient) -> Result<()> {
    let mut next = 0;
    while next < RECORDS {
        let (read, high_watermark) = partition.fetch_records(next, 1..1_000_000, TIMEOUT_MS).await?;
        ensure!(high_watermark == RECORDS && !read.is_empty(), "{} records, {high_watermark}", read.len());
        for read in read {
            ensure!(read.offset == next && read.record == record(next)?, "{read:?} at {next}");
            next += 1;
        }
    }
    Ok(())
}
