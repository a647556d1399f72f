//! `tidelog topic create`

use clap::Args;
use serde::Serialize;
use tidelog_wire::messages::CreateTopicsRequest;
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::create_topics_response::CreatableTopicResult;
use tidelog_wire::{ErrorCode, Str};

use crate::commands::{outcome, parse_pair};
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct CreateArgs {
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Default: the cluster's num.partitions
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Default: the cluster's default.replication.factor
    #[arg(long, short = 'r', value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Topic configuration, may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", value_parser = parse_pair)]
    configs: Vec<(String, String)>,
    /// A topic that exists already is no failure
    #[arg(long)]
    if_not_exists: bool,
}

const TIMEOUT_MS: i32 = 30_000;

#[derive(Serialize)]
struct Created {
    topic: String,
    topic_id: String,
    partitions: i32,
    replication_factor: i16,
    created: bool,
}

pub async fn run(session: Session, args: CreateArgs) -> Result<Exit, Failure> {
    let request = CreateTopicsRequest {
        topics: args.names.iter().map(|name| topic(name, &args)).collect(),
        timeout_ms: TIMEOUT_MS,
        validate_only: false,
    };
    let response = session.client.send(&request).await?;
    let mut failures = Vec::new();
    let mut created = Vec::new();
    for result in &response.topics {
        let exists = result.error_code == ErrorCode::TOPIC_ALREADY_EXISTS;
        if result.error_code.is_none() || (exists && args.if_not_exists) {
            created.push(shown(result));
        } else {
            failures.push(failure(result));
        }
    }
    if session.printer.is_json() {
        session.printer.json(&created)?;
    } else {
        for topic in &created {
            session.printer.line(&sentence(topic))?;
        }
    }
    outcome(args.names.len(), failures)
}

fn topic(name: &str, args: &CreateArgs) -> CreatableTopic {
    let config = |(key, value): &(String, String)| CreatableTopicConfig {
        name: Str::from(key.clone()),
        value: Some(Str::from(value.clone())),
    };
    CreatableTopic {
        name: Str::from(name.to_owned()),
        num_partitions: args.partitions.unwrap_or(-1),
        replication_factor: args.replication_factor.unwrap_or(-1),
        configs: args.configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn shown(result: &CreatableTopicResult) -> Created {
    Created {
        topic: result.name.to_string(),
        topic_id: result.topic_id.to_string(),
        partitions: result.num_partitions,
        replication_factor: result.replication_factor,
        created: result.error_code.is_none(),
    }
}

fn sentence(topic: &Created) -> String {
    match topic.created {
        false => format!("Topic {} exists already.", topic.topic),
        true => format!(
            "Created topic {} with {} and replication factor {}.",
            topic.topic,
            match topic.partitions {
                1 => "1 partition".to_owned(),
                count => format!("{count} partitions"),
            },
            topic.replication_factor
        ),
    }
}

fn failure(result: &CreatableTopicResult) -> Failure {
    let what = format!("cannot create topic {}", result.name);
    let failure = Failure::refused(what, result.error_code, result.error_message.as_deref());
    match result.error_code {
        ErrorCode::TOPIC_ALREADY_EXISTS => failure.advising("--if-not-exists, or `tidelog topic alter` to change it"),
        ErrorCode::INVALID_REPLICATION_FACTOR => {
            failure.advising("`tidelog cluster status` shows how many brokers there are")
        }
        _ => failure,
    }
}
