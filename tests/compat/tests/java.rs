//! Kafka's own console clients, without a group, on the Java client's defaults (idempotent, acks=all).

use anyhow::ensure;
use tidelog_cluster_tests::external::kafka_tool;
use tidelog_cluster_tests::{Spec, scenario};

const CONSOLE_PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";

#[test]
fn console_producer_and_consumer_understand_each_other() {
    scenario(Spec::brokers(3), |cluster| {
        let bootstrap = cluster.bootstrap();
        let connect = ["--bootstrap-server", &bootstrap, "--topic", "console"];
        let keyed = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"];
        // The topic is left to auto-creation.
        kafka_tool(CONSOLE_PRODUCER, &[&connect[..], &keyed].concat(), "a:one\nb:two\nc:three\n")?;
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            let compressed = ["--compression-codec", codec];
            kafka_tool(CONSOLE_PRODUCER, &[&connect[..], &keyed, &compressed].concat(), &format!("d:{codec}\n"))?;
        }
        let from_start = ["--partition", "0", "--offset", "earliest", "--max-messages", "7", "--timeout-ms", "30000"];
        let shown = ["--formatter-property", "print.key=true", "--formatter-property", "print.offset=true"];
        let read = kafka_tool(CONSOLE_CONSUMER, &[&connect[..], &from_start, &shown].concat(), "")?;
        let expected =
            ["0\ta\tone", "1\tb\ttwo", "2\tc\tthree", "3\td\tgzip", "4\td\tsnappy", "5\td\tlz4", "6\td\tzstd"];
        let lines: Vec<_> = read.stdout.lines().map(|line| line.trim_start_matches("Offset:")).collect();
        ensure!(lines == expected, "{}", read.text());
        Ok(())
    });
}

#[test]
fn producer_performance_runs_to_its_end() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("perf", 4)?;
        let connect = format!("bootstrap.servers={}", cluster.bootstrap());
        let load = ["--topic", "perf", "--num-records", "20000", "--record-size", "1024", "--throughput", "-1"];
        let run =
            kafka_tool(PRODUCER_PERFORMANCE, &[&load[..], &["--producer-props", &connect, "acks=all"]].concat(), "")?;
        ensure!(run.stdout.contains("20000 records sent"), "{}", run.text());
        Ok(())
    });
}
