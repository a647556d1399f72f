//! `tidelog group delete`

use clap::Args;
use serde::Serialize;
use tidelog_client::{Client, ClientError};
use tidelog_wire::messages::DeleteGroupsRequest;
use tidelog_wire::{ErrorCode, Str};

use super::listing::select;
use crate::commands::outcome;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Names, or patterns in quotes: * and ? stand for any text and any character
    #[arg(required = true, value_name = "GROUP")]
    names: Vec<String>,
    /// A group that does not exist is no failure
    #[arg(long)]
    if_exists: bool,
}

#[derive(Serialize)]
struct Deleted {
    group: String,
    deleted: bool,
}

pub async fn run(session: Session, args: DeleteArgs) -> Result<Exit, Failure> {
    let groups = select(&session.client, &args.names).await?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for group in &groups {
        match delete(&session.client, group).await {
            Ok(()) => done.push(Deleted { group: group.clone(), deleted: true }),
            Err(ClientError::Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, .. }) if args.if_exists => {
                done.push(Deleted { group: group.clone(), deleted: false });
            }
            Err(error) => failures.push(explained(error)),
        }
    }
    if session.printer.is_json() {
        session.printer.json(&done)?;
    } else {
        for item in &done {
            let outcome = if item.deleted { "Deleted group" } else { "There is no group" };
            session.printer.line(&format!("{outcome} {}.", item.group))?;
        }
    }
    outcome(groups.len(), failures)
}

async fn delete(client: &Client, group: &str) -> Result<(), ClientError> {
    let what = format!("cannot delete group {group}");
    let request = &DeleteGroupsRequest { groups_names: vec![Str::from(group.to_owned())] };
    let what = what.as_str();
    client
        .ask_coordinator(what, group, |connection| async move {
            let response = connection.send(request).await?;
            match response.results.first().map(|result| result.error_code) {
                Some(ErrorCode::NONE) => Ok(()),
                Some(code) => Err(ClientError::refused(what, code)),
                None => Err(ClientError::refused(what, ErrorCode::UNKNOWN_SERVER_ERROR)),
            }
        })
        .await
}

fn explained(error: ClientError) -> Failure {
    match &error {
        ClientError::Refused { code: ErrorCode::NON_EMPTY_GROUP, .. } => {
            Failure::from(error).advising("stop its consumers first; `tidelog group describe --members` shows them")
        }
        ClientError::Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, .. } => {
            Failure::from(error).advising("`tidelog group list` shows the groups there are")
        }
        _ => error.into(),
    }
}
