//! What a client says of what is not served: an error with its reason, at once, instead of asking for ever.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tidelog_cluster_tests::external::{CONFLUENT_KAFKA, kafka_tool_any};
use tidelog_cluster_tests::scenario::kafka_differs;
use tidelog_cluster_tests::{Spec, scenario};
use tidelog_compat_tests::run_script;

const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
/// Much less than max.block.ms, which a client that asks again and again uses up.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

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
        let began = Instant::now();
        let said = kafka_tool_any(PRODUCER_PERFORMANCE, &[&load[..], &transactional].concat(), "")?.text();
        ensure!(said.contains("transactions are not supported by this cluster"), "{said}");
        ensure!(began.elapsed() < ANSWER_LIMIT, "it took {:?}: {said}", began.elapsed());
        Ok(())
    });
}

#[test]
fn librdkafka_hears_that_there_are_no_transactions() {
    scenario(Spec::brokers(1), |cluster| {
        if kafka_differs(cluster.target(), "it serves them") {
            return Ok(());
        }
        let began = Instant::now();
        let said = run_script(CONFLUENT_KAFKA, "python/transactional.py", &[&cluster.bootstrap()])?.text();
        ensure!(said.contains("transactions are not supported by this cluster"), "{said}");
        ensure!(began.elapsed() < ANSWER_LIMIT, "it took {:?}: {said}", began.elapsed());
        Ok(())
    });
}
