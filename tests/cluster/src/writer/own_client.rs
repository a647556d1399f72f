//! The writer on `tidelog-client`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use tidelog_client::{Client, ClientOptions, Producer, ProducerOptions};
use tidelog_wire::record::Record;

use crate::history::{Acked, History, Placed};

const SEND_EVERY: Duration = Duration::from_millis(10);

/// Sends one record to each partition every few milliseconds until `stop`.
pub(super) async fn produce(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    stop: &AtomicBool,
    history: &Mutex<History>,
) -> Result<()> {
    let client = Client::connect(bootstrap, ClientOptions::default()).await?;
    let mut producer = Producer::new(client, topic, ProducerOptions::default()).await?;
    let mut turns = tokio::time::interval(SEND_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        turns.tick().await;
        let value = |partition: i32| format!("own-{turn}-{partition}");
        let batches: Vec<_> = (0..partitions).map(|partition| (partition, vec![record(value(partition))])).collect();
        let results = producer.send_each(&batches).await;
        let mut history = history.lock().expect("history");
        for (partition, result) in (0..).zip(results) {
            let value = value(partition);
            match result {
                Ok(sent) => {
                    let record = Placed { partition, offset: sent.base_offset, value };
                    history.acked.push(Acked { record, at_ms: now_ms() });
                }
                Err(error) => history.failed.push((value, error.to_string())),
            }
        }
    }
    Ok(())
}

fn record(value: String) -> Record {
    Record { timestamp_ms: now_ms(), value: Some(Bytes::from(value)), ..Record::default() }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
