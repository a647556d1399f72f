//! `tidelog config set`

use clap::Args;
use serde::Serialize;

use super::entries::{ResourceKind, alter};
use crate::commands::parse_pair;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct SetArgs {
    #[arg(value_enum)]
    kind: ResourceKind,
    /// A topic's or group's name, a broker's id; an empty name stands for all brokers
    name: String,
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    values: Vec<(String, String)>,
    /// Go back to the default, may be repeated
    #[arg(long = "delete", value_name = "KEY")]
    deleted: Vec<String>,
}

#[derive(Serialize)]
struct Changed<'a> {
    name: &'a str,
    set: Vec<&'a str>,
    deleted: &'a [String],
}

pub async fn run(session: Session, args: SetArgs) -> Result<Exit, Failure> {
    if args.values.is_empty() && args.deleted.is_empty() {
        return Err(Failure::usage("nothing to change").advising("KEY=VALUE or --delete KEY"));
    }
    alter(&session.client, args.kind, &args.name, &args.values, &args.deleted).await?;
    let set = args.values.iter().map(|(key, _)| key.as_str()).collect();
    let changed = Changed { name: &args.name, set, deleted: &args.deleted };
    if session.printer.is_json() {
        session.printer.json(&changed)?;
    } else {
        session.printer.line(&format!(
            "Changed {} of {}.",
            counted(args.values.len() + args.deleted.len()),
            args.name
        ))?;
    }
    Ok(Exit::Ok)
}

fn counted(count: usize) -> String {
    match count {
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    }
}
