//! What commands print: aligned tables for people, JSON for programs. Results go to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Good,
    Bad,
    Faint,
    Strong,
}

impl Style {
    fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("\x1b[32m"),
            Self::Bad => Some("\x1b[31;1m"),
            Self::Faint => Some("\x1b[2m"),
            Self::Strong => Some("\x1b[1m"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
    is_number: bool,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: printable(&text.into()), style: Style::Plain, is_number: false }
    }

    /// Aligned to the right.
    pub fn number(value: impl ToString) -> Self {
        Self { text: value.to_string(), style: Style::Plain, is_number: true }
    }

    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// Rows under a header line; columns are as wide as their widest cell.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(header: impl Into<Vec<&'static str>>) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.header.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    pub fn render(&self, is_coloured: bool) -> String {
        let header: Vec<Cell> = self.header.iter().map(|name| Cell::text(*name).styled(Style::Strong)).collect();
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&header]);
                cells.map(|row| row[column].text.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let numeric: Vec<bool> = (0..header.len())
            .map(|column| !self.rows.is_empty() && self.rows.iter().all(|row| row[column].is_number))
            .collect();
        let mut out = String::new();
        for row in [&header].into_iter().chain(&self.rows) {
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column] - cell.text.chars().count());
                let (before, after) = if numeric[column] { (padding, String::new()) } else { (String::new(), padding) };
                out.push_str(&before);
                out.push_str(&painted(&cell.text, cell.style, is_coloured));
                if column + 1 < row.len() {
                    out.push_str(&after);
                    out.push_str("  ");
                }
            }
            out.push('\n');
        }
        out
    }
}

/// `1 topic`, `2 topics`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A name chosen by one user must not write to the terminal of another who lists it.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push('\n'),
            control if control.is_control() => out.extend(control.escape_default()),
            other => out.push(other),
        }
    }
    out
}

pub fn painted(text: &str, style: Style, is_coloured: bool) -> String {
    match style.escape().filter(|_| is_coloured) {
        Some(escape) => format!("{escape}{text}\x1b[0m"),
        None => text.to_owned(),
    }
}

/// Standard output in the format that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    pub format: Format,
    is_coloured: bool,
}

impl Printer {
    /// Colours if stdout is a terminal and NO_COLOR (no-color.org) is not set.
    pub fn new(format: Format) -> Self {
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, is_coloured: io::stdout().is_terminal() && !wants_none }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub fn table(&self, table: &Table) -> io::Result<()> {
        self.raw(&table.render(self.is_coloured))
    }

    pub fn line(&self, text: &str) -> io::Result<()> {
        self.styled_line(text, Style::Plain)
    }

    pub fn styled_line(&self, text: &str, style: Style) -> io::Result<()> {
        self.raw(&format!("{}\n", painted(&printable(text), style, self.is_coloured)))
    }

    /// One JSON document and a newline.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.raw(&text)
    }

    /// One JSON document on one line, for streams of them.
    pub fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.raw(&text)
    }

    fn raw(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let mut table = Table::new(["TOPIC", "PARTITIONS", "ISR"]);
        table.row([Cell::text("sample"), Cell::number(2), Cell::text("1,2")]);
        table.row([Cell::text("é"), Cell::number(100), Cell::text("1").styled(Style::Bad)]);
        let expected = "TOPIC   PARTITIONS  ISR\nsample           2  1,2\né              100  1\n";
        assert_eq!(table.render(false), expected);
        assert!(table.render(true).contains("\x1b[31;1m1\x1b[0m"));
    }

    #[test]
    fn names_write_nothing_to_the_terminal() {
        let mut table = Table::new(["GROUP", "STATE"]);
        table.row([Cell::text("a\tb\x1b[31mred"), Cell::text("Empty")]);
        assert_eq!(table.render(false), "GROUP              STATE\na\\tb\\u{1b}[31mred  Empty\n");
    }
}
