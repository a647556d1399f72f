"""librdkafka's client: admin, idempotent production in every codec, reading by assignment.

usage: confluent_tour.py BOOTSTRAP TOPIC (a topic that does not exist)
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

bootstrap, topic = sys.argv[1], sys.argv[2]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def done(futures):
    return {key: future.result(30) for key, future in futures.items()}


def wait(what, condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


admin = AdminClient({"bootstrap.servers": bootstrap})
done(admin.create_topics([NewTopic(topic, 2, 3, config={"retention.ms": "3600000"})]))
wait("the topic is known", lambda: topic in admin.list_topics().topics)
assert len(admin.list_topics().brokers) == 3
described = admin.describe_cluster().result(30)
assert described.cluster_id and len(described.nodes) == 3, described

resource = ConfigResource(ResourceType.TOPIC, topic)
assert done(admin.describe_configs([resource]))[resource]["retention.ms"].value == "3600000"
done(admin.create_partitions([NewPartitions(topic, 3)]))
wait("the third partition is there", lambda: len(admin.list_topics(topic).topics[topic].partitions) == 3)
wait("all partitions have leaders", lambda: all(p.leader > 0 for p in admin.list_topics(topic).topics[topic].partitions.values()))

delivered = []


def report(error, message):
    assert error is None, error
    delivered.append((message.partition(), message.offset()))


for codec in CODECS:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": codec, "linger.ms": 20})
    for n in range(200):
        value = (f"{codec}-{n}-" + "abcdefgh" * 20).encode()
        headers = [("codec", codec), ("n", str(n)), ("n", None)]
        producer.produce(topic, value, key=str(n), partition=n % 3, headers=headers, timestamp=1_000_000 + n, on_delivery=report)
    assert producer.flush(30) == 0
assert len(set(delivered)) == 200 * len(CODECS)

consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(3)])
seen = {}
deadline = time.monotonic() + 30
while len(seen) < 200 * len(CODECS):
    assert time.monotonic() < deadline, len(seen)
    for message in consumer.consume(500, timeout=1.0):
        assert message.error() is None, message.error()
        seen[message.partition(), message.offset()] = message
assert set(seen) == set(delivered)
for message in seen.values():
    codec, n, _ = message.value().decode().split("-")
    assert message.key() == n.encode()
    assert message.headers() == [("codec", codec.encode()), ("n", n.encode()), ("n", None)], message.headers()
    assert message.timestamp()[1] == 1_000_000 + int(n)

low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
assert (low, high) == (0, 67 * len(CODECS)), (low, high)
[found] = consumer.offsets_for_times([TopicPartition(topic, 0, 1_000_030)], timeout=10)
assert found.offset == 10, found
consumer.close()

partition = TopicPartition(topic, 1)
assert done(admin.list_offsets({partition: OffsetSpec.latest()}))[partition].offset == high
assert done(admin.list_offsets({partition: OffsetSpec.max_timestamp()}))[partition].timestamp == 1_000_199
done(admin.delete_records([TopicPartition(topic, 1, 100)]))
assert done(admin.list_offsets({partition: OffsetSpec.earliest()}))[partition].offset == 100
done(admin.delete_topics([topic]))
wait("the topic is gone", lambda: topic not in admin.list_topics().topics)
print("ok")
