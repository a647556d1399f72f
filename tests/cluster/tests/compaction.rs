//! A compacted topic under writes and kill -9: the last value of every key is what was acknowledged, on every replica.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidelog_client::{Client, ClientOptions, Consumer, ConsumerOptions, Producer, ProducerOptions, StartFrom};
use tidelog_cluster_tests::segments::segment_files;
use tidelog_cluster_tests::{Cluster, Spec, scenario, wait};
use tidelog_wire::record::Record;

const TOPIC: &str = "compacted";
const KEYS: usize = 300;
const VALUE_BYTES: usize = 4000;
const RECORDS_PER_BATCH: usize = 50;
/// Of 200 KB each: several segments.
const SOME: usize = 30;
const LIMIT: Duration = Duration::from_secs(60);

/// What was acknowledged last for a key, and what was sent after that without an answer.
#[derive(Default)]
struct KeyHistory {
    acked: Option<Bytes>,
    in_doubt: Vec<Bytes>,
}

type Histories = HashMap<Bytes, KeyHistory>;

struct Writer {
    stop: Arc<AtomicBool>,
    batches: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Result<Histories>>,
}

impl Writer {
    fn start(cluster: &Cluster) -> Writer {
        let (stop, batches) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (bootstrap, stopped, acked) = (cluster.bootstrap(), Arc::clone(&stop), Arc::clone(&batches));
        let thread = thread::spawn(move || runtime()?.block_on(write(&bootstrap, &stopped, &acked)));
        Writer { stop, batches, thread }
    }

    fn wait_more(&self) -> Result<()> {
        let goal = self.batches.load(Ordering::Relaxed) + SOME;
        wait::for_condition("batches are acknowledged", LIMIT, || Ok(self.batches.load(Ordering::Relaxed) >= goal))
    }

    fn stop(self) -> Result<Histories> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("writer")
    }
}

async fn write(bootstrap: &str, stop: &AtomicBool, batches: &AtomicUsize) -> Result<Histories> {
    let client = Client::connect(bootstrap, ClientOptions::default()).await?;
    let mut producer = Producer::new(client, TOPIC, ProducerOptions::default()).await?;
    let mut histories = Histories::new();
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let records: Vec<Record> = (written..written + RECORDS_PER_BATCH).map(record).collect();
        written += RECORDS_PER_BATCH;
        let is_acked = producer.send(0, &records).await.is_ok();
        for record in records {
            let history = histories.entry(record.key.unwrap_or_default()).or_default();
            let value = record.value.unwrap_or_default();
            match is_acked {
                true => *history = KeyHistory { acked: Some(value), in_doubt: Vec::new() },
                false => history.in_doubt.push(value),
            }
        }
        batches.fetch_add(usize::from(is_acked), Ordering::Relaxed);
    }
    Ok(histories)
}

/// Keys in an order that repeats only in the long run.
fn record(nth: usize) -> Record {
    let value = format!("{nth:0VALUE_BYTES$}");
    let timestamp_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let key = Bytes::from(format!("key-{}", nth * 7919 % KEYS));
    Record { timestamp_ms, key: Some(key), value: Some(Bytes::from(value)), ..Record::default() }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The topic as a consumer from the beginning sees it: each key's last value, and how many records it was shown.
fn read(cluster: &Cluster) -> Result<(BTreeMap<Bytes, Bytes>, usize)> {
    runtime()?.block_on(async {
        let client = Client::connect(&cluster.bootstrap(), ClientOptions::default()).await?;
        let options = ConsumerOptions::default();
        let mut consumer = Consumer::new(client, TOPIC, &[], StartFrom::Earliest, options).await?;
        let (mut latest, mut count) = (BTreeMap::new(), 0);
        let began = Instant::now();
        while !consumer.is_at_end() {
            ensure!(began.elapsed() < LIMIT, "the consumer hangs at {:?}", consumer.positions());
            for consumed in consumer.poll().await? {
                count += 1;
                let record = consumed.record;
                latest.insert(record.key.context("a record without a key")?, record.value.unwrap_or_default());
            }
        }
        Ok((latest, count))
    })
}

fn check(latest: &BTreeMap<Bytes, Bytes>, histories: &Histories) -> Result<()> {
    for (key, history) in histories {
        let found = latest.get(key);
        let is_right = found == history.acked.as_ref() || found.is_some_and(|found| history.in_doubt.contains(found));
        let last = |value: &Bytes| value.slice(value.len().saturating_sub(8)..);
        ensure!(is_right, "{key:?} is {:?}, acknowledged {:?}", found.map(last), history.acked.as_ref().map(last));
    }
    Ok(())
}

fn bytes_on_disk(cluster: &Cluster, id: i32) -> Result<u64> {
    let files = segment_files(&cluster.partition_dir(id, TOPIC, 0))?;
    Ok(files.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum())
}

#[test]
fn the_last_value_of_every_key_survives_its_leader() {
    let spec = Spec::brokers(3)
        .set("log.cleanup.policy", "compact")
        .set("log.segment.bytes", "1048576")
        .set("log.cleaner.min.cleanable.ratio", "0.01")
        .set("log.cleaner.backoff.ms", "100");
    scenario(spec, |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let writer = Writer::start(cluster);
        for _ in 0..2 {
            writer.wait_more()?;
            let victim = cluster.leader(TOPIC, 0)?;
            cluster.kill(victim)?;
            writer.wait_more()?;
            cluster.start_node(victim)?;
            cluster.wait_in_sync(TOPIC, 1, 3)?;
        }
        let histories = writer.stop()?;
        // What all keys take, and the segments that are not closed or not yet due.
        let expected_max = (KEYS * VALUE_BYTES) as u64 + (4 << 20);
        for id in cluster.ids() {
            wait::for_condition(&format!("node {id} has compacted its log"), LIMIT, || {
                Ok(bytes_on_disk(cluster, id)? < expected_max)
            })?;
        }
        // Every replica has its turn as the leader.
        let mut led = Vec::new();
        while led.len() < 3 {
            let leader = cluster.leader(TOPIC, 0)?;
            let (latest, count) = read(cluster)?;
            check(&latest, &histories)?;
            ensure!(count < 4 * KEYS, "{count} records of {KEYS} keys");
            led.push(leader);
            if led.len() < 3 {
                cluster.kill(leader)?;
                wait::for_condition("another replica leads", LIMIT, || {
                    Ok(cluster.leader(TOPIC, 0).is_ok_and(|next| next != leader && next > 0))
                })?;
                cluster.start_node(leader)?;
                cluster.wait_in_sync(TOPIC, 1, 3)?;
            }
        }
        Ok(())
    });
}
