//! `tidelog bench e2e`: a consumer waits at the end of a partition while one record at a time is produced to it.

use clap::Args;
use serde::Serialize;
use tidelog_client::{Consumer, ConsumerOptions, Producer, ProducerOptions, StartFrom};
use tidelog_wire::record::Record;
use tokio::time::{Duration, Instant, timeout};

use super::cpu::cpu_seconds;
use super::latency::{Latencies, Percentiles};
use super::topic::{TopicArgs, ensure};
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct E2eArgs {
    #[command(flatten)]
    topic: TopicArgs,
    #[arg(long, default_value_t = 0)]
    partition: i32,
    #[arg(long, default_value_t = 10_000)]
    records: u32,
    /// Records at the beginning that are not counted
    #[arg(long, default_value_t = 200)]
    warm_up: u32,
    #[arg(long, default_value_t = 1024)]
    record_size: usize,
    #[arg(long, default_value = "all", value_parser = ["all", "-1", "1"])]
    acks: String,
    /// Brokers' process ids, whose CPU time to report
    #[arg(long, value_delimiter = ',')]
    pids: Vec<u32>,
}

#[derive(Serialize)]
struct Report {
    records: u32,
    end_to_end: Percentiles,
    acknowledged: Percentiles,
    broker_cpu_seconds: f64,
}

const SILENCE_MAX: Duration = Duration::from_secs(60);

pub async fn run(session: Session, args: E2eArgs) -> Result<Exit, Failure> {
    ensure(&session, &args.topic).await?;
    let topic = &args.topic.topic;
    let options = ProducerOptions { acks: args.acks.parse().unwrap_or(-1), ..Default::default() };
    let mut producer = Producer::new(session.client.clone(), topic, options).await?;
    // A connection of its own: answers on one connection wait for each other.
    let reader = tidelog_client::Client::connect(&session.bootstrap_server, session.client.options().clone()).await?;
    let consuming = ConsumerOptions::default();
    let mut consumer = Consumer::new(reader, topic, &[args.partition], StartFrom::Latest, consuming).await?;
    let record = Record { value: Some(vec![b'x'; args.record_size].into()), ..Default::default() };
    let (mut end_to_end, mut acknowledged) = (Latencies::new(), Latencies::new());
    let mut cpu_before = cpu_seconds(&args.pids);
    for index in 0..args.warm_up + args.records {
        let record = Record { timestamp_ms: crate::commands::produce::now_ms(), ..record.clone() };
        let began = Instant::now();
        let produce = async {
            let delivered = producer.send(args.partition, std::slice::from_ref(&record)).await;
            (delivered, began.elapsed())
        };
        let consume = async {
            loop {
                let polled = consumer.poll().await?;
                if !polled.is_empty() {
                    return Ok::<_, tidelog_client::ClientError>(began.elapsed());
                }
            }
        };
        let both = timeout(SILENCE_MAX, async { tokio::join!(produce, consume) }).await;
        let ((delivered, acked_after), seen_after) =
            both.map_err(|_| Failure::new(Exit::Timeout, format!("record {index} did not arrive within a minute")))?;
        delivered?;
        let seen_after = seen_after?;
        if index == args.warm_up {
            cpu_before = cpu_seconds(&args.pids);
        }
        if index >= args.warm_up {
            acknowledged.record(acked_after);
            end_to_end.record(seen_after);
        }
        if index > 0 && index % 2000 == 0 {
            eprintln!("{index} of {}", args.warm_up + args.records);
        }
    }
    let report = Report {
        records: args.records,
        end_to_end: end_to_end.percentiles(),
        acknowledged: acknowledged.percentiles(),
        broker_cpu_seconds: cpu_seconds(&args.pids) - cpu_before,
    };
    if session.printer.is_json() {
        session.printer.json(&report)?;
    } else {
        session.printer.line(&format!("{} records of {} bytes, one in flight", args.records, args.record_size))?;
        session.printer.line(&format!("end to end:   {}", report.end_to_end.sentence()))?;
        session.printer.line(&format!("acknowledged: {}", report.acknowledged.sentence()))?;
    }
    Ok(Exit::Ok)
}
