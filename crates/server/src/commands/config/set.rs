//! `tidelog config set`

use clap::Args;
use serde::Serialize;

use super::entries::{ResourceKind, alter};
use crate::commands::parse_pair;
use crate::config::{RawConfig, names};
use crate::exit::{Exit, Failure};
use crate::output::counted;
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
    for warning in warnings(&args) {
        eprintln!("warning: {warning}");
    }
    let set = args.values.iter().map(|(key, _)| key.as_str()).collect();
    let changed = Changed { name: &args.name, set, deleted: &args.deleted };
    if session.printer.is_json() {
        session.printer.json(&changed)?;
    } else {
        session.printer.line(&format!(
            "Changed {} of {}.",
            counted(args.values.len() + args.deleted.len(), "value"),
            owner(&args)
        ))?;
    }
    Ok(Exit::Ok)
}

/// Brokers keep also what no version of them knows, as it may be a plug-in's: a slip of the pen would go unnoticed.
fn warnings(args: &SetArgs) -> Vec<String> {
    let mut raw = RawConfig::default();
    if args.kind == ResourceKind::Broker {
        args.values.iter().for_each(|(key, value)| raw.set(key, value));
    }
    names::ineffective(&raw, &[]).warnings()
}

fn owner(args: &SetArgs) -> String {
    match (args.kind, args.name.as_str()) {
        (ResourceKind::Broker, "") => "all brokers".to_owned(),
        (ResourceKind::Broker, id) => format!("broker {id}"),
        (_, name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_brokers_config_is_warned_of() {
        let args = |kind| SetArgs {
            kind,
            name: String::new(),
            values: vec![
                ("log.retention.mss".to_owned(), "5".to_owned()),
                ("log.retention.ms".to_owned(), "5".to_owned()),
            ],
            deleted: Vec::new(),
        };
        let warnings = warnings(&args(ResourceKind::Broker));
        assert_eq!(warnings, ["unknown property log.retention.mss, did you mean log.retention.ms?"]);
        assert_eq!(owner(&args(ResourceKind::Broker)), "all brokers");
    }
}
