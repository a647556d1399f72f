//! `docs/CONFIG.md` is written from the tables of configs:
//! `WRITE_DOCS=1 cargo test -p tidelog-metadata --test config_document`.

use std::fmt::Write;
use std::path::Path;

use tidelog_metadata::config::{
    BROKER_SECTIONS, ConfigDefinition, Effect, GROUP_CONFIGS, TOPIC_CONFIGS, Update, Valid,
};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the tables in crates/metadata/src/config/table; crates/metadata/tests/config_document.rs says how. -->

Settings have Kafka's names, types and units. Strongest first, a node takes them from `--override`, the environment
(`KAFKA_` and the name in upper case, with `_` for a dot, `__` for an underscore and `___` for a dash; `KAFKA_CFG_` works
too), and `server.properties`. A setting of Kafka's that has no effect here is named in a warning at the start, and so is
a name that nobody knows.

*Live* settings can be changed while brokers run, with `tidelog config` or Kafka's own tools: for one broker or as the
default of all. Topics and groups take what they do not set themselves from the brokers' settings named as their defaults.
";

#[test]
fn the_document_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIG.md");
    let wanted = document();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).expect("docs is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/CONFIG.md is old: WRITE_DOCS=1 cargo test -p tidelog-metadata --test config_document"
    );
}

fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n## Topics\n\n");
    table(&mut text, "Default setting", TOPIC_CONFIGS, |definition| {
        let synonyms: Vec<String> = definition.synonyms.iter().map(|synonym| code(synonym.name)).collect();
        synonyms.join(", ")
    });
    text.push_str("\n## Groups\n\n");
    table(&mut text, "Default setting", GROUP_CONFIGS, |definition| {
        definition.synonyms.iter().map(|synonym| code(synonym.name)).collect()
    });
    for (title, section) in BROKER_SECTIONS {
        let _ = write!(text, "\n## Nodes: {}{}\n\n", title[..1].to_lowercase(), &title[1..]);
        table(&mut text, "Change", section, |definition| update(definition.update).to_owned());
    }
    text
}

fn table(
    text: &mut String,
    column: &str,
    definitions: &[ConfigDefinition],
    cell: impl Fn(&ConfigDefinition) -> String,
) {
    let _ = writeln!(
        text,
        "| Name | Type | Default | Valid | {column} | Effect | Meaning |\n|---|---|---|---|---|---|---|"
    );
    for definition in definitions {
        let effect = if definition.effect == Effect::Implemented { "yes" } else { "**none**" };
        let default =
            definition.default.map(|default| if default.is_empty() { "empty".to_owned() } else { code(default) });
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {effect} | {} |",
            code(definition.name),
            format!("{:?}", definition.kind).to_lowercase(),
            default.unwrap_or_default(),
            valid(definition.valid),
            cell(definition),
            definition.documentation.replace('|', "\\|"),
        );
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn update(update: Update) -> &'static str {
    match update {
        Update::ReadOnly => "restart",
        Update::PerBroker => "live, per broker",
        Update::ClusterWide => "live",
    }
}

fn valid(valid: Valid) -> String {
    match valid {
        Valid::Any => String::new(),
        Valid::AtLeast(min) => format!("≥ {min}"),
        Valid::Between(min, max) => format!("{min} to {max}"),
        Valid::OneOrBetween(one, min, max) => format!("{one}, {min} to {max}"),
        Valid::Ratio => "0 to 1".to_owned(),
        Valid::AboveZero => "> 0".to_owned(),
        Valid::OneOf(values) | Valid::ItemsOf(values) => values.join(", "),
        Valid::ThrottledReplicas => "partition:broker, *".to_owned(),
        Valid::OnlyFalse(_) => "false".to_owned(),
    }
}
