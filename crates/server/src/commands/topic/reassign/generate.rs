//! `tidelog topic reassign generate`

use std::io;

use clap::Args;
use tidelog_wire::messages::MetadataResponse;

use crate::commands::moves::cluster::{assignment, brokers, ongoing, targets};
use crate::commands::moves::plan::{Spread, Targets, changes, plan};
use crate::commands::moves::plan_file::written;
use crate::commands::moves::show::{plan_sentence, plan_table};
use crate::commands::pattern::matches;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Topics to move; * and ? stand for any text and any character
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    topics: Vec<String>,
    /// Brokers to spread them over; default: all that are in service
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    to_brokers: Vec<i32>,
}

/// The plan goes to standard output, to be kept in a file; what it means goes to standard error.
pub async fn run(session: Session, args: GenerateArgs) -> Result<Exit, Failure> {
    let client = &session.client;
    let metadata = client.metadata(None, false).await?;
    let chosen = chosen_targets(&session, &metadata, &args.to_brokers).await?;
    let mut current = assignment(&metadata, &ongoing(client).await?);
    for wanted in &args.topics {
        if !current.keys().any(|(topic, _)| matches(wanted, topic)) {
            return Err(Failure::new(Exit::NotFound, format!("there is no topic {wanted}"))
                .advising("`tidelog topic list` shows the topics there are"));
        }
    }
    current.retain(|(topic, _), _| args.topics.iter().any(|wanted| matches(wanted, topic)));
    let planned = plan(&current, &chosen, Spread::Even).map_err(|why| {
        Failure::new(Exit::Failed, format!("cannot spread the topics: {why}"))
            .advising("name more brokers, or topics with a lower replication factor")
    })?;
    let changed = changes(&current, &planned);
    if changed.is_empty() {
        eprintln!("Nothing to move: the topics are spread evenly already.");
        return Ok(Exit::Ok);
    }
    if !session.printer.is_json() {
        let table = plan_table(&current, &changed).render(false);
        io::Write::write_all(&mut io::stderr(), table.as_bytes())?;
        eprintln!("{}; `tidelog topic reassign execute FILE` starts it.", plan_sentence(&current, &changed));
    }
    session.printer.line(&written(&changed))?;
    Ok(Exit::Ok)
}

async fn chosen_targets(
    session: &Session,
    metadata: &MetadataResponse,
    to_brokers: &[i32],
) -> Result<Targets, Failure> {
    let mut in_service = targets(&brokers(&session.client, metadata).await?);
    if let Some(unknown) = to_brokers.iter().find(|id| !in_service.contains_key(id)) {
        return Err(Failure::new(Exit::NotFound, format!("broker {unknown} is not in service"))
            .advising("`tidelog broker list` shows the brokers there are"));
    }
    in_service.retain(|id, _| to_brokers.is_empty() || to_brokers.contains(id));
    Ok(in_service)
}
