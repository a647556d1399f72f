//! Words and calls that have no place in this tree, or only in some part of it.

use anyhow::Result;
use tidelog_tidy::{SourceFile, files};

/// A phrase, where it must not stand, and why. Phrases are split so that this file does not contain them.
struct Banned {
    phrase: [&'static str; 2],
    is_checked: fn(&str) -> bool,
    why: &'static str,
}

/// (path, phrase, reason)
const ALLOWED: [(&str, &str, &str); 2] = [
    ("tests/cluster/src/wait.rs", "thread::sleep(", "waits for conditions with a deadline, for all tests"),
    ("crates/controller/tests/cluster/nodes.rs", "thread::sleep(", "is a slow network, and waits for nothing"),
];

const BANNED: [Banned; 16] = [
    Banned { phrase: ["todo", "!("], is_checked: rust, why: "nothing is left open" },
    Banned { phrase: ["unimplemented", "!("], is_checked: rust, why: "nothing is left open" },
    Banned { phrase: ["dbg", "!("], is_checked: rust, why: "debugging aids do not stay" },
    Banned { phrase: ["TO", "DO"], is_checked: text, why: "plans are issues, not comments" },
    Banned { phrase: ["FIX", "ME"], is_checked: text, why: "plans are issues, not comments" },
    Banned { phrase: ["unbounded", "_channel"], is_checked: rust, why: "everything has a limit" },
    Banned { phrase: ["mpsc::unbounded", "("], is_checked: rust, why: "everything has a limit" },
    Banned { phrase: ["tokio", "::fs"], is_checked: rust, why: "a thread hop costs more than the page cache" },
    Banned { phrase: ["/wo", "rk/"], is_checked: text, why: "paths of somebody's machine" },
    Banned { phrase: ["/home", "/"], is_checked: text, why: "paths of somebody's machine" },
    Banned { phrase: ["index.crates", ".io"], is_checked: text, why: "where packages come from is the user's setup" },
    Banned { phrase: ["thread::sle", "ep("], is_checked: test, why: "tests wait for conditions" },
    Banned { phrase: ["time::sle", "ep("], is_checked: test, why: "tests wait for conditions" },
    Banned { phrase: ["Instant::", "now"], is_checked: pure, why: "the time is an argument" },
    Banned { phrase: ["System", "Time"], is_checked: pure, why: "the time is an argument" },
    Banned { phrase: ["tok", "io::"], is_checked: without_runtime, why: "no runtime in here" },
];

fn text(path: &str) -> bool {
    path != "Cargo.lock"
}

fn rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn test(path: &str) -> bool {
    // Benchmarks and this list of phrases are no tests.
    let is_excepted = path.starts_with("tests/bench/") || path == "tests/tidy/tests/words.rs";
    rust(path)
        && !is_excepted
        && (path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs"))
}

fn pure(path: &str) -> bool {
    let pure = ["crates/replication/src/", "crates/metadata/src/", "crates/coordinator/src/"];
    rust(path) && pure.iter().any(|folder| path.starts_with(folder))
}

fn without_runtime(path: &str) -> bool {
    pure(path) || (rust(path) && (path.starts_with("crates/wire/src/") || path.starts_with("crates/commitlog/src/")))
}

fn offences(file: &SourceFile, banned: &Banned) -> Vec<String> {
    let phrase = banned.phrase.concat();
    if !(banned.is_checked)(&file.path)
        || ALLOWED.iter().any(|(path, allowed, _)| *path == file.path && *allowed == phrase)
    {
        return Vec::new();
    }
    let lines = (1..).zip(file.text.lines()).filter(|(_, line)| line.contains(&phrase));
    lines.map(|(number, _)| format!("{}:{number} contains {phrase:?}: {}", file.path, banned.why)).collect()
}

#[test]
fn nothing_stands_where_it_does_not_belong() -> Result<()> {
    let mut found = Vec::new();
    for file in files()? {
        found.extend(BANNED.iter().flat_map(|banned| offences(&file, banned)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}
