//! `tidelog config get`

use clap::Args;

use super::entries::{ResourceKind, describe};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct GetArgs {
    #[arg(value_enum)]
    kind: ResourceKind,
    /// A topic's or group's name, a broker's id
    name: String,
    /// Only these keys
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Leave out what stands at its default
    #[arg(long)]
    changed: bool,
}

pub async fn run(session: Session, args: GetArgs) -> Result<Exit, Failure> {
    let mut values = describe(&session.client, args.kind, &args.name).await?;
    if let Some(unknown) = args.keys.iter().find(|key| !values.iter().any(|value| value.name == **key)) {
        return Err(Failure::new(Exit::NotFound, format!("there is no configuration {unknown}"))
            .advising("the same command without keys shows all of them"));
    }
    values.retain(|value| args.keys.is_empty() || args.keys.contains(&value.name));
    values.retain(|value| !args.changed || !value.is_default());
    if session.printer.is_json() {
        session.printer.json(&values)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["CONFIG", "VALUE", "SOURCE"]);
    for value in &values {
        let shown = match (&value.value, value.sensitive) {
            (_, true) => "(hidden)",
            (Some(text), false) => text.as_str(),
            (None, false) => "",
        };
        let style = if value.is_default() { Style::Faint } else { Style::Good };
        table.row([Cell::text(&value.name), Cell::text(shown), Cell::text(value.source).styled(style)]);
    }
    session.printer.table(&table)?;
    Ok(Exit::Ok)
}
