//! Broker configs. Those marked as dynamic can be changed while brokers run; where a default differs from Kafka's
//! the sentence says so.

use super::definition::ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short, String};
use super::definition::{ConfigDefinition, Synonym};
use super::value::Valid;

const MAX: &str = "9223372036854775807";
const INT_MAX: &str = "2147483647";

const fn in_unit(name: &'static str, factor: i64) -> Synonym {
    Synonym { name, factor }
}

/// Every broker config that is served, and Kafka's that are accepted without effect.
pub const BROKER_CONFIGS: &[ConfigDefinition] = &[
    // The node
    ConfigDefinition::new("node.id", Int, "1", "Names the node in its cluster.").valid(Valid::AtLeast(0)),
    ConfigDefinition::new("process.roles", List, "broker,controller", "What the node is.")
        .valid(Valid::ItemsOf(&["broker", "controller"])),
    ConfigDefinition::new("cluster.id", String, "", "The cluster to found or to belong to.").without_default(),
    ConfigDefinition::new("broker.rack", String, "", "Where the broker stands; replicas are spread over racks.")
        .without_default(),
    ConfigDefinition::new("log.dirs", List, "tidelog-data", "Where the node keeps its data."),
    ConfigDefinition::new(
        "num.shards",
        Int,
        "0",
        "Threads that partitions and connections are spread over; 0 is one per core. Not a Kafka name.",
    )
    .valid(Valid::AtLeast(0)),
    ConfigDefinition::new(
        "admin.listener",
        String,
        "http://127.0.0.1:9644",
        "Where metrics and health are served. Not a Kafka name.",
    ),
    // Listeners and connections
    ConfigDefinition::new("listeners", List, "PLAINTEXT://:9092", "Where the node listens, as NAME://host:port."),
    ConfigDefinition::new("advertised.listeners", List, "", "What clients and other brokers are told to connect to.")
        .without_default(),
    ConfigDefinition::new(
        "listener.security.protocol.map",
        List,
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        "Which security protocol each listener name stands for.",
    ),
    ConfigDefinition::new("controller.listener.names", List, "CONTROLLER", "The listeners of the controller."),
    ConfigDefinition::new("inter.broker.listener.name", String, "", "The listener that brokers reach each other on.")
        .without_default(),
    ConfigDefinition::new("max.connections", Int, INT_MAX, "Connections the broker holds at once.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    ConfigDefinition::new("max.connections.per.ip", Int, INT_MAX, "Connections from one address.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    ConfigDefinition::new("max.connection.creation.rate", Int, INT_MAX, "Connections taken per second.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    ConfigDefinition::new(
        "connections.max.idle.ms",
        Long,
        "600000",
        "A connection without requests is closed after this time.",
    ),
    ConfigDefinition::new("socket.request.max.bytes", Int, "104857600", "Largest request taken.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "queued.max.requests",
        Int,
        "500",
        "Requests waiting before the network is not read any more.",
    )
    .valid(Valid::AtLeast(1)),
    // Quorum and sessions
    ConfigDefinition::new("controller.quorum.voters", List, "", "The controllers, as id@host:port."),
    ConfigDefinition::new(
        "controller.quorum.bootstrap.servers",
        List,
        "",
        "Controllers to ask for the quorum, as host:port.",
    ),
    ConfigDefinition::new(
        "controller.quorum.election.timeout.ms",
        Int,
        "1000",
        "Longest silence of the active controller before an election; the shortest is half of it.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "controller.quorum.fetch.timeout.ms",
        Int,
        "2000",
        "Longest time without contact to a quorum.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "broker.heartbeat.interval.ms",
        Int,
        "300",
        "Time between heartbeats of a broker (Kafka: 2000).",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "broker.session.timeout.ms",
        Int,
        "1500",
        "Silence after which a broker is fenced (Kafka: 9000).",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "controlled.shutdown.enable",
        Boolean,
        "true",
        "Whether leaderships move away before a broker stops.",
    ),
    // Topics
    ConfigDefinition::new(
        "auto.create.topics.enable",
        Boolean,
        "true",
        "Whether a topic that a client asks for is created.",
    ),
    ConfigDefinition::new("num.partitions", Int, "1", "Partitions of a topic created without a number.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "default.replication.factor",
        Int,
        "",
        "Replicas of a topic created without a number; unless set, 3 or as many as there are brokers (Kafka: 1).",
    )
    .without_default()
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("delete.topic.enable", Boolean, "true", "Whether topics can be deleted."),
    ConfigDefinition::new(
        "min.insync.replicas",
        Int,
        "",
        "In-sync replicas without which acks=all is refused; unless set, half of the replicas rounded up (Kafka: 1).",
    )
    .without_default()
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    ConfigDefinition::new(
        "unclean.leader.election.enable",
        Boolean,
        "false",
        "Whether a replica that may lack acknowledged records may lead when no other is left.",
    )
    .cluster_wide(),
    ConfigDefinition::new(
        "auto.leader.rebalance.enable",
        Boolean,
        "true",
        "Whether leaderships go back to preferred replicas by themselves.",
    ),
    ConfigDefinition::new(
        "leader.imbalance.check.interval.seconds",
        Long,
        "300",
        "Time between two checks for leaderships to move back.",
    )
    .valid(Valid::AtLeast(1)),
    // The log
    ConfigDefinition::new("compression.type", String, "producer", "How batches are stored.")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .cluster_wide(),
    ConfigDefinition::new("compression.gzip.level", Int, "-1", "Level for compression.type=gzip.")
        .valid(Valid::OneOrBetween(-1, 1, 9))
        .cluster_wide(),
    ConfigDefinition::new("compression.lz4.level", Int, "9", "Level for compression.type=lz4.")
        .valid(Valid::Between(1, 17))
        .cluster_wide(),
    ConfigDefinition::new("compression.zstd.level", Int, "3", "Level for compression.type=zstd.")
        .valid(Valid::Between(-131_072, 22))
        .cluster_wide(),
    ConfigDefinition::new("log.cleanup.policy", List, "delete", "What happens to old segments.")
        .valid(Valid::ItemsOf(&["delete", "compact"]))
        .cluster_wide(),
    ConfigDefinition::new("log.cleaner.backoff.ms", Long, "15000", "Time between two looks for logs to compact.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "log.cleaner.dedupe.buffer.size",
        Long,
        "134217728",
        "Memory for the keys of a log that is compacted; more keys take several rounds.",
    )
    .valid(Valid::AtLeast(1 << 20)),
    ConfigDefinition::new(
        "log.cleaner.delete.retention.ms",
        Long,
        "86400000",
        "How long a compacted topic keeps the marker of a deleted key.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    ConfigDefinition::new("log.cleaner.enable", Boolean, "true", "Whether compacted topics are compacted."),
    ConfigDefinition::new(
        "log.cleaner.io.max.bytes.per.second",
        Double,
        "1.7976931348623157E308",
        "Bytes a second that compaction may read and write.",
    ),
    ConfigDefinition::new(
        "log.cleaner.max.compaction.lag.ms",
        Long,
        MAX,
        "A record is compacted at the latest after this time.",
    )
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    ConfigDefinition::new(
        "log.cleaner.min.cleanable.ratio",
        Double,
        "0.5",
        "Share of uncompacted log at which compaction begins.",
    )
    .valid(Valid::Ratio)
    .cluster_wide(),
    ConfigDefinition::new(
        "log.cleaner.min.compaction.lag.ms",
        Long,
        "0",
        "A record stays uncompacted at least for this time.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    ConfigDefinition::new(
        "log.flush.interval.messages",
        Long,
        MAX,
        "Without effect, as acknowledged records are flushed already.",
    )
    .valid(Valid::AtLeast(1))
    .cluster_wide()
    .without_effect(),
    ConfigDefinition::new(
        "log.flush.interval.ms",
        Long,
        MAX,
        "Without effect, as acknowledged records are flushed already.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide()
    .without_effect(),
    ConfigDefinition::new(
        "log.index.interval.bytes",
        Int,
        "4096",
        "Bytes of log between two entries of the offset index.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    ConfigDefinition::new("log.index.size.max.bytes", Int, "10485760", "Largest size of a segment's index.")
        .valid(Valid::AtLeast(4))
        .cluster_wide(),
    ConfigDefinition::new("log.local.retention.bytes", Long, "-2", "With tiered storage, bytes kept locally.")
        .valid(Valid::AtLeast(-2))
        .cluster_wide()
        .without_effect(),
    ConfigDefinition::new("log.local.retention.ms", Long, "-2", "With tiered storage, time kept locally.")
        .valid(Valid::AtLeast(-2))
        .cluster_wide()
        .without_effect(),
    ConfigDefinition::new(
        "log.message.timestamp.after.max.ms",
        Long,
        "3600000",
        "How far a record's CreateTime may lie in the future.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    ConfigDefinition::new(
        "log.message.timestamp.before.max.ms",
        Long,
        MAX,
        "How far a record's CreateTime may lie in the past.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    ConfigDefinition::new("log.message.timestamp.type", String, "CreateTime", "Whose timestamp a record carries.")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .cluster_wide(),
    ConfigDefinition::new(
        "log.preallocate",
        Boolean,
        "false",
        "Without effect: segments are always preallocated in steps.",
    )
    .cluster_wide()
    .without_effect(),
    ConfigDefinition::new(
        "log.retention.bytes",
        Long,
        "-1",
        "Bytes per partition above which old segments are deleted.",
    )
    .valid(Valid::AtLeast(-1))
    .cluster_wide(),
    ConfigDefinition::new(
        "log.retention.check.interval.ms",
        Long,
        "300000",
        "Time between two checks for segments to delete.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("log.retention.hours", Int, "168", "Age at which segments are deleted, in hours."),
    ConfigDefinition::new(
        "log.retention.minutes",
        Int,
        "",
        "Age at which segments are deleted, in minutes; stronger than log.retention.hours.",
    )
    .without_default()
    .synonyms(&[in_unit("log.retention.hours", 60)]),
    ConfigDefinition::new(
        "log.retention.ms",
        Long,
        "",
        "Age at which segments are deleted; stronger than log.retention.minutes.",
    )
    .without_default()
    .valid(Valid::AtLeast(-1))
    .synonyms(&[in_unit("log.retention.minutes", 60_000), in_unit("log.retention.hours", 3_600_000)])
    .cluster_wide(),
    ConfigDefinition::new("log.roll.hours", Int, "168", "Age at which a new segment begins, in hours.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("log.roll.ms", Long, "", "Age at which a new segment begins; stronger than log.roll.hours.")
        .without_default()
        .valid(Valid::AtLeast(1))
        .synonyms(&[in_unit("log.roll.hours", 3_600_000)])
        .cluster_wide(),
    ConfigDefinition::new("log.roll.jitter.hours", Int, "0", "Random time taken off log.roll.hours.")
        .valid(Valid::AtLeast(0)),
    ConfigDefinition::new("log.roll.jitter.ms", Long, "", "Random time taken off log.roll.ms.")
        .without_default()
        .valid(Valid::AtLeast(0))
        .synonyms(&[in_unit("log.roll.jitter.hours", 3_600_000)])
        .cluster_wide(),
    ConfigDefinition::new("log.segment.bytes", Int, "1073741824", "Size at which a new segment begins.")
        .valid(Valid::AtLeast(1_048_576))
        .cluster_wide(),
    ConfigDefinition::new(
        "log.segment.delete.delay.ms",
        Long,
        "60000",
        "How long a removed segment's files stay on disk.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    ConfigDefinition::new("message.max.bytes", Int, "1048588", "Largest record batch taken, after compression.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    ConfigDefinition::new("num.recovery.threads.per.data.dir", Int, "2", "Threads that check logs after a crash.")
        .valid(Valid::AtLeast(1))
        .cluster_wide(),
    ConfigDefinition::new(
        "write.caching",
        Boolean,
        "false",
        "With true a record in the page cache counts as written, as in Kafka. Not a Kafka name.",
    )
    .cluster_wide(),
    // Replication and fetching
    ConfigDefinition::new(
        "replica.lag.time.max.ms",
        Long,
        "30000",
        "A follower that has not caught up for this time leaves the ISR.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("replica.fetch.max.bytes", Int, "1048576", "Bytes per partition a follower asks for.")
        .valid(Valid::AtLeast(0)),
    ConfigDefinition::new("replica.fetch.response.max.bytes", Int, "10485760", "Bytes per answer a follower asks for.")
        .valid(Valid::AtLeast(0)),
    ConfigDefinition::new("replica.fetch.wait.max.ms", Int, "500", "How long a follower's fetch waits for data."),
    ConfigDefinition::new("fetch.max.bytes", Int, "57671680", "Most bytes in an answer to a fetch.")
        .valid(Valid::AtLeast(1024)),
    ConfigDefinition::new("max.incremental.fetch.session.cache.slots", Int, "1000", "Fetch sessions kept.")
        .valid(Valid::AtLeast(0)),
    ConfigDefinition::new("replica.selector.class", Class, "", "Which replica a consumer reads from.")
        .without_default(),
    // Groups, transactions, producers
    ConfigDefinition::new("offsets.topic.num.partitions", Int, "50", "Partitions of the topic of committed offsets.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "offsets.topic.replication.factor",
        Short,
        "3",
        "Replicas of the topic of committed offsets; lowered to the brokers there are.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("offsets.topic.segment.bytes", Int, "104857600", "Segment size of that topic.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "offsets.retention.check.interval.ms",
        Long,
        "600000",
        "Time between two looks for offsets that nobody wants any more.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("offsets.retention.minutes", Int, "10080", "How long offsets of an empty group are kept.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("offset.metadata.max.bytes", Int, "4096", "Largest metadata of a committed offset."),
    ConfigDefinition::new(
        "group.min.session.timeout.ms",
        Int,
        "6000",
        "Shortest session timeout a group member may ask for.",
    ),
    ConfigDefinition::new(
        "group.max.session.timeout.ms",
        Int,
        "1800000",
        "Longest session timeout a group member may ask for.",
    ),
    ConfigDefinition::new(
        "group.initial.rebalance.delay.ms",
        Int,
        "3000",
        "How long a new group waits for more members.",
    ),
    ConfigDefinition::new("group.max.size", Int, INT_MAX, "Most members of a group.").valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.session.timeout.ms",
        Int,
        "45000",
        "Session timeout of the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.heartbeat.interval.ms",
        Int,
        "5000",
        "Heartbeat interval of the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.min.session.timeout.ms",
        Int,
        "45000",
        "Shortest session timeout that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.max.session.timeout.ms",
        Int,
        "60000",
        "Longest session timeout that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.min.heartbeat.interval.ms",
        Int,
        "5000",
        "Shortest heartbeat interval that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.max.heartbeat.interval.ms",
        Int,
        "15000",
        "Longest heartbeat interval that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new("group.consumer.max.size", Int, INT_MAX, "Most members of a consumer group.")
        .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "group.consumer.assignors",
        List,
        "uniform,range",
        "Assignors of the consumer group protocol.",
    ),
    ConfigDefinition::new(
        "group.consumer.migration.policy",
        String,
        "bidirectional",
        "Which way groups are converted between the protocols while they have members.",
    ),
    ConfigDefinition::new(
        "transaction.state.log.num.partitions",
        Int,
        "50",
        "Partitions of the topic of transactions.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "transaction.state.log.replication.factor",
        Short,
        "3",
        "Replicas of the topic of transactions; lowered to the brokers there are.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "transaction.state.log.min.isr",
        Int,
        "2",
        "Min ISR of the topic of transactions; lowered to the brokers there are.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "transaction.max.timeout.ms",
        Int,
        "900000",
        "Longest transaction timeout a producer may ask for.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "transactional.id.expiration.ms",
        Int,
        "604800000",
        "How long an unused transactional id is kept.",
    )
    .valid(Valid::AtLeast(1)),
    ConfigDefinition::new(
        "producer.id.expiration.ms",
        Int,
        "86400000",
        "How long an unused producer id's state is kept.",
    )
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    // Throttling of replication
    ConfigDefinition::new(
        "leader.replication.throttled.rate",
        Long,
        MAX,
        "Bytes per second throttled replicas may be fetched with.",
    )
    .valid(Valid::AtLeast(0))
    .per_broker(),
    ConfigDefinition::new(
        "follower.replication.throttled.rate",
        Long,
        MAX,
        "Bytes per second throttled replicas fetch.",
    )
    .valid(Valid::AtLeast(0))
    .per_broker(),
    // Security
    ConfigDefinition::new("sasl.enabled.mechanisms", List, "GSSAPI", "SASL mechanisms offered.").without_effect(),
    ConfigDefinition::new("ssl.keystore.certificate.chain", Password, "", "Certificate chain in PEM.")
        .without_default()
        .without_effect(),
    ConfigDefinition::new("ssl.keystore.key", Password, "", "Private key in PEM.").without_default().without_effect(),
    ConfigDefinition::new("ssl.truststore.certificates", Password, "", "Trusted certificates in PEM.")
        .without_default()
        .without_effect(),
    ConfigDefinition::new("super.users", String, "", "Principals that may do everything.").without_effect(),
    ConfigDefinition::new(
        "allow.everyone.if.no.acl.found",
        Boolean,
        "false",
        "Whether a resource without an ACL is open to all.",
    )
    .without_effect(),
    ConfigDefinition::new("authorizer.class.name", String, "", "Which authorizer decides.").without_effect(),
];
