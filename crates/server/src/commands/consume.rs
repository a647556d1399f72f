//! `tidelog consume TOPIC`: prints records until stopped.

use std::io::{self, BufWriter, Write};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tidelog_client::{ConsumedRecord, Consumer, ConsumerOptions, StartFrom};

use super::text::{TextOrBase64, text_or_base64};
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ConsumeArgs {
    topic: String,
    /// Begin at the oldest record; otherwise only new ones are printed
    #[arg(long, conflicts_with_all = ["offset", "since_ms"])]
    from_beginning: bool,
    /// Begin at this offset of each partition
    #[arg(long, short = 'o', value_parser = clap::value_parser!(i64).range(0..), conflicts_with = "since_ms")]
    offset: Option<i64>,
    /// Begin at the first record of this time or later, milliseconds since 1970
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    since_ms: Option<i64>,
    /// Only this partition, may be repeated
    #[arg(long = "partition", short = 'p', value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Stop after so many records
    #[arg(long, short = 'n')]
    max_messages: Option<u64>,
    /// Stop at the end instead of waiting for new records
    #[arg(long, short = 'e')]
    exit_at_end: bool,
    /// Stop with exit code 7 if no record came for so long
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// Print the key and this text before each value
    #[arg(long, short = 'K', value_name = "TEXT")]
    key_separator: Option<String>,
    /// Print partition, offset, timestamp and headers before each record
    #[arg(long, short = 'm')]
    with_metadata: bool,
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<TextOrBase64>,
    value: Option<TextOrBase64>,
    headers: Vec<JsonHeader>,
}

#[derive(Serialize)]
struct JsonHeader {
    key: String,
    value: Option<TextOrBase64>,
}

pub async fn run(session: Session, args: ConsumeArgs) -> Result<Exit, Failure> {
    let from = match (args.from_beginning, args.offset, args.since_ms) {
        (true, ..) => StartFrom::Earliest,
        (_, Some(offset), _) => StartFrom::Offset(offset),
        (.., Some(timestamp_ms)) => StartFrom::Timestamp(timestamp_ms),
        _ => StartFrom::Latest,
    };
    let mut left = args.max_messages.unwrap_or(u64::MAX);
    let options = ConsumerOptions::default();
    let mut consumer = Consumer::new(session.client.clone(), &args.topic, &args.partitions, from, options).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    let patience = args.timeout_ms.map_or(Duration::MAX, Duration::from_millis);
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut last_record = tokio::time::Instant::now();
    while left > 0 {
        let polled = tokio::select! {
            polled = consumer.poll() => polled?,
            _ = &mut interrupted => break,
            () = tokio::time::sleep(patience.saturating_sub(last_record.elapsed())) => {
                let waited_ms = patience.as_millis();
                return Err(Failure::new(Exit::Timeout, format!("no record within {waited_ms} ms")));
            }
        };
        if !polled.is_empty() {
            last_record = tokio::time::Instant::now();
        }
        for consumed in polled.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            match session.printer.is_json() {
                true => write_json(&mut out, &args, consumed)?,
                false => write_text(&mut out, &args, consumed)?,
            }
        }
        left = left.saturating_sub(polled.len() as u64);
        out.flush()?;
        if args.exit_at_end && consumer.is_at_end() {
            break;
        }
    }
    Ok(Exit::Ok)
}

fn write_text(out: &mut impl Write, args: &ConsumeArgs, consumed: &ConsumedRecord) -> io::Result<()> {
    let record = &consumed.record;
    if args.with_metadata {
        write!(out, "{}-{}@{} {}\t", args.topic, consumed.partition, record.offset, record.timestamp_ms)?;
        for header in &record.headers {
            out.write_all(&header.key)?;
            out.write_all(b"=")?;
            out.write_all(header.value.as_deref().unwrap_or_default())?;
            out.write_all(b"\t")?;
        }
    }
    if let Some(separator) = &args.key_separator {
        out.write_all(record.key.as_deref().unwrap_or(b"null"))?;
        out.write_all(separator.as_bytes())?;
    }
    out.write_all(record.value.as_deref().unwrap_or_default())?;
    out.write_all(b"\n")
}

fn write_json(out: &mut impl Write, args: &ConsumeArgs, consumed: &ConsumedRecord) -> io::Result<()> {
    let record = &consumed.record;
    let header = |header: &tidelog_wire::record::RecordHeader| JsonHeader {
        key: String::from_utf8_lossy(&header.key).into_owned(),
        value: header.value.as_deref().map(text_or_base64),
    };
    let json = JsonRecord {
        topic: &args.topic,
        partition: consumed.partition,
        offset: record.offset.get(),
        timestamp_ms: record.timestamp_ms,
        key: record.key.as_deref().map(text_or_base64),
        value: record.value.as_deref().map(text_or_base64),
        headers: record.headers.iter().map(header).collect(),
    };
    serde_json::to_writer(&mut *out, &json)?;
    out.write_all(b"\n")
}
