//! `tidelog bench produce`

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tidelog_client::{Connection, SendError, TopicLeaders};
use tidelog_wire::Str;
use tidelog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use tidelog_wire::messages::{ProduceRequest, ProduceResponse};
use tidelog_wire::record::BatchBuilder;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::cpu::{cpu_seconds, own_cpu_seconds, resident_mib};
use super::latency::{Latencies, Percentiles};
use super::topic::{TopicArgs, ensure};
use super::{GB, MIB};
use crate::commands::produce::Codec;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ProduceArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    record_size: u32,
    /// Bytes of a batch, of one record at least
    #[arg(long, default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    batch_size: u32,
    #[arg(long, short = 'z', value_enum, default_value_t = Codec::None)]
    compression: Codec,
    /// Who must have a batch before it counts: all in-sync replicas, or the leader (1)
    #[arg(long, default_value = "all", value_parser = ["all", "-1", "1"])]
    acks: String,
    /// Requests on their way to each leader; each has a batch for every partition it leads
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    in_flight: u16,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Stop earlier, after so many records
    #[arg(long)]
    records: Option<u64>,
    /// Brokers' process ids, whose CPU time to report
    #[arg(long, value_delimiter = ',')]
    pids: Vec<u32>,
}

#[derive(Serialize)]
struct Report {
    records: u64,
    seconds: f64,
    records_per_second: f64,
    mib_per_second: f64,
    errors: u64,
    request_latency: Percentiles,
    broker_cpu_seconds: f64,
    broker_cpu_seconds_per_gb: f64,
    broker_resident_mib: Vec<f64>,
    client_cpu_seconds: f64,
}

/// What one acknowledged request stands for.
struct Answer {
    node_id: i32,
    started: Instant,
    outcome: Result<ProduceResponse, SendError>,
}

struct Load {
    leaders: BTreeMap<i32, (Connection, ProduceRequest)>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    latencies: Latencies,
    records_per_batch: u64,
    records: u64,
    errors: u64,
    /// Records on their way, so that a limit is not overshot by much.
    in_flight_records: u64,
}

pub async fn run(session: Session, args: ProduceArgs) -> Result<Exit, Failure> {
    ensure(&session, &args.topic).await?;
    let (batch, records_per_batch) = batch(&args)?;
    let mut load = Load {
        leaders: connect(&session, &args, &batch).await?,
        answers: FuturesUnordered::new(),
        latencies: Latencies::new(),
        records_per_batch,
        records: 0,
        errors: 0,
        in_flight_records: 0,
    };
    let (cpu_before, own_before, began) = (cpu_seconds(&args.pids), own_cpu_seconds(), Instant::now());
    drive(&session, &args, &batch, &mut load, began).await?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes = load.records as f64 * f64::from(args.record_size);
    let broker_cpu_seconds = cpu_seconds(&args.pids) - cpu_before;
    let report = Report {
        records: load.records,
        seconds,
        records_per_second: load.records as f64 / seconds,
        mib_per_second: bytes / MIB / seconds,
        errors: load.errors,
        request_latency: load.latencies.percentiles(),
        broker_cpu_seconds,
        broker_cpu_seconds_per_gb: broker_cpu_seconds / (bytes / GB).max(f64::MIN_POSITIVE),
        broker_resident_mib: resident_mib(&args.pids),
        client_cpu_seconds: own_cpu_seconds() - own_before,
    };
    print(&session, &args, &report)?;
    Ok(if report.records > 0 { Exit::Ok } else { Exit::Failed })
}

/// Keeps every leader busy until time or records are up, then waits for what is on its way.
async fn drive(
    session: &Session,
    args: &ProduceArgs,
    batch: &Bytes,
    load: &mut Load,
    began: Instant,
) -> Result<(), Failure> {
    let ends = began + Duration::from_secs(u64::from(args.seconds));
    let limit = args.records.unwrap_or(u64::MAX);
    let mut progress = interval(Duration::from_secs(1));
    progress.set_missed_tick_behavior(MissedTickBehavior::Skip);
    progress.tick().await;
    let mut shown = 0;
    for node_id in load.leaders.keys().copied().collect::<Vec<_>>() {
        for _ in 0..args.in_flight {
            load.start(node_id, limit);
        }
    }
    loop {
        tokio::select! {
            biased;
            _ = progress.tick() => {
                let mib = (load.records - shown) as f64 * f64::from(args.record_size) / MIB;
                eprintln!("{:>4.0} s  {mib:>8.1} MiB/s  {} errors", began.elapsed().as_secs_f64(), load.errors);
                shown = load.records;
            }
            answer = load.answers.next() => {
                let Some(answer) = answer else { return Ok(()) };
                let node_id = answer.node_id;
                let is_served = load.count(answer);
                if Instant::now() >= ends {
                    continue;
                }
                if is_served {
                    load.start(node_id, limit);
                } else if load.answers.is_empty() {
                    // Leaders have changed: begin again with the new ones once all old requests are through.
                    session.client.forget_leaders(&args.topic.topic);
                    load.leaders = connect(session, args, batch).await?;
                    for node_id in load.leaders.keys().copied().collect::<Vec<_>>() {
                        (0..args.in_flight).for_each(|_| load.start(node_id, limit));
                    }
                }
            }
        }
    }
}

impl Load {
    fn start(&mut self, node_id: i32, limit: u64) {
        let Some((connection, request)) = self.leaders.get(&node_id) else { return };
        let records = self.records_per_batch * partitions_of(request);
        if self.records + self.in_flight_records + records > limit.max(records) {
            return;
        }
        let started = Instant::now();
        match connection.start(request) {
            Ok(in_flight) => {
                self.in_flight_records += records;
                self.answers.push(Box::pin(async move { Answer { node_id, started, outcome: in_flight.await } }));
            }
            Err(_) => self.errors += 1,
        }
    }

    /// False if the leader should not be asked any more.
    fn count(&mut self, answer: Answer) -> bool {
        let partitions = self.leaders.get(&answer.node_id).map_or(0, |(_, request)| partitions_of(request));
        self.in_flight_records = self.in_flight_records.saturating_sub(partitions * self.records_per_batch);
        let Ok(response) = answer.outcome else {
            self.errors += partitions;
            return false;
        };
        self.latencies.record(answer.started.elapsed());
        let answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let refused = answers.clone().filter(|partition| !partition.error_code.is_none()).count() as u64;
        self.records += (answers.count() as u64 - refused) * self.records_per_batch;
        self.errors += refused;
        refused == 0
    }
}

fn partitions_of(request: &ProduceRequest) -> u64 {
    request.topic_data.iter().map(|topic| topic.partition_data.len() as u64).sum()
}

/// One connection and one request for each leader, with the same batch for each of its partitions.
async fn connect(
    session: &Session,
    args: &ProduceArgs,
    batch: &Bytes,
) -> Result<BTreeMap<i32, (Connection, ProduceRequest)>, Failure> {
    let topic = &args.topic.topic;
    let leaders: TopicLeaders = session.client.leaders(topic, false).await?;
    let mut by_leader: BTreeMap<i32, Vec<PartitionProduceData>> = BTreeMap::new();
    for (index, leader) in leaders.partitions.iter().enumerate() {
        let Some(leader) = leader else { continue };
        let data = PartitionProduceData { index: index as i32, records: Some(batch.clone()) };
        by_leader.entry(leader.node_id).or_default().push(data);
    }
    let mut connected = BTreeMap::new();
    for (node_id, partition_data) in by_leader {
        let topic_data =
            TopicProduceData { name: Str::from(topic.clone()), topic_id: leaders.topic_id, partition_data };
        let request = ProduceRequest {
            acks: args.acks.parse().unwrap_or(-1),
            timeout_ms: 30_000,
            topic_data: vec![topic_data],
            ..Default::default()
        };
        connected.insert(node_id, (session.client.broker(node_id).await?, request));
    }
    Ok(connected)
}

fn batch(args: &ProduceArgs) -> Result<(Bytes, u64), Failure> {
    let count = (args.batch_size / args.record_size).max(1);
    // Values that compress about as well as real text.
    let value: Vec<u8> = (0..args.record_size).map(|index| b'a' + (index.wrapping_mul(index) % 23) as u8).collect();
    let mut builder = BatchBuilder::new(args.compression.into());
    let now_ms = crate::commands::produce::now_ms();
    for _ in 0..count {
        builder.append(now_ms, None, Some(&value), &[]);
    }
    let built = builder.build().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok((built, u64::from(count)))
}

fn print(session: &Session, args: &ProduceArgs, report: &Report) -> Result<(), Failure> {
    let printer = &session.printer;
    if printer.is_json() {
        printer.json(report)?;
        return Ok(());
    }
    printer.line(&format!(
        "{} records of {} bytes in {:.2} s: {:.1} MiB/s, {:.0} records/s, {} errors",
        report.records,
        args.record_size,
        report.seconds,
        report.mib_per_second,
        report.records_per_second,
        report.errors
    ))?;
    printer.line(&format!("acknowledged after {}", report.request_latency.sentence()))?;
    let mut cpu = format!("CPU: client {:.2} s", report.client_cpu_seconds);
    if !args.pids.is_empty() {
        cpu += &format!(
            ", brokers {:.2} s ({:.2} s/GB), resident {:.1?} MiB",
            report.broker_cpu_seconds, report.broker_cpu_seconds_per_gb, report.broker_resident_mib
        );
    }
    printer.line(&cpu)?;
    Ok(())
}
