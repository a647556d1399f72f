//! kafka-python and confluent-kafka beyond the article.

use anyhow::Context;
use tidelog_cluster_tests::external::CONFLUENT_KAFKA;
use tidelog_cluster_tests::{Spec, scenario};
use tidelog_compat_tests::{KAFKA_PYTHONS, run_script};

#[test]
fn every_kafka_python_writes_seeks_and_reads() {
    scenario(Spec::brokers(3), |cluster| {
        for version in KAFKA_PYTHONS {
            let topic = format!("tour-{version}");
            cluster.create_topic(&topic, 2)?;
            let requirement = format!("kafka-python=={version}");
            run_script(&requirement, "kafka_python_tour.py", &[&cluster.bootstrap(), &topic])?;
        }
        Ok(())
    });
}

/// Older generations do not look at what the answer says of single records.
#[test]
fn kafka_python_learns_which_record_is_at_fault() {
    scenario(Spec::brokers(1).set("log.cleanup.policy", "compact"), |cluster| {
        let newest = KAFKA_PYTHONS.last().context("a version")?;
        cluster.create_topic("faulty", 1)?;
        let requirement = format!("kafka-python=={newest}");
        run_script(&requirement, "python/faulty_producer.py", &[&cluster.bootstrap(), "faulty"])?;
        Ok(())
    });
}

#[test]
fn confluent_kafka_administers_writes_and_reads() {
    scenario(Spec::brokers(3), |cluster| {
        run_script(CONFLUENT_KAFKA, "confluent_tour.py", &[&cluster.bootstrap(), "tour"])?;
        Ok(())
    });
}
