//! `tidelog topic describe`

use clap::Args;
use serde::Serialize;
use tidelog_wire::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

use crate::commands::config::entries::{ConfigValue, ResourceKind, describe};
use crate::commands::outcome;
use crate::commands::redundancy::Redundancy;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// Default: all topics
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,
    /// Only partitions with fewer in-sync replicas than replicas
    #[arg(long)]
    under_replicated: bool,
}

#[derive(Serialize)]
struct Described {
    topic: String,
    topic_id: String,
    replication_factor: usize,
    /// Only what is set on the topic itself.
    configs: std::collections::BTreeMap<String, String>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
    under_replicated: bool,
    /// What a move adds and removes; both empty if none is under way.
    adding: Vec<i32>,
    removing: Vec<i32>,
}

pub async fn run(session: Session, args: DescribeArgs) -> Result<Exit, Failure> {
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let asked = if names.is_empty() { None } else { Some(names.as_slice()) };
    let metadata = session.client.metadata(asked, false).await?;
    let redundancy = Redundancy::of(&session.client, &metadata).await;
    let mut failures = Vec::new();
    let mut topics = Vec::new();
    for topic in &metadata.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        if !topic.error_code.is_none() {
            let what = format!("cannot describe topic {name}");
            failures.push(
                Failure::refused(what, topic.error_code, None)
                    .advising("`tidelog topic list` shows the topics there are"),
            );
            continue;
        }
        let configs = describe(&session.client, ResourceKind::Topic, name).await?;
        topics.push(described(topic, configs, &redundancy));
    }
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    if args.under_replicated {
        topics.iter_mut().for_each(|topic| topic.partitions.retain(|partition| partition.under_replicated));
        topics.retain(|topic| !topic.partitions.is_empty());
    }
    if session.printer.is_json() {
        session.printer.json(&topics)?;
    } else {
        for topic in &topics {
            print(&session, topic)?;
        }
    }
    outcome(args.names.len().max(failures.len()), failures)
}

fn described(topic: &MetadataResponseTopic, configs: Vec<ConfigValue>, redundancy: &Redundancy) -> Described {
    let name = topic.name.as_deref().unwrap_or_default();
    let factor = |partition| redundancy.replication_factor(name, partition);
    let replication_factor = topic.partitions.iter().min_by_key(|p| p.partition_index).map_or(0, factor);
    let mut partitions: Vec<Partition> = topic.partitions.iter().map(|p| partition(name, p, redundancy)).collect();
    partitions.sort_by_key(|partition| partition.partition);
    Described {
        topic: name.to_owned(),
        topic_id: topic.topic_id.to_string(),
        replication_factor,
        configs: configs
            .into_iter()
            .filter(ConfigValue::is_set_on_topic)
            .map(|config| (config.name, config.value.unwrap_or_default()))
            .collect(),
        partitions,
    }
}

fn partition(topic: &str, partition: &MetadataResponsePartition, redundancy: &Redundancy) -> Partition {
    let (adding, removing) =
        redundancy.moving(topic, partition).map(|m| (m.adding.clone(), m.removing.clone())).unwrap_or_default();
    Partition {
        partition: partition.partition_index,
        leader: (partition.leader_id >= 0).then_some(partition.leader_id),
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes.clone(),
        isr: partition.isr_nodes.clone(),
        offline: partition.offline_replicas.clone(),
        under_replicated: redundancy.is_short(topic, partition),
        adding,
        removing,
    }
}

fn print(session: &Session, topic: &Described) -> Result<(), Failure> {
    let printer = &session.printer;
    printer.styled_line(&topic.topic, Style::Strong)?;
    printer.line(&format!("  id {}, replication factor {}", topic.topic_id, topic.replication_factor))?;
    for (key, value) in &topic.configs {
        printer.line(&format!("  {key}={value}"))?;
    }
    let mut table = Table::new(["  PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "STATE"]);
    for partition in &topic.partitions {
        let is_moving = !partition.adding.is_empty() || !partition.removing.is_empty();
        let (state, style) = match partition.leader {
            None => ("offline", Style::Bad),
            Some(_) if partition.under_replicated => ("under-replicated", Style::Bad),
            Some(_) if is_moving => ("moving", Style::Good),
            Some(_) => ("ok", Style::Good),
        };
        let isr_style = if partition.under_replicated { Style::Bad } else { Style::Plain };
        table.row([
            Cell::number(partition.partition),
            Cell::number(partition.leader.map_or("none".to_owned(), |leader| leader.to_string())),
            Cell::number(partition.leader_epoch),
            Cell::text(joined(&partition.replicas)),
            Cell::text(joined(&partition.isr)).styled(isr_style),
            Cell::text(state).styled(style),
        ]);
    }
    printer.table(&table)?;
    Ok(())
}

fn joined(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(",")
}
