//! `tidelog topic delete`

use clap::Args;
use serde::Serialize;
use tidelog_wire::messages::DeleteTopicsRequest;
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::{ErrorCode, Str};

use crate::commands::outcome;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DeleteArgs {
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// A topic that does not exist is no failure
    #[arg(long)]
    if_exists: bool,
    /// Delete the cluster's own topics too; with __consumer_offsets go the offsets of every group
    #[arg(long)]
    internal: bool,
}

const TIMEOUT_MS: i32 = 30_000;

#[derive(Serialize)]
struct Deleted {
    topic: String,
    deleted: bool,
}

pub async fn run(session: Session, args: DeleteArgs) -> Result<Exit, Failure> {
    if !args.internal {
        refuse_internal(&session, &args.names).await?;
    }
    let names: Vec<Str> = args.names.iter().map(|name| Str::from(name.clone())).collect();
    // Newer versions name topics in `topics`, older ones in `topic_names`.
    let is_new = session.client.any().await?.version::<DeleteTopicsRequest>()? >= 6;
    let state = |name: &Str| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: if is_new { names.iter().map(state).collect() } else { Vec::new() },
        topic_names: if is_new { Vec::new() } else { names },
        timeout_ms: TIMEOUT_MS,
    };
    let response = session.client.send(&request).await?;
    let mut failures = Vec::new();
    let mut deleted = Vec::new();
    for result in &response.responses {
        let topic = result.name.as_deref().unwrap_or_default().to_owned();
        let is_missing = result.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        if result.error_code.is_none() || (is_missing && args.if_exists) {
            deleted.push(Deleted { topic, deleted: !is_missing });
        } else {
            let what = format!("cannot delete topic {topic}");
            failures.push(Failure::refused(what, result.error_code, result.error_message.as_deref()));
        }
    }
    if session.printer.is_json() {
        session.printer.json(&deleted)?;
    } else {
        for item in &deleted {
            let outcome = if item.deleted { "Deleted topic" } else { "There is no topic" };
            session.printer.line(&format!("{outcome} {}.", item.topic))?;
        }
    }
    outcome(args.names.len(), failures)
}

async fn refuse_internal(session: &Session, names: &[String]) -> Result<(), Failure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let metadata = session.client.metadata(Some(&names), false).await?;
    match metadata.topics.iter().find(|topic| topic.is_internal && topic.error_code.is_none()) {
        None => Ok(()),
        Some(topic) => {
            let name = topic.name.as_deref().unwrap_or_default();
            Err(Failure::usage(format!("{name} is the cluster's own topic, nothing was deleted"))
                .advising("--internal, if what it holds may go: of __consumer_offsets, the offsets of every group"))
        }
    }
}
