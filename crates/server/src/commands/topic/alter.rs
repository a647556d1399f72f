//! `tidelog topic alter`

use clap::Args;
use serde::Serialize;
use tidelog_wire::Str;
use tidelog_wire::messages::CreatePartitionsRequest;
use tidelog_wire::messages::create_partitions_request::CreatePartitionsTopic;

use crate::commands::config::entries::{ResourceKind, alter};
use crate::commands::parse_pair;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct AlterArgs {
    #[arg(value_name = "TOPIC")]
    name: String,
    /// Raise the number of partitions to this
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Set a configuration, may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", value_parser = parse_pair)]
    configs: Vec<(String, String)>,
    /// Go back to the default, may be repeated
    #[arg(long = "delete-config", value_name = "KEY")]
    deleted_configs: Vec<String>,
}

const TIMEOUT_MS: i32 = 30_000;

#[derive(Serialize)]
struct Altered<'a> {
    topic: &'a str,
    partitions: Option<i32>,
    configs_changed: usize,
}

pub async fn run(session: Session, args: AlterArgs) -> Result<Exit, Failure> {
    let configs_changed = args.configs.len() + args.deleted_configs.len();
    if args.partitions.is_none() && configs_changed == 0 {
        return Err(
            Failure::usage("nothing to alter").advising("--partitions N, --config KEY=VALUE or --delete-config KEY")
        );
    }
    if let Some(count) = args.partitions {
        add_partitions(&session, &args.name, count).await?;
    }
    if configs_changed > 0 {
        alter(&session.client, ResourceKind::Topic, &args.name, &args.configs, &args.deleted_configs).await?;
    }
    if session.printer.is_json() {
        session.printer.json(&Altered { topic: &args.name, partitions: args.partitions, configs_changed })?;
    } else {
        session.printer.line(&format!("Altered topic {}.", args.name))?;
    }
    Ok(Exit::Ok)
}

async fn add_partitions(session: &Session, name: &str, count: i32) -> Result<(), Failure> {
    let topic = CreatePartitionsTopic { name: Str::from(name.to_owned()), count, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only: false };
    let response = session.client.send(&request).await?;
    match response.results.iter().find(|result| !result.error_code.is_none()) {
        None => Ok(()),
        Some(result) => Err(Failure::refused(
            format!("cannot add partitions to topic {name}"),
            result.error_code,
            result.error_message.as_deref(),
        )),
    }
}
