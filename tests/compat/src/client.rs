//! The clients under test and how each is run as a group member.
//!
//! The programs stand in `clients/<language>/`; what they need is installed on first use, at the versions
//! that the lock files there pin, into the cache of [`external`].

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use tidelog_cluster_tests::external::{self, CONFLUENT_KAFKA, installed, program};
use tidelog_cluster_tests::process::run;

use crate::script;

const BUILD_LIMIT: Duration = Duration::from_secs(900);

pub const AIOKAFKA: &str = "aiokafka==0.14.0";

/// One client, with the settings that tell its ways of being used apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// As it appears in the names of groups.
    pub name: &'static str,
    program: Program,
    settings: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Python { script: &'static str, requirement: &'static str },
    Java,
    Go,
    JavaScript { script: &'static str },
    Rust,
}

impl Client {
    pub const fn kafka_python(name: &'static str, requirement: &'static str) -> Client {
        Client::python(name, "kafka_python_member.py", requirement, &[])
    }

    pub const fn aiokafka() -> Client {
        Client::python("aiokafka", "aiokafka_member.py", AIOKAFKA, &[])
    }

    pub const fn confluent(name: &'static str, settings: &'static [&'static str]) -> Client {
        Client::python(name, "confluent_member.py", CONFLUENT_KAFKA, settings)
    }

    const fn python(
        name: &'static str,
        script: &'static str,
        requirement: &'static str,
        settings: &'static [&'static str],
    ) -> Client {
        Client { name, program: Program::Python { script, requirement }, settings }
    }

    pub const fn java(name: &'static str, settings: &'static [&'static str]) -> Client {
        Client { name, program: Program::Java, settings }
    }

    /// `settings` begin with `client=kgo`, `client=sarama` or `client=kafka-go`.
    pub const fn go(name: &'static str, settings: &'static [&'static str]) -> Client {
        Client { name, program: Program::Go, settings }
    }

    pub const fn javascript(name: &'static str, script: &'static str) -> Client {
        Client { name, program: Program::JavaScript { script }, settings: &[] }
    }

    pub const fn rdkafka() -> Client {
        Client { name: "rdkafka", program: Program::Rust, settings: &[] }
    }

    /// The command of a member, without the settings of its group.
    pub fn command(&self) -> Result<Command> {
        let mut command = match self.program {
            Program::Python { script: name, requirement } => {
                let mut python = Command::new(external::python(requirement)?);
                python.args(["-u", "-B"]).arg(script("python").join(name));
                python
            }
            Program::Java => java()?,
            Program::Go => Command::new(go_program()?),
            Program::JavaScript { script } => javascript(script)?,
            Program::Rust => Command::new(rust_program()?),
        };
        command.args(self.settings);
        Ok(command)
    }
}

fn java() -> Result<Command> {
    let class_path = external::kafka_class_path()?;
    let javac = program("javac")?;
    let classes = built("java", |source, dir| {
        fs::create_dir_all(dir)?;
        let mut compile = Command::new(javac);
        compile.args(["-cp", &class_path, "-d"]).arg(dir).arg(source.join("Member.java"));
        run(compile, "", BUILD_LIMIT).map(|_| ())
    })?;
    let mut java = Command::new(program("java")?);
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx96m", "-cp"]);
    java.arg(format!("{}:{class_path}", classes.display())).arg("Member");
    Ok(java)
}

/// The three Go clients are one program.
fn go_program() -> Result<PathBuf> {
    let go = program("go")?;
    let dir = built("go", |source, dir| {
        fs::create_dir_all(dir)?;
        let mut build = Command::new(go);
        build.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(dir.join("member")).arg(".");
        // An older Go fetches the one that go.mod asks for.
        build.env("GOTOOLCHAIN", "auto").current_dir(source);
        run(build, "", BUILD_LIMIT).map(|_| ())
    })?;
    Ok(dir.join("member"))
}

/// The packages lie beside the scripts, where Node looks for them, and Node itself is one of them.
fn javascript(name: &str) -> Result<Command> {
    let npm = program("npm")?;
    let dir = built("javascript", |source, dir| {
        fs::create_dir_all(dir)?;
        for file in files(source)? {
            fs::copy(&file, dir.join(file.file_name().context("a file's name")?))?;
        }
        let mut install = Command::new(npm);
        install.args(["ci", "--prefer-offline", "--no-audit", "--no-fund"]).current_dir(dir);
        run(install, "", BUILD_LIMIT).map(|_| ())
    })?;
    let mut node = Command::new(dir.join("node_modules/node/bin/node"));
    node.arg(dir.join(name));
    Ok(node)
}

/// Built apart from the workspace, because librdkafka takes a minute; what was built of it once is kept.
pub fn rust_program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| build_rust().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn build_rust() -> Result<PathBuf> {
    let target = external::cache_dir()?.join("members-rust");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--locked", "--target-dir"]).arg(&target).current_dir(script("rust"));
    run(build, "", BUILD_LIMIT)?;
    Ok(target.join("debug/tidelog-group-members"))
}

/// What `build` makes of `clients/<language>`, made anew when the sources change.
fn built(language: &str, build: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let source = script(language);
    let mut hasher = DefaultHasher::new();
    for file in files(&source)? {
        fs::read(&file)?.hash(&mut hasher);
    }
    installed(&format!("members-{language}-{:016x}", hasher.finish()), |dir| build(&source, dir))
}

/// The files of a folder, in order; what a developer installed beside them is none of them.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<_> = paths.into_iter().filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}
