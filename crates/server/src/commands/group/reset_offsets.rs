//! `tidelog group reset-offsets`: shows where it would put a group's offsets, and puts them there if told to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde::Serialize;
use tidelog_client::{Client, OffsetOf};

use super::committed::{Offsets, TopicPartition, commit, committed};
use super::lag::Position;
use super::listing::select;
use super::progress::{Bounds, bounds};
use super::reset::{Goal, new_offset};
use super::scope::{TopicScope, resolve};
use super::{csv, state};
use crate::commands::outcome;
use crate::commands::produce::now_ms;
use crate::commands::time::{parse_datetime, parse_duration};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("goal").required(true))]
pub struct ResetOffsetsArgs {
    /// Names, or patterns in quotes: * and ? stand for any text and any character
    #[arg(required = true, value_name = "GROUP")]
    names: Vec<String>,
    /// A topic, or some of its partitions: t or t:0,1; may be repeated
    #[arg(long = "topic", short = 't', value_name = "TOPIC[:PARTITIONS]", conflicts_with_all = ["all_topics", "from_file"])]
    topics: Vec<TopicScope>,
    /// Every partition the group has an offset of
    #[arg(long, conflicts_with = "from_file")]
    all_topics: bool,
    /// To the oldest records there are
    #[arg(long, group = "goal")]
    to_earliest: bool,
    /// To the end: only records to come
    #[arg(long, group = "goal")]
    to_latest: bool,
    /// To where the offsets are (with --export, to keep them)
    #[arg(long, group = "goal")]
    to_current: bool,
    /// To this offset
    #[arg(long, group = "goal", value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record of this time or later: 2026-11-22T21:00:00, UTC if it names no zone
    #[arg(long, group = "goal", value_name = "DATETIME", value_parser = parse_datetime)]
    to_datetime: Option<i64>,
    /// To the first record younger than this: PT1H30M, or 90m
    #[arg(long, group = "goal", value_name = "DURATION", value_parser = parse_duration)]
    by_duration: Option<i64>,
    /// So many records on, or back if negative
    #[arg(long, group = "goal", value_name = "RECORDS", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the offsets of a file of topic,partition,offset lines (group,topic,partition,offset for several groups)
    #[arg(long, group = "goal", value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Commit the new offsets; without it they are only shown
    #[arg(long)]
    execute: bool,
    /// Print the new offsets in the form --from-file reads, and nothing else
    #[arg(long)]
    export: bool,
}

#[derive(Serialize)]
struct Reset {
    group: String,
    executed: bool,
    offsets: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    topic: String,
    partition: i32,
    old: Option<i64>,
    new: i64,
    /// The wanted offset was outside the log.
    clipped: bool,
}

impl Reset {
    fn new_offsets(&self) -> Offsets {
        self.offsets.iter().map(|change| ((change.topic.clone(), change.partition), change.new)).collect()
    }
}

pub async fn run(session: Session, args: ResetOffsetsArgs) -> Result<Exit, Failure> {
    if args.topics.is_empty() && !args.all_topics && args.from_file.is_none() {
        return Err(
            Failure::usage("which topics?").advising("--topic TOPIC[:PARTITIONS], --all-topics or --from-file FILE")
        );
    }
    let groups = select(&session.client, &args.names).await?;
    let files = read_file(&args, &groups)?;
    let (mut resets, mut failures) = (Vec::new(), Vec::new());
    for group in &groups {
        match reset(&session.client, &args, group, files.as_ref()).await {
            Ok(reset) => resets.push(reset),
            Err(failure) => failures.push(failure),
        }
    }
    print(&session, &args, &resets)?;
    outcome(groups.len(), failures)
}

fn read_file(args: &ResetOffsetsArgs, groups: &[String]) -> Result<Option<BTreeMap<String, Offsets>>, Failure> {
    let Some(path) = &args.from_file else { return Ok(None) };
    let failed = |why: String| Failure::usage(format!("cannot use {}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let only = (groups.len() == 1).then(|| groups[0].as_str());
    csv::parsed(&text, only).map(Some).map_err(failed)
}

impl ResetOffsetsArgs {
    fn goal(&self) -> Option<Goal> {
        let flags =
            [(self.to_earliest, Goal::Earliest), (self.to_latest, Goal::Latest), (self.to_current, Goal::Current)];
        let flag = flags.into_iter().find(|(is_set, _)| *is_set).map(|(_, goal)| goal);
        flag.or(self.to_offset.map(Goal::Offset))
            .or(self.shift_by.map(Goal::ShiftBy))
            .or(self.to_datetime.map(Goal::Time))
            .or(self.by_duration.map(|ms| Goal::Time(now_ms() - ms)))
    }
}

async fn reset(
    client: &Client,
    args: &ResetOffsetsArgs,
    group: &str,
    files: Option<&BTreeMap<String, Offsets>>,
) -> Result<Reset, Failure> {
    refuse_if_active(client, group).await?;
    let old = committed(client, group).await?;
    let from_file = files.map(|files| files.get(group).cloned().unwrap_or_default());
    let partitions = match &from_file {
        Some(offsets) => offsets.keys().cloned().collect(),
        None if args.all_topics => old.keys().cloned().collect(),
        None => resolve(client, &args.topics).await?,
    };
    if partitions.is_empty() {
        let message = format!("group {group} has no offsets to reset");
        return Err(Failure::new(Exit::NotFound, message).advising("--topic TOPIC gives it offsets of a topic"));
    }
    let positions = positions(client, &partitions, &old).await?;
    let at_time = match args.goal() {
        Some(Goal::Time(timestamp_ms)) => client.list_offsets(partitions, OffsetOf::Timestamp(timestamp_ms)).await,
        _ => BTreeMap::new(),
    };
    let mut offsets = Vec::new();
    for (key, position) in positions {
        let goal = args.goal().or_else(|| Some(Goal::Offset(*from_file.as_ref()?.get(&key)?)));
        let goal = goal.ok_or_else(|| Failure::usage("no target given: use --to-earliest, --to-latest, --to-offset, --shift-by, --to-datetime, --by-duration or --from-file"))?;
        let at_time = at_time.get(&key).and_then(|found| found.as_ref().ok().copied());
        let (topic, partition) = key;
        let new = new_offset(goal, &position, at_time).map_err(|why| {
            Failure::new(Exit::Failed, format!("cannot reset group {group} in {topic}-{partition}: {why}"))
        })?;
        offsets.push(Change { topic, partition, old: position.committed, new: new.offset, clipped: new.was_clipped });
    }
    let reset = Reset { group: group.to_owned(), executed: args.execute, offsets };
    if args.execute {
        commit(client, group, &reset.new_offsets()).await?;
    }
    Ok(reset)
}

/// A member would go on from where it is, and commit over what is set here. A group that does not exist yet may be given
/// offsets to begin at.
async fn refuse_if_active(client: &Client, group: &str) -> Result<(), Failure> {
    match state::find(client, group).await? {
        Some(state) if !state.is_inactive() => {
            let members = state.members.len();
            let message = format!(
                "cannot reset group {group}: it is {} with {members} {}, who would not notice and commit over it",
                state.state,
                if members == 1 { "member" } else { "members" }
            );
            Err(Failure::new(Exit::Failed, message)
                .advising(format!("stop its consumers first; `tidelog group describe {group} --members` shows them")))
        }
        _ => Ok(()),
    }
}

async fn positions(
    client: &Client,
    partitions: &BTreeSet<TopicPartition>,
    old: &Offsets,
) -> Result<BTreeMap<TopicPartition, Position>, Failure> {
    let (starts, ends) = bounds(client, partitions).await?;
    let mut positions = BTreeMap::new();
    for partition in partitions {
        let found = |answers: &Bounds| answers.get(partition).cloned().transpose();
        let position =
            Position { committed: old.get(partition).copied(), log_start: found(&starts)?, log_end: found(&ends)? };
        positions.insert(partition.clone(), position);
    }
    Ok(positions)
}

fn print(session: &Session, args: &ResetOffsetsArgs, resets: &[Reset]) -> Result<(), Failure> {
    let printer = &session.printer;
    if args.export {
        let groups: BTreeMap<_, _> = resets.iter().map(|reset| (reset.group.clone(), reset.new_offsets())).collect();
        return Ok(printer.line(csv::written(&groups).trim_end())?);
    }
    if printer.is_json() {
        return Ok(printer.json(&resets)?);
    }
    if resets.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["GROUP", "TOPIC", "PARTITION", "OLD", "NEW"]);
    let mut clipped = 0;
    for reset in resets {
        for change in &reset.offsets {
            clipped += usize::from(change.clipped);
            table.row([
                Cell::text(&reset.group),
                Cell::text(&change.topic),
                Cell::number(change.partition),
                Cell::number(change.old.map_or("-".to_owned(), |old| old.to_string())),
                Cell::number(change.new).styled(Style::Strong),
            ]);
        }
    }
    printer.table(&table)?;
    if clipped > 0 {
        eprintln!("Note: {clipped} offsets fell outside the log and were clamped to its bounds.");
    }
    if !args.execute {
        eprintln!("Nothing was changed: this was a dry run; --execute commits these offsets.");
    }
    Ok(())
}
