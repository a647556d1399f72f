//! `tidelog group describe`

use std::collections::BTreeMap;

use clap::Args;
use futures::StreamExt;
use futures::stream;
use serde::Serialize;
use tidelog_client::Client;

use super::committed::TopicPartition;
use super::lag::TotalLag;
use super::listing::select;
use super::progress::{Progress, progress};
use super::state::{GroupState, expect};
use super::{describe_view, member};
use crate::commands::outcome;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// Names, or patterns in quotes (* any text, ? any character); default: all groups
    #[arg(value_name = "GROUP")]
    names: Vec<String>,
    /// Offsets and lag by partition, topic and in total (what is shown if nothing else is asked for)
    #[arg(long, conflicts_with_all = ["members", "state"])]
    offsets: bool,
    /// Members and what is assigned to them
    #[arg(long, conflicts_with = "state")]
    members: bool,
    /// State, assignor, epochs and coordinator
    #[arg(long)]
    state: bool,
}

/// Groups that are asked for at the same time.
const GROUPS_IN_FLIGHT: usize = 8;

#[derive(Serialize)]
pub struct Described {
    #[serde(flatten)]
    pub state: GroupState,
    /// Absent where only members or the state were asked for.
    #[serde(flatten)]
    pub offsets: Option<OffsetsView>,
}

#[derive(Serialize)]
pub struct OffsetsView {
    pub partitions: Vec<PartitionView>,
    pub topics: Vec<TopicView>,
    #[serde(flatten)]
    pub total: TotalLag,
}

#[derive(Serialize)]
pub struct PartitionView {
    pub topic: String,
    pub partition: i32,
    pub offset: Option<i64>,
    pub log_start: Option<i64>,
    pub log_end: Option<i64>,
    pub lag: Option<i64>,
    /// Age of the next unread record.
    pub lag_ms: Option<i64>,
    pub member_id: Option<String>,
}

#[derive(Serialize)]
pub struct TopicView {
    pub topic: String,
    #[serde(flatten)]
    pub total: TotalLag,
}

pub async fn run(session: Session, args: DescribeArgs) -> Result<Exit, Failure> {
    let groups = select(&session.client, &args.names).await?;
    let wants_offsets = !args.members && !args.state;
    let describing = groups.iter().map(|group| describe(&session.client, group, wants_offsets));
    let all: Vec<Result<Described, Failure>> = stream::iter(describing).buffered(GROUPS_IN_FLIGHT).collect().await;
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for group in all {
        match group {
            Ok(group) => described.push(group),
            Err(failure) => failures.push(failure),
        }
    }
    let printer = &session.printer;
    if printer.is_json() {
        printer.json(&described)?;
    } else if args.state {
        describe_view::states(printer, &described)?;
    } else if args.members {
        described.iter().try_for_each(|group| describe_view::members(printer, group))?;
    } else {
        described.iter().try_for_each(|group| describe_view::offsets(printer, group))?;
    }
    outcome(groups.len(), failures)
}

async fn describe(client: &Client, group: &str, wants_offsets: bool) -> Result<Described, Failure> {
    let state = expect(client, group).await?;
    let offsets = match wants_offsets {
        true => Some(offsets_view(&state, progress(client, &state).await?)),
        false => None,
    };
    Ok(Described { state, offsets })
}

fn offsets_view(state: &GroupState, progress: BTreeMap<TopicPartition, Progress>) -> OffsetsView {
    let mut total = TotalLag::default();
    let mut topics: BTreeMap<String, TotalLag> = BTreeMap::new();
    let mut partitions = Vec::new();
    for ((topic, partition), found) in progress {
        let (position, lag_ms) = (found.position, found.lag_ms);
        let lag = position.lag();
        total.add(lag, lag_ms);
        topics.entry(topic.clone()).or_default().add(lag, lag_ms);
        let owner = state.members.iter().find(|member: &&member::Member| member.owns(&topic, partition));
        partitions.push(PartitionView {
            partition,
            offset: position.committed,
            log_start: position.log_start,
            log_end: position.log_end,
            lag,
            lag_ms,
            member_id: owner.map(|member| member.member_id.clone()),
            topic,
        });
    }
    let topics = topics.into_iter().map(|(topic, total)| TopicView { topic, total }).collect();
    OffsetsView { partitions, topics, total }
}
