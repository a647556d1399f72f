//! Groups as tables.

use super::describe::{Described, OffsetsView, PartitionView};
use super::lag::TotalLag;
use super::list::state_style;
use super::member::{Member, Partitions};
use super::state::{GroupState, GroupType};
use crate::commands::time::duration_text;
use crate::exit::Failure;
use crate::output::{Cell, Printer, Style, Table};

const UNKNOWN: &str = "-";

pub fn states(printer: &Printer, groups: &[Described]) -> Result<(), Failure> {
    let mut table =
        Table::new(["GROUP", "TYPE", "STATE", "ASSIGNOR", "EPOCH", "ASSIGNED EPOCH", "MEMBERS", "COORDINATOR"]);
    for Described { state, .. } in groups {
        table.row([
            Cell::text(&state.group),
            Cell::text(type_name(state)),
            Cell::text(&state.state).styled(state_style(&state.state)),
            Cell::text(if state.assignor.is_empty() { UNKNOWN } else { &state.assignor }),
            number(state.epoch.map(i64::from)),
            number(state.assignment_epoch.map(i64::from)),
            Cell::number(state.members.len()),
            Cell::number(state.coordinator),
        ]);
    }
    Ok(printer.table(&table)?)
}

pub fn members(printer: &Printer, group: &Described) -> Result<(), Failure> {
    headline(printer, &group.state)?;
    if group.state.members.is_empty() {
        return Ok(printer.styled_line("  no members", Style::Faint)?);
    }
    let mut table = Table::new(["  CLIENT", "HOST", "INSTANCE", "RACK", "EPOCH", "PARTITIONS", "ASSIGNMENT", "MEMBER"]);
    for member in &group.state.members {
        let is_on_the_move = member.target.as_ref().is_some_and(|target| *target != member.assignment);
        let style = if is_on_the_move { Style::Strong } else { Style::Plain };
        table.row([
            Cell::text(format!("  {}", member.client_id)),
            Cell::text(&member.host),
            Cell::text(member.instance_id.as_deref().unwrap_or(UNKNOWN)),
            Cell::text(member.rack.as_deref().unwrap_or(UNKNOWN)),
            number(member.epoch.map(i64::from)),
            Cell::number(member.partition_count()),
            Cell::text(assignment_text(member)).styled(style),
            Cell::text(&member.member_id).styled(Style::Faint),
        ]);
    }
    Ok(printer.table(&table)?)
}

pub fn offsets(printer: &Printer, group: &Described) -> Result<(), Failure> {
    headline(printer, &group.state)?;
    let Some(view) = group.offsets.as_ref().filter(|view| !view.partitions.is_empty()) else {
        return Ok(printer.styled_line("  no committed offsets", Style::Faint)?);
    };
    let header = ["  TOPIC", "PARTITION", "OFFSET", "LOG START", "LOG END", "LAG", "BEHIND BY", "CLIENT", "HOST"];
    let mut table = Table::new(header);
    for partition in &view.partitions {
        let member = group.state.members.iter().find(|member| partition.member_id.as_ref() == Some(&member.member_id));
        table.row(partition_row(partition, member));
    }
    printer.table(&table)?;
    totals(printer, view)
}

fn partition_row(partition: &PartitionView, member: Option<&Member>) -> [Cell; 9] {
    // What retention has taken before the group read it.
    let is_overtaken = matches!((partition.offset, partition.log_start), (Some(offset), Some(start)) if offset < start);
    let style = if is_overtaken { Style::Bad } else { Style::Plain };
    [
        Cell::text(format!("  {}", partition.topic)),
        Cell::number(partition.partition),
        number(partition.offset).styled(style),
        number(partition.log_start),
        number(partition.log_end),
        number(partition.lag).styled(lag_style(partition.lag)),
        Cell::text(behind(partition.lag_ms)),
        Cell::text(member.map_or(UNKNOWN, |member| &member.client_id)),
        Cell::text(member.map_or(UNKNOWN, |member| &member.host)),
    ]
}

fn totals(printer: &Printer, view: &OffsetsView) -> Result<(), Failure> {
    if view.topics.len() > 1 {
        for topic in &view.topics {
            printer.line(&format!("  {}: {}", topic.topic, sentence(&topic.total)))?;
        }
    }
    printer.styled_line(&format!("  in total: {}", sentence(&view.total)), Style::Strong)?;
    Ok(())
}

fn sentence(total: &TotalLag) -> String {
    match (total.lag, total.lag_ms) {
        (None, _) => "lag unknown".to_owned(),
        (Some(0), _) => "all read".to_owned(),
        (Some(lag), None) => format!("{lag} records behind"),
        (Some(lag), Some(lag_ms)) => format!("{lag} records, {} behind", duration_text(lag_ms)),
    }
}

fn headline(printer: &Printer, state: &GroupState) -> Result<(), Failure> {
    printer.styled_line(&state.group, Style::Strong)?;
    let assignor = match state.assignor.as_str() {
        "" => String::new(),
        assignor => format!(", assignor {assignor}"),
    };
    let epoch = state.epoch.map_or(String::new(), |epoch| format!(", epoch {epoch}"));
    let members = match state.members.len() {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    let (type_name, coordinator) = (type_name(state), state.coordinator);
    let text = format!("  {}, {type_name}{assignor}{epoch}, {members}, coordinator {coordinator}", state.state);
    Ok(printer.line(&text)?)
}

fn type_name(state: &GroupState) -> &'static str {
    match state.r#type {
        GroupType::Classic => "classic",
        GroupType::Consumer => "consumer",
    }
}

fn assignment_text(member: &Member) -> String {
    let current = partitions_text(&member.assignment);
    match &member.target {
        Some(target) if *target != member.assignment => format!("{current} -> {}", partitions_text(target)),
        _ => current,
    }
}

fn partitions_text(partitions: &Partitions) -> String {
    let topics: Vec<String> =
        partitions.iter().map(|(topic, partitions)| format!("{topic}:{}", ranges(partitions))).collect();
    if topics.is_empty() { UNKNOWN.to_owned() } else { topics.join(" ") }
}

/// Sorted numbers, runs of three and more shortened: `0-3,7,8`.
fn ranges(numbers: &[i32]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for run in numbers.chunk_by(|a, b| b - a == 1) {
        match run {
            [first, .., last] if run.len() > 2 => texts.push(format!("{first}-{last}")),
            run => texts.extend(run.iter().map(ToString::to_string)),
        }
    }
    texts.join(",")
}

fn number(value: Option<i64>) -> Cell {
    Cell::number(value.map_or(UNKNOWN.to_owned(), |value| value.to_string()))
}

fn behind(lag_ms: Option<i64>) -> String {
    lag_ms.map_or(UNKNOWN.to_owned(), duration_text)
}

fn lag_style(lag: Option<i64>) -> Style {
    match lag {
        Some(0) => Style::Good,
        _ => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_of_partitions_are_shortened() {
        for (numbers, text) in [(&[][..], ""), (&[4], "4"), (&[1, 2], "1,2"), (&[0, 1, 2, 3, 7, 8, 10], "0-3,7,8,10")] {
            assert_eq!(ranges(numbers), text);
        }
    }

    #[test]
    fn totals_in_words() {
        let total = |lag, lag_ms| sentence(&TotalLag { lag, lag_ms });
        assert_eq!(total(None, None), "lag unknown");
        assert_eq!(total(Some(0), Some(0)), "all read");
        assert_eq!(total(Some(7), None), "7 records behind");
        assert_eq!(total(Some(7), Some(2_500)), "7 records, 2.5 s behind");
    }
}
