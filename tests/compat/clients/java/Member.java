import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A group member on the Java client. */
public final class Member {
    private static final int COMMIT_TRIES_MAX = 50;
    private static volatile boolean stopping;

    private final Map<String, String> settings;
    private final boolean byHand;
    private final KafkaConsumer<String, String> consumer;
    /** Read, and not committed yet. */
    private final Map<TopicPartition, OffsetAndMetadata> owed = new HashMap<>();

    private Member(Map<String, String> settings) {
        this.settings = settings;
        this.byHand = settings.get("commit").equals("manual");
        this.consumer = new KafkaConsumer<>(properties(), new StringDeserializer(), new StringDeserializer());
    }

    public static void main(String[] arguments) {
        Map<String, String> settings = new HashMap<>();
        for (String argument : arguments) {
            String[] pair = argument.split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        Thread input = new Thread(Member::waitForEndOfInput);
        input.setDaemon(true);
        input.start();
        new Member(settings).run();
    }

    private static void waitForEndOfInput() {
        try {
            System.in.readAllBytes();
        } catch (java.io.IOException ended) {
            // The same as its end.
        }
        stopping = true;
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", settings.get("bootstrap"));
        properties.put("group.id", settings.get("group"));
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", Boolean.toString(!byHand));
        properties.put("auto.commit.interval.ms", "500");
        properties.put("metadata.max.age.ms", "1000");
        String protocol = settings.getOrDefault("protocol", "classic");
        properties.put("group.protocol", protocol);
        if (protocol.equals("classic")) {
            // The consumer protocol leaves these to the broker.
            properties.put("session.timeout.ms", settings.getOrDefault("session_ms", "6000"));
            properties.put("heartbeat.interval.ms", "500");
            String assignor = settings.getOrDefault("assignor", "range").equals("range")
                    ? "RangeAssignor" : "CooperativeStickyAssignor";
            properties.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        } else if (settings.containsKey("assignor")) {
            properties.put("group.remote.assignor", settings.get("assignor"));
        }
        if (settings.containsKey("instance")) {
            properties.put("group.instance.id", settings.get("instance"));
        }
        if (settings.containsKey("rack")) {
            properties.put("client.rack", settings.get("rack"));
        }
        return properties;
    }

    private void subscribe() {
        ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
                // The next owner reads again what is not committed.
                owed.keySet().removeAll(revoked);
                tell("revoked", "\"partitions\":" + names(revoked));
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                int generation = consumer.groupMetadata().generationId();
                tell("assigned", "\"partitions\":" + names(assigned) + ",\"generation\":" + generation);
            }
        };
        if (settings.containsKey("topic")) {
            consumer.subscribe(List.of(settings.get("topic")), listener);
        } else if (settings.getOrDefault("matched_by", "client").equals("broker")) {
            consumer.subscribe(new SubscriptionPattern(settings.get("pattern")), listener);
        } else {
            consumer.subscribe(Pattern.compile(settings.get("pattern")), listener);
        }
    }

    private void run() {
        subscribe();
        while (!stopping) {
            tryStep();
        }
        // A commit is refused while others leave; it is made once the rebalance is over.
        for (int tries = 0; !owed.isEmpty() && tries < COMMIT_TRIES_MAX; tries++) {
            tryStep();
        }
        consumer.close();
        tell("closed", "\"partitions\":[]");
    }

    private void tryStep() {
        try {
            step();
        } catch (KafkaException error) {
            tell("error", "\"message\":" + quoted(error.toString()));
        }
    }

    private void step() {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
        for (ConsumerRecord<String, String> record : records) {
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            tell("record", "\"partition\":" + quoted(partition.toString()) + ",\"offset\":" + record.offset()
                    + ",\"value\":" + quoted(record.value()));
            if (byHand) {
                owed.put(partition, new OffsetAndMetadata(record.offset() + 1));
            }
        }
        if (!owed.isEmpty()) {
            consumer.commitSync(owed);
            String offsets = owed.entrySet().stream()
                    .map(entry -> quoted(entry.getKey().toString()) + ":" + entry.getValue().offset())
                    .collect(Collectors.joining(","));
            owed.clear();
            tell("committed", "\"offsets\":{" + offsets + "}");
        }
    }

    private static String names(Collection<TopicPartition> partitions) {
        return partitions.stream().map(partition -> quoted(partition.toString()))
                .collect(Collectors.joining(",", "[", "]"));
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + '"';
    }

    private static synchronized void tell(String event, String fields) {
        System.out.println("{\"event\":\"" + event + "\",\"at_ms\":" + System.currentTimeMillis() + "," + fields + "}");
    }
}
