//! `tidelog bench consume`: fetches everything from the beginning, looks at batch headers only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tidelog_client::{Client, ClientError, StartFrom, TopicLeaders};
use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use tidelog_wire::messages::{FetchRequest, FetchResponse};
use tidelog_wire::record_batch::batches;
use tidelog_wire::{ErrorCode, Str};
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
    partition_max_bytes: i32,
    /// Next offset and end of each partition; what is read is taken out.
    left: BTreeMap<i32, (i64, i64)>,
    records: u64,
    bytes: u64,
}

type Fetch = BoxFuture<'static, (i32, Result<FetchResponse, ClientError>)>;

/// Pause after a leader is found to be none any more, so that its successor is not asked for in a tight loop.
const BACK_OFF: Duration = Duration::from_millis(50);
/// How long nothing may be read, while leaders are looked for, before it is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub async fn run(session: Session, args: ConsumeArgs) -> Result<Exit, Failure> {
    let client = &session.client;
    let leaders = client.leaders(&args.topic, false).await?;
    let all: Vec<i32> = (0..leaders.partitions.len() as i32).collect();
    let ends = client.offsets(&args.topic, &all, StartFrom::Latest).await?;
    let starts = client.offsets(&args.topic, &all, StartFrom::Earliest).await?;
    let ranges = starts.iter().map(|(index, &start)| (*index, (start, ends.get(index).copied().unwrap_or(start))));
    let mut reading = Reading {
        topic: args.topic.clone(),
        partition_max_bytes: args.partition_max_bytes,
        left: ranges.filter(|(_, (start, end))| start < end).collect(),
        records: 0,
        bytes: 0,
    };
    let (cpu_before, own_before, began) = (cpu_seconds(&args.pids), own_cpu_seconds(), Instant::now());
    read_all(client, &mut reading, began + Duration::from_secs(args.seconds)).await?;
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

/// One Fetch on its way to each leader. A leader that moves or dies is looked for anew: what is measured is the cluster, which
/// has not stopped serving.
async fn read_all(client: &Client, reading: &mut Reading, until: Instant) -> Result<(), Failure> {
    let mut fetches: FuturesUnordered<Fetch> = FuturesUnordered::new();
    let mut asked: BTreeSet<i32> = BTreeSet::new();
    let mut last_read = Instant::now();
    while !reading.left.is_empty() && Instant::now() < until {
        let leaders = client.leaders(&reading.topic, false).await?;
        for node_id in reading.leaders_left(&leaders) {
            if asked.insert(node_id) {
                fetches.push(Box::pin(fetch(client.clone(), node_id, reading.request(&leaders, node_id))));
            }
        }
        let taken = match fetches.next().await {
            None => Err(ClientError::refused("no partition has a leader", ErrorCode::LEADER_NOT_AVAILABLE)),
            Some((node_id, response)) => {
                asked.remove(&node_id);
                response.and_then(|response| reading.take(&response))
            }
        };
        match taken {
            Ok(()) => last_read = Instant::now(),
            Err(error) if error.is_retriable() && last_read.elapsed() < SILENCE_MAX => {
                client.forget_leaders(&reading.topic);
                tokio::time::sleep(BACK_OFF).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn fetch(client: Client, node_id: i32, request: FetchRequest) -> (i32, Result<FetchResponse, ClientError>) {
    let outcome = async { Ok(client.broker(node_id).await?.send(&request).await?) }.await;
    (node_id, outcome)
}

impl Reading {
    /// Leaders of partitions that are not read to their end.
    fn leaders_left(&self, leaders: &TopicLeaders) -> BTreeSet<i32> {
        let leader = |index: &i32| leaders.partitions.get(*index as usize).copied().flatten();
        self.left.keys().filter_map(|index| Some(leader(index)?.node_id)).collect()
    }

    fn request(&self, leaders: &TopicLeaders, node_id: i32) -> FetchRequest {
        let is_led = |index: i32| {
            let leader = leaders.partitions.get(index as usize).copied().flatten();
            leader.is_some_and(|leader| leader.node_id == node_id)
        };
        let wanted =
            self.left.iter().filter(|(index, _)| is_led(**index)).map(|(index, (next_offset, _))| FetchPartition {
                partition: *index,
                current_leader_epoch: -1,
                fetch_offset: *next_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.partition_max_bytes,
                ..Default::default()
            });
        let partitions: Vec<FetchPartition> = wanted.collect();
        let topic = FetchTopic { topic: Str::from(self.topic.clone()), topic_id: leaders.topic_id, partitions };
        FetchRequest {
            replica_id: -1,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            session_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        }
    }

    /// Counts what has come. A partition whose leader has moved is an error after all others have been counted.
    fn take(&mut self, response: &FetchResponse) -> Result<(), ClientError> {
        let mut outcome = match response.error_code {
            ErrorCode::NONE => Ok(()),
            code => Err(ClientError::refused(format!("cannot fetch from {}", self.topic), code)),
        };
        for data in response.responses.iter().flat_map(|topic| &topic.partitions) {
            if !data.error_code.is_none() {
                let what = format!("cannot fetch from {}-{}", self.topic, data.partition_index);
                outcome = Err(ClientError::refused(what, data.error_code));
                continue;
            }
            let Some((next_offset, end)) = self.left.get_mut(&data.partition_index) else { continue };
            for (header, batch) in batches(data.records.clone().unwrap_or_default()).map_while(Result::ok) {
                // Asked for twice, of the old leader and of the new one.
                if header.next_offset().get() <= *next_offset {
                    continue;
                }
                self.records += header.record_count.max(0) as u64;
                self.bytes += batch.len() as u64;
                *next_offset = header.next_offset().get();
            }
            if next_offset >= end {
                self.left.remove(&data.partition_index);
            }
        }
        outcome
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
