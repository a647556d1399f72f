//! What a client says of what is not served: an error with its reason, at once, instead of asking for ever.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{CONFLUENT_KAFKA, kafka_tool_any};
use tidelog_cluster_tests::process::Output;
use tidelog_cluster_tests::scenario::kafka_differs;
use tidelog_cluster_tests::{Spec, scenario};
use tidelog_compat_tests::run_script;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
/// Much less than max.block.ms, which a client that asks again and again uses up.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A client shows the reason long before its own patience ends.
fn is_told(reason: &str, ask: impl FnOnce() -> Result<Output>) -> Result<()> {
    let began = Instant::now();
    let said = ask()?.text();
    ensure!(said.contains(reason), "{said}");
    ensure!(began.elapsed() < ANSWER_LIMIT, "it took {:?}: {said}", began.elapsed());
    Ok(())
}

#[test]
fn java_hears_that_there_are_no_transactions() {
    scenario(Spec::brokers(1), |cluster| {
        if kafka_differs(cluster.target(), "it serves them") {
            return Ok(());
        }
        cluster.create_topic("plain", 1)?;
        let props = format!("bootstrap.servers={}", cluster.bootstrap());
        let load = ["--topic", "plain", "--num-records", "1", "--record-size", "1", "--throughput", "-1"];
        let transactional = ["--transactional-id", "t", "--producer-props", &props];
        let ask = || kafka_tool_any(PRODUCER_PERFORMANCE, &[&load[..], &transactional].concat(), "");
        is_told("transactions are not supported by this cluster", ask)
    });
}

#[test]
fn librdkafka_hears_that_there_are_no_transactions() {
    scenario(Spec::brokers(1), |cluster| {
        if kafka_differs(cluster.target(), "it serves them") {
            return Ok(());
        }
        let ask = || run_script(CONFLUENT_KAFKA, "python/transactional.py", &[&cluster.bootstrap()]);
        is_told("transactions are not supported by this cluster", ask)
    });
}

#[test]
fn java_hears_that_there_is_no_sasl() {
    scenario(Spec::brokers(1), |cluster| {
        let path = cluster.dir().join("sasl.properties");
        let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p\";";
        let settings = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN"].join("\n");
        fs::write(&path, format!("{settings}\nsasl.jaas.config={login}\n"))?;
        let path = path.to_str().context("path")?;
        let args = ["--bootstrap-server", &cluster.bootstrap(), "--list", "--command-config", path];
        is_told("Unexpected handshake request with client mechanism PLAIN", || kafka_tool_any(TOPICS, &args, ""))
    });
}
