//! `tidelog group list`

use clap::Args;

use super::listing::list_groups;
use crate::commands::pattern::matches;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only groups of these names; * and ? stand for any text and any character
    #[arg(value_name = "GROUP")]
    names: Vec<String>,
    /// Only groups in this state, for example Empty or Stable; may be repeated
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<String>,
    /// Only groups of this type, classic or consumer; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
}

pub async fn run(session: Session, args: ListArgs) -> Result<Exit, Failure> {
    let mut groups = list_groups(&session.client).await?;
    let holds = |wanted: &[String], is: &str| wanted.is_empty() || wanted.iter().any(|w| w.eq_ignore_ascii_case(is));
    groups.retain(|group| holds(&args.states, &group.state) && holds(&args.types, &group.r#type));
    groups.retain(|group| args.names.is_empty() || args.names.iter().any(|name| matches(name, &group.group)));
    if session.printer.is_json() {
        session.printer.json(&groups)?;
        return Ok(Exit::Ok);
    }
    if groups.is_empty() {
        eprintln!("No groups found. One appears when a consumer with a group.id connects.");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["GROUP", "TYPE", "PROTOCOL", "STATE", "COORDINATOR"]);
    for group in &groups {
        table.row([
            Cell::text(&group.group),
            Cell::text(or_dash(&group.r#type)),
            Cell::text(or_dash(&group.protocol)),
            Cell::text(or_dash(&group.state)).styled(state_style(&group.state)),
            Cell::number(group.coordinator),
        ]);
    }
    session.printer.table(&table)?;
    Ok(Exit::Ok)
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Settled groups are good; groups nobody works for are faint.
pub fn state_style(state: &str) -> Style {
    match state {
        "Stable" => Style::Good,
        "Empty" | "Dead" => Style::Faint,
        _ => Style::Plain,
    }
}
