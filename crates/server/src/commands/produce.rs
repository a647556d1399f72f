//! `tidelog produce TOPIC`: a record for each line of standard input.
//!
//! Lines that are there at the same moment travel in one batch; a line typed by hand leaves at once. Records with a key go to
//! the partition that Kafka's own clients would choose.

use std::io::{self, BufRead};
use std::pin::pin;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tidelog_client::{Delivered, Producer, ProducerOptions};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{Record, RecordHeader};
use tokio::sync::mpsc;

use super::parse_pair;
use super::partitioner::partition_of_key;
use crate::exit::{Exit, Failure};
use crate::output::Printer;
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ProduceArgs {
    topic: String,
    /// Splits each line into key and value at its first occurrence
    #[arg(long, short = 'K', value_name = "TEXT", conflicts_with = "key")]
    key_separator: Option<String>,
    /// The key of every record
    #[arg(long, short = 'k')]
    key: Option<String>,
    /// A header of every record, may be repeated
    #[arg(long = "header", short = 'H', value_name = "KEY=VALUE", value_parser = parse_pair)]
    headers: Vec<(String, String)>,
    /// Default: by key; without keys any, a new one for each batch
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Who must have a record before it counts: all in-sync replicas, the leader (1), nobody (0)
    #[arg(long, default_value = "all", value_parser = ["all", "-1", "1", "0"])]
    acks: String,
    #[arg(long, short = 'z', value_enum, default_value_t = Codec::None)]
    compression: Codec,
    /// lines: text. json: an object a line, {"key": …, "value": …, "headers": {…}, "partition": …}
    #[arg(long, value_enum, default_value_t = Input::Lines)]
    input: Input,
    /// Say where each batch went
    #[arg(long, short = 'v')]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::None,
            Codec::Gzip => Self::Gzip,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Zstd => Self::Zstd,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Input {
    Lines,
    Json,
}

/// Lines read ahead, and records of one round at most.
const LINES_MAX: usize = 10_000;
/// Value bytes of a batch at which the next one begins; well below max.message.bytes.
const BATCH_BYTES: usize = 512 << 10;

#[derive(Serialize)]
struct Batch<'a> {
    topic: &'a str,
    partition: i32,
    base_offset: i64,
    records: usize,
}

pub async fn run(session: Session, args: ProduceArgs) -> Result<Exit, Failure> {
    let options = ProducerOptions {
        acks: args.acks.parse().unwrap_or(-1),
        compression: args.compression.into(),
        ..Default::default()
    };
    let mut producer = Producer::new(session.client.clone(), &args.topic, options).await?;
    let partition_count = producer.partition_count().await?;
    if let Some(missing) = args.partition.filter(|asked| !usize::try_from(*asked).is_ok_and(|at| at < partition_count))
    {
        return Err(Failure::new(Exit::NotFound, format!("topic {}, partition {missing}, does not exist", args.topic))
            .advising("`tidelog topic list` shows how many partitions there are"));
    }
    let mut router = Router { partition_count, next_keyless: rand::random_range(0..partition_count.max(1)) };
    let mut input = read_stdin();
    let mut lines = Vec::new();
    let (mut sent, mut line_number) = (0, 0);
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            count = input.recv_many(&mut lines, LINES_MAX) => if count == 0 { break },
            _ = &mut interrupted => break,
        }
        let mut records = Vec::with_capacity(lines.len());
        for line in lines.drain(..) {
            line_number += 1;
            records.push(
                parse(&args, &line?).map_err(|error| error.while_doing(format!("line {line_number} of the input")))?,
            );
        }
        for round in router.rounds(args.partition, records) {
            let outcomes = producer.send_each(&round).await;
            for ((_, records), outcome) in round.iter().zip(outcomes) {
                sent += records.len();
                report(&session.printer, &args, &outcome?, records.len())?;
            }
        }
    }
    if args.verbose {
        eprintln!("{sent} records produced to {}", args.topic);
    }
    Ok(Exit::Ok)
}

fn report(printer: &Printer, args: &ProduceArgs, delivered: &Delivered, records: usize) -> Result<(), Failure> {
    let Delivered { partition, base_offset, .. } = *delivered;
    if printer.is_json() {
        printer.json_line(&Batch { topic: &args.topic, partition, base_offset, records })?;
    } else if args.verbose {
        let last_offset = base_offset + records as i64 - 1;
        eprintln!("{}-{partition}: offsets {base_offset} to {last_offset}", args.topic);
    }
    Ok(())
}

/// Reads on a thread of its own: standard input cannot be polled, and the process does not wait for it at the end.
fn read_stdin() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (lines, input) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let is_last = line.is_err();
            let line = line.map(|mut text| {
                if text.last() == Some(&b'\r') {
                    text.pop();
                }
                text
            });
            if lines.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    input
}

/// A record and the partition its line asks for.
struct Parsed {
    partition: Option<i32>,
    record: Record,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRecord {
    key: Option<String>,
    value: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    partition: Option<i32>,
}

fn parse(args: &ProduceArgs, line: &[u8]) -> Result<Parsed, Failure> {
    let mut headers: Vec<RecordHeader> = args.headers.iter().map(|(key, value)| header(key, value)).collect();
    let timestamp_ms = now_ms();
    if let Input::Json = args.input {
        let json: JsonRecord = serde_json::from_slice(line)
            .map_err(|error| Failure::usage(format!("not a JSON record: {}", reason(&error))))?;
        headers.extend(json.headers.iter().map(|(key, value)| header(key, value)));
        let key = json.key.or_else(|| args.key.clone()).map(Bytes::from);
        let record = Record { timestamp_ms, key, value: json.value.map(Bytes::from), headers, ..Default::default() };
        return Ok(Parsed { partition: json.partition, record });
    }
    let (key, value) = match &args.key_separator {
        None => (args.key.clone().map(Bytes::from), line),
        Some(separator) => {
            let at = find(line, separator.as_bytes()).ok_or_else(|| {
                let text = String::from_utf8_lossy(line).into_owned();
                Failure::usage(format!("no key separator {separator:?} in {text:?}"))
            })?;
            (Some(Bytes::copy_from_slice(&line[..at])), &line[at + separator.len()..])
        }
    };
    let value = Some(Bytes::copy_from_slice(value));
    Ok(Parsed { partition: None, record: Record { timestamp_ms, key, value, headers, ..Default::default() } })
}

/// Without the place that serde names: each line is a document of its own, so its number would always be 1.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what}, at column {}", error.column())
}

fn header(key: &str, value: &str) -> RecordHeader {
    RecordHeader { key: Bytes::from(key.to_owned()), value: Some(Bytes::from(value.to_owned())) }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// Sorts records into batches by partition.
struct Router {
    partition_count: usize,
    next_keyless: usize,
}

impl Router {
    /// Rounds of batches, each with at most one batch for a partition, so that order holds within a partition.
    fn rounds(&mut self, fixed: Option<i32>, parsed: Vec<Parsed>) -> Vec<Vec<(i32, Vec<Record>)>> {
        let keyless = (self.next_keyless % self.partition_count.max(1)) as i32;
        self.next_keyless += 1;
        let mut rounds: Vec<Vec<(i32, Vec<Record>)>> = vec![Vec::new()];
        let mut bytes = 0;
        for Parsed { partition, record } in parsed {
            let size = record.value.as_ref().map_or(0, Bytes::len) + record.key.as_ref().map_or(0, Bytes::len);
            if bytes > 0 && bytes + size > BATCH_BYTES {
                rounds.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            let by_key = || record.key.as_ref().map(|key| partition_of_key(key, self.partition_count));
            let index = partition.or(fixed).or_else(by_key).unwrap_or(keyless);
            let last = rounds.len() - 1;
            let round = &mut rounds[last];
            match round.iter_mut().find(|(to, _)| *to == index) {
                Some((_, records)) => records.push(record),
                None => round.push((index, vec![record])),
            }
        }
        rounds.retain(|round| !round.is_empty());
        rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(key: Option<&'static str>, bytes: usize) -> Parsed {
        let record = Record {
            key: key.map(|key| Bytes::from_static(key.as_bytes())),
            value: Some(Bytes::from(vec![b'x'; bytes])),
            ..Default::default()
        };
        Parsed { partition: None, record }
    }

    #[test]
    fn a_round_holds_one_batch_for_each_partition_and_big_input_takes_several() {
        let mut router = Router { partition_count: 4, next_keyless: 0 };
        let small = router.rounds(None, vec![parsed(None, 1), parsed(Some("a"), 1), parsed(None, 1)]);
        assert_eq!(small.len(), 1);
        let records: usize = small[0].iter().map(|(_, records)| records.len()).sum();
        assert_eq!(records, 3);
        let big = router.rounds(Some(2), (0..3).map(|_| parsed(None, BATCH_BYTES - 1)).collect());
        assert_eq!(big.len(), 3);
        assert!(big.iter().all(|round| round.len() == 1 && round[0].0 == 2));
    }

    #[test]
    fn what_is_wrong_with_json_names_no_line_but_the_inputs() {
        let error = serde_json::from_str::<JsonRecord>(r#"{"value": 5}"#).map(drop).unwrap_err();
        assert_eq!(reason(&error), "invalid type: integer `5`, expected a string, at column 11");
    }

    #[test]
    fn keyless_records_go_around() {
        let mut router = Router { partition_count: 2, next_keyless: 0 };
        let to: Vec<i32> = (0..4).map(|_| router.rounds(None, vec![parsed(None, 1)])[0][0].0).collect();
        assert_eq!(to, [0, 1, 0, 1]);
    }
}
