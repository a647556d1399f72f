//! `tidelog broker decommission`: a broker leaves for good.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::UnregisterBrokerRequest;
use tokio::time::Instant;

use super::drain::{self, DrainArgs};
use crate::commands::cluster::quorum::voters;
use crate::commands::moves::cluster::brokers;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DecommissionArgs {
    #[command(flatten)]
    drain: DrainArgs,
    /// How long to wait for the broker to be stopped
    #[arg(long, value_name = "S", default_value_t = 600)]
    stop_timeout_s: u64,
}

const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct Decommissioned {
    broker: i32,
    unregistered: bool,
}

pub async fn run(session: Session, args: DecommissionArgs) -> Result<Exit, Failure> {
    let id = args.drain.id;
    if args.drain.dry_run {
        return drain::run(session, args.drain).await;
    }
    let work = drain::prepare(&session, &args.drain).await?;
    drain::carry_out(&session, &args.drain, &work).await?;
    let is_left_to_do = args.drain.no_wait && (!work.planned.is_empty() || is_alive(&session, id).await?);
    if is_left_to_do {
        eprintln!("Once `tidelog topic reassign status` shows no more moves, stop broker {id} and run this again.");
    } else {
        wait_until_stopped(&session, id, Duration::from_secs(args.stop_timeout_s)).await?;
        unregister(&session, id).await?;
    }
    let printer = &session.printer;
    if printer.is_json() {
        printer.json(&Decommissioned { broker: id, unregistered: !is_left_to_do })?;
    } else if !is_left_to_do {
        printer.line(&format!("The cluster has forgotten broker {id}."))?;
    }
    Ok(Exit::Ok)
}

/// Told to stop by its owner: there is no request for that, and a broker that is unregistered while it runs comes back.
async fn wait_until_stopped(session: &Session, id: i32, patience: Duration) -> Result<(), Failure> {
    if !is_alive(session, id).await? {
        return Ok(());
    }
    eprintln!("Broker {id} holds nothing any more. Stop it now.");
    if voters(session).await.is_ok_and(|voters| voters.contains(&id)) {
        eprintln!("Note: node {id} is also a voter of the controller quorum, which this does not change.");
    }
    let deadline = Instant::now() + patience;
    while is_alive(session, id).await? {
        if Instant::now() >= deadline {
            let message = format!("broker {id} has not been stopped within {} s", patience.as_secs());
            return Err(Failure::new(Exit::Timeout, message).advising("stop it and run the same command again"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn is_alive(session: &Session, id: i32) -> Result<bool, Failure> {
    let metadata = session.client.metadata(Some(&[]), false).await?;
    Ok(brokers(&session.client, &metadata).await?.iter().any(|broker| broker.id == id && broker.is_alive))
}

async fn unregister(session: &Session, id: i32) -> Result<(), Failure> {
    let response = session.client.send(&UnregisterBrokerRequest { broker_id: id }).await?;
    match response.error_code {
        // Forgotten already, by an earlier run perhaps: that is what was asked for.
        ErrorCode::NONE | ErrorCode::BROKER_ID_NOT_REGISTERED => Ok(()),
        code => {
            let what = format!("cannot unregister broker {id}");
            Err(Failure::refused(what, code, response.error_message.as_deref()))
        }
    }
}
