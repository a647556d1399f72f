//! Every served API in every version, asked for extremes: no request may end a node, keep it from others, or be answered
//! with much more than it brought.

mod maker;
#[path = "../../../../crates/wire/build/parse.rs"]
#[allow(dead_code)]
mod parse;
#[path = "../../../../crates/wire/build/schema.rs"]
#[allow(dead_code)]
mod schema;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::probe::{connect, exchange, request};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, scenario};

use maker::{Case, Existing, has_arrays};
use schema::{Kind, Message};

const TOPIC: &str = "existing";
const BESIDE: &str = "beside";
const GROUP: &str = "group";
const MANY: usize = 20_000;
/// In versions other than the newest, which mostly differ in a field or two.
const SOME: usize = 200;
/// A second is what a release build on a machine of its own is held to. A debug build takes ten times as long, and shares two
/// cores with the cluster's other nodes and whatever else is being tested.
const ANSWERED_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });
/// What a client beside all that has to wait at most; the longest of all acknowledgements counts.
const SERVED_WITHIN_MS: i64 = if cfg!(debug_assertions) { 15_000 } else { 2_000 };
const ANSWER_BYTES_FREE: usize = 1 << 20;
const ANSWER_RATIO_MAX: usize = 8;

struct Asked {
    key: i16,
    name: String,
    version: i16,
    case: Case,
}

/// The requests by their API's key.
fn requests() -> Result<BTreeMap<i16, Message>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/kafka");
    let mut requests = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "schema") {
            continue;
        }
        let file = parse::parse(&path.to_string_lossy(), &std::fs::read_to_string(&path)?);
        if let Some(api) = file.api {
            requests.extend(file.messages.into_iter().find(|one| one.kind == Kind::Request).map(|one| (api.key, one)));
        }
    }
    Ok(requests)
}

/// Keys and versions as the node advertises them.
fn served(address: &str) -> Result<Vec<(i16, i16, i16)>> {
    let answer = exchange(&mut connect(address)?, &request(18, 0).frame())?;
    let versions = answer[6..].chunks_exact(6).map(|api| {
        let number = |at: usize| i16::from_be_bytes([api[at], api[at + 1]]);
        (number(0), number(2), number(4))
    });
    Ok(versions.collect())
}

fn cases(message: &Message, version: i16, is_newest: bool) -> Vec<Case> {
    let mut cases = vec![Case::Empty, Case::Null, Case::Longest, Case::Least, Case::Greatest];
    let (has_any, has_inner) = has_arrays(message, version);
    let count = if is_newest { MANY } else { SOME };
    if has_any {
        cases.extend([Case::NegativeCount, Case::ForgedCount, Case::Equal(count), Case::Unknown(count)]);
    }
    if has_inner {
        cases.extend([Case::EqualInside(count), Case::UnknownInside(count)]);
    }
    cases
}

/// Everything there is to ask a node, in the order of the keys.
fn everything(address: &str) -> Result<Vec<(Asked, Message)>> {
    let mut requests = requests()?;
    let mut all = Vec::new();
    for (key, first, last) in served(address)? {
        let message = requests.remove(&key).with_context(|| format!("no schema of API {key}"))?;
        let newest = last.min(message.versions.max);
        for version in first.max(message.versions.min)..=newest {
            for case in cases(&message, version, version == newest) {
                let asked = Asked { key, name: message.root().name.clone(), version, case };
                all.push((asked, message.clone()));
            }
        }
    }
    Ok(all)
}

/// Sends one request on a connection of its own; the size of the answer, or `None` if it was refused by a disconnect.
fn ask(address: &str, asked: &Asked, message: &Message, existing: &mut Existing) -> Result<Option<usize>> {
    if asked.name == "JoinGroupRequest" {
        // Whoever joins a group that has members waits for them, and those of earlier requests are gone.
        existing.group.push('x');
    }
    let body = maker::request(message, asked.version, asked.case, existing);
    let header = request(asked.key, asked.version);
    // From its second version on a request's header has tagged fields.
    let header = if message.is_flexible(asked.version) { header.int8(0) } else { header };
    let frame = header.raw(&body).frame();
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    let began = Instant::now();
    stream.write_all(&frame)?;
    let answered = answer_size(&mut stream);
    let took = began.elapsed();
    let size = answered.with_context(|| format!("no answer within {took:?}"))?;
    if let Some(size) = size {
        let size_max = frame.len() * ANSWER_RATIO_MAX + ANSWER_BYTES_FREE;
        ensure!(size <= size_max, "{} bytes are answered with {size}", frame.len());
    }
    ensure!(took < ANSWERED_WITHIN, "the answer took {took:?}");
    if took > Duration::from_secs(1) {
        report(&format!("{} v{} {:?} took {took:?}", asked.name, asked.version, asked.case));
    }
    Ok(size)
}

fn answer_size(stream: &mut TcpStream) -> Result<Option<usize>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return Ok(None),
        read => read?,
    }
    let size = u32::from_be_bytes(length) as usize;
    let mut left = stream.take(size as u64);
    ensure!(std::io::copy(&mut left, &mut std::io::sink())? == size as u64, "the answer is cut off");
    Ok(Some(size))
}

fn existing(cluster: &Cluster) -> Result<Existing> {
    // Metadata version 10: the topic's id stands behind its error and name.
    let body = request(3, 10).int8(0).int8(2).raw(&[0; 16]).int8(TOPIC.len() as i8 + 1).raw(TOPIC.as_bytes());
    let body = body.raw(&[0, 0, 0, 0, 0]);
    let answer = exchange(&mut connect(&cluster.address(1))?, &body.frame())?;
    let name = [&[TOPIC.len() as u8 + 1], TOPIC.as_bytes()].concat();
    let at = answer.windows(name.len()).position(|window| window == name).context("the topic is not described")?;
    let topic_id = answer[at + name.len()..][..16].try_into()?;
    Ok(Existing { topic: TOPIC.to_owned(), topic_id, group: GROUP.to_owned() })
}

#[test]
fn no_request_ends_a_node_or_keeps_it_from_others() {
    let spec = Spec::brokers(3).set("group.initial.rebalance.delay.ms", "0");
    scenario(spec, |cluster| {
        if cluster.target() == Target::Kafka {
            return Ok(());
        }
        cluster.create_topic(TOPIC, 20)?;
        cluster.create_topic(BESIDE, 3)?;
        let mut existing = existing(cluster)?;
        let writer = Writer::own(cluster, BESIDE, 3);
        writer.wait_acked(10)?;
        let all = everything(&cluster.address(1))?;
        let mut refused = 0;
        for (number, (asked, message)) in all.iter().enumerate() {
            let node = number as i32 % 3 + 1;
            let what = || format!("{} v{} {:?} at node {node}", asked.name, asked.version, asked.case);
            let answered = ask(&cluster.address(node), asked, message, &mut existing).with_context(what)?;
            refused += usize::from(answered.is_none());
            cluster.check_running().with_context(what)?;
        }
        report(&format!("{} requests, {refused} of them disconnected", all.len()));
        writer.wait_acked(10)?;
        let history = writer.stop()?;
        let longest_gap_ms = history.longest_gap_ms();
        report(&format!("longest gap of a partition {longest_gap_ms} ms"));
        ensure!(longest_gap_ms < SERVED_WITHIN_MS, "a client was not served for {longest_gap_ms} ms");
        history.check_no_failure()
    });
}
