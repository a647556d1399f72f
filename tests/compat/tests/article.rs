//! The classic article's code, unchanged, on every generation of kafka-python.
//!
//! It names port 9092 and no group, leaves the topic to auto-creation and never flushes.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::NamedTempFile;
use tidelog_cluster_tests::{Cluster, Spec, external, process, scenario, wait};
use tidelog_compat_tests::{script, with_article_ports};

const RECEIVE_LIMIT: Duration = Duration::from_secs(60);
const ONE_TRY_LIMIT: Duration = Duration::from_secs(5);

/// An interactive Python that has run one of the article's scripts and waits for more.
struct Session {
    python: Child,
    output: NamedTempFile,
}

impl Session {
    fn start(requirement: &str, name: &str) -> Result<Session> {
        let output = NamedTempFile::new()?;
        let mut python = Command::new(external::python(requirement)?);
        python.args(["-u", "-i"]).arg(script(name)).stdin(Stdio::piped());
        python.stdout(File::options().append(true).open(output.path())?);
        python.stderr(File::options().append(true).open(output.path())?);
        Ok(Session { python: process::spawn(python)?, output })
    }

    fn printed(&self) -> Result<String> {
        let printed = std::fs::read_to_string(self.output.path())?;
        ensure!(!printed.contains("Traceback"), "{printed}");
        Ok(printed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

fn article_runs_on(version: &str, test: &str) {
    let requirement = format!("kafka-python=={version}");
    let prepare = || external::python(&requirement).map(drop);
    with_article_ports(test, prepare, || {
        scenario(Spec::brokers(3).first_port(9092), |cluster| {
            producer_creates_the_topic(cluster, &requirement)?;
            consumer_sees_what_comes(&requirement)
        });
        Ok(())
    });
}

fn producer_creates_the_topic(cluster: &Cluster, requirement: &str) -> Result<()> {
    let producer = Session::start(requirement, "article_producer.py")?;
    let address = cluster.address(1);
    wait::for_condition("both records are there", RECEIVE_LIMIT, || {
        let printed = producer.printed()?;
        let all = ["-C", "-q", "-e", "-b", &address, "-t", "sample", "-o", "beginning", "-f", "%k=%s\n"];
        let stored = external::kcat(&all, "")?.stdout;
        ensure!("=Hello, World!\nmessage-two=This is Kafka-Python\n".starts_with(&stored), "{stored}");
        ensure!(stored.lines().count() == 2, "there is {stored:?}; Python printed {printed:?}");
        Ok(true)
    })
}

/// The article's consumer starts at the end of the topic, so there are producers until something arrives.
fn consumer_sees_what_comes(requirement: &str) -> Result<()> {
    let consumer = Session::start(requirement, "article_consumer.py")?;
    wait::for_condition("the article's consumer prints both records", RECEIVE_LIMIT, || {
        let _producer = Session::start(requirement, "article_producer.py")?;
        wait::for_condition("one try", ONE_TRY_LIMIT, || {
            let printed = consumer.printed()?;
            Ok(printed.contains("value=b'Hello, World!'") && printed.contains("key=b'message-two'"))
        })?;
        Ok(true)
    })
}

#[test]
fn kafka_python_1_4() {
    article_runs_on("1.4.7", "kafka_python_1_4");
}

#[test]
fn kafka_python_2_0() {
    article_runs_on("2.0.2", "kafka_python_2_0");
}

#[test]
fn kafka_python_2_2() {
    article_runs_on("2.2.21", "kafka_python_2_2");
}

#[test]
fn kafka_python_3() {
    article_runs_on("3.0.12", "kafka_python_3");
}
