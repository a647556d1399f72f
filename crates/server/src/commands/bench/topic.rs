//! The topic of a benchmark: made if it is not there, used once every partition has its leader and replicas.

use clap::Args;
use tidelog_wire::messages::CreateTopicsRequest;
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::{ErrorCode, Str};
use tokio::time::{Duration, Instant, sleep};

use crate::commands::parse_pair;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct TopicArgs {
    #[arg(long, short = 't', default_value = "bench")]
    pub topic: String,
    /// Of a topic that does not exist yet
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Of a topic that does not exist yet; default: the cluster's
    #[arg(long, short = 'r', default_value_t = -1, allow_hyphen_values = true)]
    replication_factor: i16,
    /// Of a topic that does not exist yet, may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", value_parser = parse_pair)]
    configs: Vec<(String, String)>,
}

const READY_WITHIN: Duration = Duration::from_secs(60);

pub async fn ensure(session: &Session, args: &TopicArgs) -> Result<(), Failure> {
    let config = |(key, value): &(String, String)| CreatableTopicConfig {
        name: Str::from(key.clone()),
        value: Some(Str::from(value.clone())),
    };
    let topic = CreatableTopic {
        name: Str::from(args.topic.clone()),
        num_partitions: args.partitions,
        replication_factor: args.replication_factor,
        configs: args.configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only: false };
    for result in session.client.send(&request).await?.topics {
        if !matches!(result.error_code, ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS) {
            let what = format!("cannot create topic {}", args.topic);
            return Err(Failure::refused(what, result.error_code, result.error_message.as_deref()));
        }
    }
    wait_until_ready(session, &args.topic).await
}

async fn wait_until_ready(session: &Session, topic: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        let metadata = session.client.metadata(Some(&[topic]), false).await?;
        let partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let waiting =
            partitions.clone().filter(|p| p.leader_id < 0 || p.isr_nodes.len() < p.replica_nodes.len()).count();
        if waiting == 0 && partitions.count() > 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(Failure::new(Exit::Timeout, format!("topic {topic} has partitions without leader or replicas"))
        .advising("`tidelog cluster health` shows what is missing"))
}
