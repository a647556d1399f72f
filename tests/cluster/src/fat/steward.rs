//! The administrator: everything that may be asked for while brokers fail.

use std::time::Duration;

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tidelog_client::{Client, ClientError};
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::{
    AlterPartitionReassignmentsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest,
};
use tidelog_wire::{ErrorCode, Str};
use tokio::time::{Instant, sleep};

use super::topics::{Kind, TOPICS, Topic};
use super::{Act, BROKERS, RECOVERY_LIMIT, Stage};

const TIMEOUT_MS: i32 = 10_000;
const AGAIN: Duration = Duration::from_millis(100);
const TOPIC_RESOURCE: i8 = 2;
const SET: i8 = 0;

/// Topic ("" for any), config and values.
const CONFIGS: [(&str, &str, &[&str]); 7] = [
    ("retained", "retention.bytes", &["2000000", "4000000", "9000000"]),
    ("kept", "segment.bytes", &["1048576", "1500000", "4000000"]),
    ("compacted", "min.cleanable.dirty.ratio", &["0.01", "0.1", "0.5"]),
    ("compacted", "max.compaction.lag.ms", &["2000", "9223372036854775807"]),
    ("", "min.insync.replicas", &["1", "2"]),
    ("", "compression.type", &["producer", "lz4", "zstd", "uncompressed"]),
    ("", "message.timestamp.type", &["CreateTime", "LogAppendTime"]),
];

struct Steward {
    stage: Stage,
    client: Client,
    rng: StdRng,
}

pub async fn tend(stage: Stage, seed: u64) -> Result<()> {
    let client = stage.client()?;
    let mut steward = Steward { stage, client, rng: StdRng::seed_from_u64(seed) };
    while steward.stage.is_in(Act::Storm) {
        let pause_ms = steward.rng.random_range(50..800);
        sleep(Duration::from_millis(pause_ms)).await;
        // What could not be done, or nobody knows whether it was, is tried again sooner or later.
        let _tried = match steward.rng.random_range(0..100) {
            0..45 => steward.delete_records().await,
            45..60 => steward.recreate().await?,
            60..85 => steward.begin_move().await,
            _ => steward.change_config().await,
        };
    }
    Ok(())
}

impl Steward {
    fn topic(&mut self, is_meant: impl Fn(&Topic) -> bool) -> &'static Topic {
        let meant: Vec<&'static Topic> = TOPICS.iter().filter(|topic| is_meant(topic)).collect();
        meant.choose(&mut self.rng).expect("some topic")
    }

    /// To any offset below the high watermark, in the middle of a batch more often than not.
    async fn delete_records(&mut self) -> Result<(), ClientError> {
        let topic = self.topic(|topic| topic.kind == Kind::Kept);
        let partition = self.rng.random_range(0..topic.partitions);
        self.client.forget_leaders(topic.name);
        let leaders = self.client.leaders(topic.name, false).await?;
        let Some(leader) = leaders.partitions.get(partition as usize).copied().flatten() else { return Ok(()) };
        let ledger = self.stage.ledger.clone();
        let acked_end = ledger.with(leaders.topic_id, partition, |history| history.acked_end);
        let offset = self.rng.random_range(0..=acked_end);
        ledger.with(leaders.topic_id, partition, |history| history.deletion_asked = history.deletion_asked.max(offset));
        let partitions = vec![DeleteRecordsPartition { partition_index: partition, offset }];
        let topics = vec![DeleteRecordsTopic { name: Str::from(topic.name), partitions }];
        let request = DeleteRecordsRequest { topics, timeout_ms: TIMEOUT_MS };
        let answer = self.client.broker(leader.node_id).await?.send(&request).await?;
        let Some(answer) = answer.topics.first().and_then(|topic| topic.partitions.first()) else { return Ok(()) };
        if answer.error_code.is_none() {
            ledger.note("deletions of records");
            let low_watermark = answer.low_watermark;
            ledger.with(leaders.topic_id, partition, |history| {
                history.deleted_to = history.deleted_to.max(low_watermark);
            });
            if low_watermark < offset {
                let name = topic.name;
                ledger.breach(format!("{name}-{partition}: deleted to {low_watermark}, and {offset} was asked for"));
            }
        }
        Ok(())
    }

    /// Does not give up halfway: the topic is there at the end.
    async fn recreate(&mut self) -> Result<Result<(), ClientError>> {
        let topic = self.topic(|topic| topic.kind == Kind::Recreated);
        let before = match self.client.refreshed_leaders(topic.name, false).await {
            Ok(leaders) => leaders.topic_id,
            Err(error) => return Ok(Err(error)),
        };
        let name = Some(Str::from(topic.name));
        let topics = vec![DeleteTopicState { name, ..Default::default() }];
        let request = DeleteTopicsRequest { topics, timeout_ms: TIMEOUT_MS, ..Default::default() };
        // Whether it was done shows below.
        let _ = self.client.send(&request).await;
        create(&self.client, topic).await?;
        if self.client.refreshed_leaders(topic.name, false).await.is_ok_and(|after| after.topic_id != before) {
            self.stage.ledger.note("topics recreated");
        }
        Ok(Ok(()))
    }

    async fn begin_move(&mut self) -> Result<(), ClientError> {
        let topic = self.topic(|_| true);
        let mut brokers: Vec<i32> = (1..=BROKERS as i32).collect();
        brokers.shuffle(&mut self.rng);
        brokers.truncate(topic.replicas());
        let replicas = self.rng.random_bool(0.85).then_some(brokers);
        let partition_index = self.rng.random_range(0..topic.partitions);
        let partitions = vec![ReassignablePartition { partition_index, replicas }];
        let topics = vec![ReassignableTopic { name: Str::from(topic.name), partitions }];
        let request = AlterPartitionReassignmentsRequest { topics, timeout_ms: TIMEOUT_MS, ..Default::default() };
        let answer = self.client.send(&request).await?;
        let is_begun = answer.responses.iter().all(|topic| topic.partitions.iter().all(|p| p.error_code.is_none()));
        if answer.error_code.is_none() && is_begun {
            self.stage.ledger.note("moves begun or called off");
        }
        Ok(())
    }

    async fn change_config(&mut self) -> Result<(), ClientError> {
        let (of, name, values) = *CONFIGS.choose(&mut self.rng).expect("some config");
        let topic = self.topic(|topic| of.is_empty() || topic.name == of);
        let value = *values.choose(&mut self.rng).expect("some value");
        let value = Some(Str::from(value));
        let configs = vec![AlterableConfig { name: Str::from(name), config_operation: SET, value }];
        let resource_name = Str::from(topic.name);
        let resource = AlterConfigsResource { resource_type: TOPIC_RESOURCE, resource_name, configs };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        let answer = self.client.send(&request).await?;
        if answer.responses.iter().all(|resource| resource.error_code.is_none()) {
            self.stage.ledger.note("configs changed");
        }
        Ok(())
    }
}

/// Until it is there.
pub async fn create(client: &Client, topic: &Topic) -> Result<()> {
    let config = |(name, value): &(&'static str, &'static str)| CreatableTopicConfig {
        name: Str::from(*name),
        value: Some(Str::from(*value)),
    };
    let creatable = CreatableTopic {
        name: Str::from(topic.name),
        num_partitions: topic.partitions,
        replication_factor: topic.replicas() as i16,
        assignments: Vec::new(),
        configs: topic.configs.iter().map(config).collect(),
    };
    let request = CreateTopicsRequest { topics: vec![creatable], timeout_ms: TIMEOUT_MS, validate_only: false };
    let deadline = Instant::now() + RECOVERY_LIMIT;
    let mut last = String::new();
    while Instant::now() < deadline {
        match client.send(&request).await {
            Ok(answer) => match answer.topics.first().map(|topic| topic.error_code) {
                Some(ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS) => return Ok(()),
                code => last = format!("{code:?}"),
            },
            Err(error) => last = error.to_string(),
        }
        sleep(AGAIN).await;
    }
    bail!("{} cannot be created: {last}", topic.name)
}
