//! Moves and plans for people: tables, a bar, sentences.

use super::plan::{Assignment, copies};
use super::progress::{MoveProgress, Stand};
use crate::commands::size::bytes_text;
use crate::commands::time::duration_text;
use crate::output::{Cell, Style, Table};

const BAR_WIDTH: usize = 30;

/// Share of 0 to 1; nothing to copy is all copied.
fn share(copied_bytes: i64, total_bytes: i64) -> f64 {
    match total_bytes {
        ..=0 => 1.0,
        total => (copied_bytes.max(0) as f64 / total as f64).min(1.0),
    }
}

pub fn bar(copied_bytes: i64, total_bytes: i64, width: usize) -> String {
    let filled = (share(copied_bytes, total_bytes) * width as f64) as usize;
    format!("[{}{}]", "#".repeat(filled), "-".repeat(width - filled))
}

/// `[###---]  45 %  450.0 MiB of 1.0 GiB, 10.0 MiB/s, 1 min 2 s left, 3 of 8 partitions done`
pub fn stand_text(stand: &Stand) -> String {
    let percent = (share(stand.copied_bytes, stand.total_bytes) * 100.0) as u32;
    let mut text = format!(
        "{} {percent:3} %  {} of {}",
        bar(stand.copied_bytes, stand.total_bytes, BAR_WIDTH),
        bytes_text(stand.copied_bytes),
        bytes_text(stand.total_bytes)
    );
    if let Some(pace) = stand.bytes_per_second {
        text += &format!(", {}/s", bytes_text(pace));
    }
    if let Some(remaining_ms) = stand.remaining_ms.filter(|ms| *ms > 0) {
        text += &format!(", {} left", duration_text(remaining_ms));
    }
    text + &format!(", {} of {} partitions done", stand.partitions_done, stand.partitions)
}

pub fn moves_table(moves: &[MoveProgress]) -> Table {
    let mut table = Table::new(["TOPIC", "PARTITION", "TO", "ADDING", "REMOVING", "COPIED", "OF", ""]);
    for progress in moves {
        table.row([
            Cell::text(&progress.topic),
            Cell::number(progress.partition),
            Cell::text(ids_text(&progress.replicas)),
            Cell::text(ids_text(&progress.adding)),
            Cell::text(ids_text(&progress.removing)),
            Cell::number(bytes_text(progress.copied_bytes)),
            Cell::number(bytes_text(progress.total_bytes)),
            Cell::text(bar(progress.copied_bytes, progress.total_bytes, 10)),
        ]);
    }
    table
}

pub fn plan_table(current: &Assignment, planned: &Assignment) -> Table {
    let mut table = Table::new(["TOPIC", "PARTITION", "NOW", "PLANNED"]);
    for (partition, replicas) in planned {
        let now = current.get(partition).map_or(String::new(), |replicas| ids_text(replicas));
        table.row([
            Cell::text(&partition.0),
            Cell::number(partition.1),
            Cell::text(now),
            Cell::text(ids_text(replicas)).styled(Style::Strong),
        ]);
    }
    table
}

/// `3 partitions change, 2 replicas are copied`
pub fn plan_sentence(current: &Assignment, planned: &Assignment) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let partitions = counted(planned.len(), "partition changes", "partitions change");
    format!("{partitions}, {}", counted(copies(current, planned), "replica is copied", "replicas are copied"))
}

pub fn ids_text(ids: &[i32]) -> String {
    match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_never_overflow() {
        assert_eq!(bar(0, 10, 4), "[----]");
        assert_eq!(bar(5, 10, 4), "[##--]");
        assert_eq!(bar(11, 10, 4), "[####]");
        assert_eq!(bar(-5, 10, 4), "[----]");
        assert_eq!(bar(0, 0, 4), "[####]");
    }

    #[test]
    fn a_stand_in_one_line() {
        let stand = Stand {
            partitions_done: 1,
            partitions: 4,
            copied_bytes: 512 << 20,
            total_bytes: 1 << 30,
            bytes_per_second: Some(8 << 20),
            remaining_ms: Some(64_000),
        };
        let expected = "[###############---------------]  50 %  512.0 MiB of 1.0 GiB, 8.0 MiB/s, 1 min 4 s left, 1 of 4 partitions done";
        assert_eq!(stand_text(&stand), expected);
    }
}
