//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::commands::{bench, broker, cluster, config, consume, dev, group, produce, server, topic};
use crate::output::Format;

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 cannot connect, 4 not authorized, \
                          5 not found, 6 exists, 7 timeout, 10 cluster unhealthy";

#[derive(Debug, Parser)]
#[command(name = "tidelog", version, about = "A Kafka-compatible replicated log", after_help = EXIT_CODES)]
pub struct CommandLine {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Brokers to ask first, host:port[,host:port...]
    #[arg(
        short = 'b',
        long,
        global = true,
        value_name = "LIST",
        env = "TIDELOG_BOOTSTRAP_SERVER",
        default_value = "localhost:9092"
    )]
    pub bootstrap_server: String,
    /// Tables for people, or nothing but JSON on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one node
    Server(server::ServerArgs),
    /// Run a whole cluster in this process, on localhost
    Dev(dev::DevArgs),
    /// Create, list, describe, alter and delete topics
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Append records from standard input
    Produce(produce::ProduceArgs),
    /// Print records
    Consume(consume::ConsumeArgs),
    /// List, describe, reset and delete consumer groups and their offsets
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Read and change configuration of topics and brokers
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// List brokers, take everything off one of them, remove one for good
    #[command(subcommand)]
    Broker(broker::BrokerCommand),
    /// The state of brokers, partitions and the controller quorum
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Measure a cluster, any that speaks Kafka's protocol
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            "tidelog -b h:1 --format json topic list",
            "tidelog topic -b h:1 list --format json",
            "tidelog topic list --format json --bootstrap-server h:1",
        ] {
            let parsed = CommandLine::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(parsed.global.bootstrap_server, "h:1", "{line}");
            assert_eq!(parsed.global.format, Format::Json, "{line}");
        }
    }
}
