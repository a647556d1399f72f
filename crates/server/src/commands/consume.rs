//! `tidelog consume TOPIC`: prints records until stopped, all of them or the share of a member of a group.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tidelog_client::{
    ClientError, ConsumedRecord, Consumer, ConsumerOptions, GroupConsumer, GroupOptions, SendError, StartFrom,
};
use tidelog_wire::{ApiKey, ErrorCode};
use tokio::time::{Instant, sleep};

use super::text::{TextOrBase64, text_or_base64};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::signals::Signals;

#[derive(Args, Debug)]
pub struct ConsumeArgs {
    topic: String,
    /// Share the partitions with the other members of this group, and go on where it has committed to; where it has not,
    /// the options that say where to begin hold
    #[arg(long, short = 'g')]
    group: Option<String>,
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
    #[arg(long = "partition", short = 'p', conflicts_with = "group", value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Stop after so many records
    #[arg(long, short = 'n')]
    max_messages: Option<u64>,
    /// Stop at the end instead of waiting for new records
    #[arg(long, short = 'e')]
    exit_at_end: bool,
    /// Stop with exit code 7 if no record arrives for this long
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

/// Where records come from.
enum Source {
    Alone(Box<Consumer>),
    Member(Box<GroupConsumer>),
}

impl Source {
    async fn open(session: &Session, args: &ConsumeArgs) -> Result<Self, Failure> {
        let from = match (args.from_beginning, args.offset, args.since_ms) {
            (true, ..) => StartFrom::Earliest,
            (_, Some(offset), _) => StartFrom::Offset(offset),
            (.., Some(timestamp_ms)) => StartFrom::Timestamp(timestamp_ms),
            _ => StartFrom::Latest,
        };
        let (client, consumer) = (session.client.clone(), ConsumerOptions::default());
        Ok(match &args.group {
            None => Self::Alone(Box::new(Consumer::new(client, &args.topic, &args.partitions, from, consumer).await?)),
            Some(group) => {
                let options = GroupOptions { or_from: from, consumer };
                Self::Member(Box::new(GroupConsumer::new(client, group, &args.topic, options).await?))
            }
        })
    }

    async fn poll(&mut self) -> Result<Vec<ConsumedRecord>, Failure> {
        match self {
            Self::Alone(consumer) => consumer.poll().await.map_err(advised),
            Self::Member(member) => member.poll().await.map_err(advised),
        }
    }

    fn written(&mut self, polled: &[ConsumedRecord], count: usize) {
        match self {
            Self::Alone(_) => {}
            Self::Member(member) => member.written(polled, count),
        }
    }

    fn is_at_end(&self) -> bool {
        match self {
            Self::Alone(consumer) => consumer.is_at_end(),
            Self::Member(member) => member.is_at_end(),
        }
    }

    async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::Member(member) => member.leave().await.map_err(advised),
        }
    }
}

pub async fn run(session: Session, args: ConsumeArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let mut source = Source::open(&session, &args).await?;
    let printed = print(&mut source, &mut signals, session.printer.is_json(), &args).await;
    // Also after a failure: others need not wait for the end of its session then.
    let closed = tokio::select! {
        closed = source.close() => closed,
        _ = signals.next() => Ok(()),
    };
    let exit = printed?;
    closed.map(|()| exit)
}

async fn print(source: &mut Source, signals: &mut Signals, is_json: bool, args: &ConsumeArgs) -> Result<Exit, Failure> {
    let mut left = args.max_messages.unwrap_or(u64::MAX);
    let mut out = BufWriter::new(io::stdout().lock());
    let patience = args.timeout_ms.map_or(Duration::MAX, Duration::from_millis);
    let mut last_record = Instant::now();
    while left > 0 {
        let polled = tokio::select! {
            polled = source.poll() => polled?,
            _ = signals.next() => break,
            () = sleep(patience.saturating_sub(last_record.elapsed())) => {
                let waited_ms = patience.as_millis();
                return Err(Failure::new(Exit::Timeout, format!("no record within {waited_ms} ms")));
            }
        };
        if !polled.is_empty() {
            last_record = Instant::now();
        }
        let count = polled.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        for consumed in &polled[..count] {
            match is_json {
                true => write_json(&mut out, args, consumed)?,
                false => write_text(&mut out, args, consumed)?,
            }
        }
        left -= count as u64;
        out.flush()?;
        source.written(&polled, count);
        if args.exit_at_end && source.is_at_end() {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// What was refused, and what to do about it.
fn advised(error: ClientError) -> Failure {
    let advice = match &error {
        ClientError::Refused { code: ErrorCode::OFFSET_OUT_OF_RANGE, .. } => {
            Some("--partition names those that hold the offset; --from-beginning begins at the oldest record there is")
        }
        ClientError::Refused { code: ErrorCode::GROUP_MAX_SIZE_REACHED, .. } => {
            Some("stop another member, or raise group.consumer.max.size on the brokers")
        }
        ClientError::Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, .. } => {
            Some("the group has members of the classic protocol: stop them, or name another group")
        }
        ClientError::Refused { code: ErrorCode::GROUP_AUTHORIZATION_FAILED, .. } => {
            Some("a group that you may read, or an ACL that allows READ on this one")
        }
        ClientError::Refused { code: ErrorCode::UNSUPPORTED_ASSIGNOR, .. } => {
            Some("group.consumer.assignors on the brokers has to name an assignor that they know")
        }
        ClientError::Send(SendError::Unsupported { api: ApiKey::ConsumerGroupHeartbeat, .. }) => {
            Some("brokers with the consumer group protocol (KIP-848); without --group every record is printed")
        }
        _ => None,
    };
    let failure = Failure::from(error);
    match advice {
        Some(advice) => failure.advising(advice),
        None => failure,
    }
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
