//! A group member on rdkafka, and with `client=rskafka` a producer and reader on rskafka, which has no groups.

mod rskafka_tour;

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

const POLL_TIMEOUT: Duration = Duration::from_millis(200);

pub type Settings = BTreeMap<String, String>;

fn main() -> ExitCode {
    let pairs = env::args()
        .skip(1)
        .filter_map(|argument| argument.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())));
    let settings: Settings = pairs.collect();
    let outcome = match settings.get("client").map(String::as_str) {
        Some("rskafka") => rskafka_tour::run(&settings),
        _ => run(&settings),
    };
    match outcome {
        Ok(()) => {
            tell("closed", json!({}));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell(event: &str, mut fields: Value) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    fields["event"] = event.into();
    fields["at_ms"] = (now.as_millis() as i64).into();
    println!("{fields}");
}

struct Listener;

impl ClientContext for Listener {}

impl ConsumerContext for Listener {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            tell("revoked", json!({ "partitions": names(partitions) }));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            tell("assigned", json!({ "partitions": names(partitions) }));
        }
    }
}

fn names(partitions: &TopicPartitionList) -> Vec<String> {
    let elements = partitions.elements();
    elements.iter().map(|element| format!("{}-{}", element.topic(), element.partition())).collect()
}

fn run(settings: &Settings) -> Result<()> {
    let setting = |key: &str| settings.get(key).with_context(|| format!("{key} is missing"));
    let by_hand = setting("commit")? == "manual";
    let consumer: BaseConsumer<Listener> = ClientConfig::new()
        .set("bootstrap.servers", setting("bootstrap")?)
        .set("group.id", setting("group")?)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", if by_hand { "false" } else { "true" })
        .set("auto.commit.interval.ms", "500")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500")
        .create_with_context(Listener)?;
    consumer.subscribe(&[setting("topic")?])?;
    let stopping = at_end_of_input();
    while !stopping.load(Ordering::Relaxed) {
        match consumer.poll(POLL_TIMEOUT) {
            None => {}
            Some(Err(error)) => tell("error", json!({ "message": error.to_string() })),
            Some(Ok(message)) => take(&consumer, &message, by_hand)?,
        }
    }
    // The drop closes it and polls meanwhile, which would commit what nobody sees.
    consumer.pause(&consumer.assignment()?)?;
    drop(consumer);
    Ok(())
}

fn take(consumer: &BaseConsumer<Listener>, message: &impl Message, by_hand: bool) -> Result<()> {
    let partition = format!("{}-{}", message.topic(), message.partition());
    let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
    tell("record", json!({ "partition": partition, "offset": message.offset(), "value": value }));
    if by_hand {
        let next = message.offset() + 1;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(message.topic(), message.partition(), Offset::Offset(next))?;
        match consumer.commit(&offsets, CommitMode::Sync) {
            Ok(()) => tell("committed", json!({ "offsets": { partition: next } })),
            Err(error) => tell("error", json!({ "message": error.to_string() })),
        }
    }
    Ok(())
}

fn at_end_of_input() -> Arc<AtomicBool> {
    let stopping = Arc::new(AtomicBool::new(false));
    let flag = stopping.clone();
    thread::spawn(move || {
        // An error is an end as well.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Relaxed);
    });
    stopping
}
