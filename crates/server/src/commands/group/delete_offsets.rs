//! `tidelog group delete-offsets`

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::Serialize;
use tidelog_client::{Client, ClientError};
use tidelog_wire::messages::OffsetDeleteRequest;
use tidelog_wire::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use tidelog_wire::{ErrorCode, Str};

use super::committed::{TopicPartition, committed};
use super::scope::TopicScope;
use crate::commands::outcome;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DeleteOffsetsArgs {
    #[arg(value_name = "GROUP")]
    group: String,
    /// A topic, or some of its partitions: t or t:0,1; may be repeated
    #[arg(long = "topic", short = 't', value_name = "TOPIC[:PARTITIONS]", required = true)]
    topics: Vec<TopicScope>,
}

#[derive(Serialize)]
struct Deleted {
    topic: String,
    partition: i32,
}

pub async fn run(session: Session, args: DeleteOffsetsArgs) -> Result<Exit, Failure> {
    let wanted = wanted(&session.client, &args).await?;
    let answers = delete(&session.client, &args.group, &wanted).await.map_err(|error| match &error {
        ClientError::Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, .. } => {
            Failure::from(error).advising("`tidelog group list` shows the groups there are")
        }
        _ => error.into(),
    })?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for ((topic, partition), code) in answers {
        let what = format!("cannot delete the offset of {topic}-{partition}");
        match code {
            ErrorCode::NONE => done.push(Deleted { topic, partition }),
            ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC => failures
                .push(Failure::refused(what, code, None).advising("stop the group's consumers of this topic first")),
            code => failures.push(Failure::refused(what, code, None)),
        }
    }
    if session.printer.is_json() {
        session.printer.json(&done)?;
    } else {
        for item in &done {
            session.printer.line(&format!("Deleted the offset of {}-{}.", item.topic, item.partition))?;
        }
    }
    outcome(wanted.len(), failures)
}

/// What the group has committed of the topics; partitions named one by one as they are. The topics need not exist any more.
async fn wanted(client: &Client, args: &DeleteOffsetsArgs) -> Result<BTreeSet<TopicPartition>, Failure> {
    let mut wanted = BTreeSet::new();
    let offsets = committed(client, &args.group).await?;
    for scope in &args.topics {
        match scope.partitions.is_empty() {
            true => wanted.extend(offsets.keys().filter(|(topic, _)| *topic == scope.topic).cloned()),
            false => wanted.extend(scope.partitions.iter().map(|partition| (scope.topic.clone(), *partition))),
        }
    }
    if wanted.is_empty() {
        let topics: Vec<&str> = args.topics.iter().map(|scope| scope.topic.as_str()).collect();
        let message = format!("group {} has no offsets of {}", args.group, topics.join(", "));
        return Err(Failure::new(Exit::NotFound, message)
            .advising(format!("`tidelog group describe {}` shows what it has", args.group)));
    }
    Ok(wanted)
}

async fn delete(
    client: &Client,
    group: &str,
    wanted: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, ErrorCode>, ClientError> {
    let what = format!("cannot delete offsets of group {group}");
    let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for (topic, partition_index) in wanted {
        topics.entry(topic).or_default().push(OffsetDeleteRequestPartition { partition_index: *partition_index });
    }
    let topic =
        |(name, partitions): (&str, _)| OffsetDeleteRequestTopic { name: Str::from(name.to_owned()), partitions };
    let request =
        &OffsetDeleteRequest { group_id: Str::from(group.to_owned()), topics: topics.into_iter().map(topic).collect() };
    let what = what.as_str();
    client
        .ask_coordinator(what, group, |connection| async move {
            let response = connection.send(request).await?;
            if !response.error_code.is_none() {
                return Err(ClientError::refused(what, response.error_code));
            }
            let answers = response.topics.iter().flat_map(|topic| {
                let of = |partition: i32| (topic.name.to_string(), partition);
                topic.partitions.iter().map(move |answer| (of(answer.partition_index), answer.error_code))
            });
            Ok(answers.collect())
        })
        .await
}
