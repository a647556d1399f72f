//! `tidelog bench consume`: fetches everything from the beginning, looks at batch headers only.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tidelog_client::{Connection, SendError, StartFrom};
use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use tidelog_wire::messages::{FetchRequest, FetchResponse};
use tidelog_wire::record_batch::batches;
use tidelog_wire::{Str, Uuid};
use tokio::time::Instant;

use super::cpu::{cpu_seconds, own_cpu_seconds};
use super::{GB, MIB};
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ConsumeArgs {
    #[arg(long, short = 't', default_value = "bench")]
    topic: String,
    /// Bytes of each partition in one answer
    #[arg(long, default_value_t = 1_048_576)]
    partition_max_bytes: i32,
    /// Stop earlier than at the end
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Brokers' process ids, whose CPU time to report
    #[arg(long, value_delimiter = ',')]
    pids: Vec<u32>,
}

#[derive(Serialize)]
struct Report {
    records: u64,
    bytes: u64,
    seconds: f64,
    mib_per_second: f64,
    records_per_second: f64,
    broker_cpu_seconds: f64,
    broker_cpu_seconds_per_gb: f64,
    client_cpu_seconds: f64,
}

struct Reading {
    topic: String,
    topic_id: Uuid,
    partition_max_bytes: i32,
    /// Next offset and end of each partition; what is read is taken out.
    left: BTreeMap<i32, (i64, i64)>,
    records: u64,
    bytes: u64,
}

type Fetch = BoxFuture<'static, (i32, Result<FetchResponse, SendError>)>;

pub async fn run(session: Session, args: ConsumeArgs) -> Result<Exit, Failure> {
    let client = &session.client;
    let leaders = client.leaders(&args.topic, false).await?;
    let all: Vec<i32> = (0..leaders.partitions.len() as i32).collect();
    let ends = client.offsets(&args.topic, &all, StartFrom::Latest).await?;
    let starts = client.offsets(&args.topic, &all, StartFrom::Earliest).await?;
    let ranges = starts.iter().map(|(index, &start)| (*index, (start, ends.get(index).copied().unwrap_or(start))));
    let mut reading = Reading {
        topic: args.topic.clone(),
        topic_id: leaders.topic_id,
        partition_max_bytes: args.partition_max_bytes,
        left: ranges.filter(|(_, (start, end))| start < end).collect(),
        records: 0,
        bytes: 0,
    };
    let mut led: BTreeMap<i32, (Connection, Vec<i32>)> = BTreeMap::new();
    for (index, leader) in leaders.partitions.iter().enumerate() {
        let Some(leader) = leader else { continue };
        let connection = client.broker(leader.node_id).await?;
        led.entry(leader.node_id).or_insert((connection, Vec::new())).1.push(index as i32);
    }
    let (cpu_before, own_before, began) = (cpu_seconds(&args.pids), own_cpu_seconds(), Instant::now());
    read_all(&mut reading, &led, began + Duration::from_secs(args.seconds)).await?;
    let seconds = began.elapsed().as_secs_f64();
    let broker_cpu_seconds = cpu_seconds(&args.pids) - cpu_before;
    let bytes = reading.bytes as f64;
    let report = Report {
        records: reading.records,
        bytes: reading.bytes,
        seconds,
        mib_per_second: bytes / MIB / seconds,
        records_per_second: reading.records as f64 / seconds,
        broker_cpu_seconds,
        broker_cpu_seconds_per_gb: broker_cpu_seconds / (bytes / GB).max(f64::MIN_POSITIVE),
        client_cpu_seconds: own_cpu_seconds() - own_before,
    };
    print(&session, &args, &report)?;
    Ok(Exit::Ok)
}

async fn read_all(
    reading: &mut Reading,
    led: &BTreeMap<i32, (Connection, Vec<i32>)>,
    until: Instant,
) -> Result<(), Failure> {
    let mut fetches: FuturesUnordered<Fetch> = FuturesUnordered::new();
    let start = |reading: &Reading, node_id: i32| -> Result<Option<Fetch>, Failure> {
        let Some((connection, partitions)) = led.get(&node_id) else { return Ok(None) };
        let Some(request) = reading.request(partitions) else { return Ok(None) };
        let in_flight = connection.start(&request)?;
        Ok(Some(Box::pin(async move { (node_id, in_flight.await) })))
    };
    for node_id in led.keys() {
        fetches.extend(start(reading, *node_id)?);
    }
    while let Some((node_id, response)) = fetches.next().await {
        let response = response?;
        // The next request is on its way while this answer is looked at.
        reading.take(&response)?;
        if Instant::now() < until {
            fetches.extend(start(reading, node_id)?);
        }
    }
    Ok(())
}

impl Reading {
    /// `None` once nothing is left in `partitions`.
    fn request(&self, partitions: &[i32]) -> Option<FetchRequest> {
        let wanted = partitions.iter().filter_map(|index| {
            let (next_offset, _) = self.left.get(index)?;
            Some(FetchPartition {
                partition: *index,
                current_leader_epoch: -1,
                fetch_offset: *next_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.partition_max_bytes,
                ..Default::default()
            })
        });
        let partitions: Vec<FetchPartition> = wanted.collect();
        let topic = FetchTopic { topic: Str::from(self.topic.clone()), topic_id: self.topic_id, partitions };
        (!topic.partitions.is_empty()).then(|| FetchRequest {
            replica_id: -1,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            session_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        })
    }

    fn take(&mut self, response: &FetchResponse) -> Result<(), Failure> {
        for data in response.responses.iter().flat_map(|topic| &topic.partitions) {
            if !data.error_code.is_none() {
                let what = format!("cannot fetch from {}-{}", self.topic, data.partition_index);
                return Err(Failure::refused(what, data.error_code, None));
            }
            let Some((next_offset, end)) = self.left.get_mut(&data.partition_index) else { continue };
            for (header, batch) in batches(data.records.clone().unwrap_or_default()).map_while(Result::ok) {
                self.records += header.record_count.max(0) as u64;
                self.bytes += batch.len() as u64;
                *next_offset = header.next_offset().get();
            }
            if next_offset >= end {
                self.left.remove(&data.partition_index);
            }
        }
        Ok(())
    }
}

fn print(session: &Session, args: &ConsumeArgs, report: &Report) -> Result<(), Failure> {
    let printer = &session.printer;
    if printer.is_json() {
        printer.json(report)?;
        return Ok(());
    }
    printer.line(&format!(
        "{} records, {:.1} MiB in {:.2} s: {:.1} MiB/s, {:.0} records/s",
        report.records,
        report.bytes as f64 / MIB,
        report.seconds,
        report.mib_per_second,
        report.records_per_second
    ))?;
    let mut cpu = format!("CPU: client {:.2} s", report.client_cpu_seconds);
    if !args.pids.is_empty() {
        cpu += &format!(", brokers {:.2} s ({:.2} s/GB)", report.broker_cpu_seconds, report.broker_cpu_seconds_per_gb);
    }
    printer.line(&cpu)?;
    Ok(())
}
