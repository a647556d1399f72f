"""What kafka-python does beyond the article, in code that all its generations since 1.4 run.

usage: kafka_python_tour.py BOOTSTRAP TOPIC (an existing topic of two partitions)
"""

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

bootstrap, topic = sys.argv[1].split(","), sys.argv[2]
partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]

producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="gzip", linger_ms=5)
futures = [
    producer.send(topic, key=b"k%d" % n, value=b"v%d" % n, headers=[("h", b"%d" % n), ("h", b"again")],
                  partition=n % 2, timestamp_ms=1_000_000 + n)
    for n in range(100)
]
producer.flush(timeout=30)
sent = [future.get(timeout=30) for future in futures]
assert [m.offset for m in sent if m.partition == 0] == list(range(50)), sent
assert producer.partitions_for(topic) == {0, 1}
producer.close()

consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=10000)
assert consumer.partitions_for_topic(topic) == {0, 1}
assert topic in consumer.topics()
consumer.assign(partitions)
assert consumer.beginning_offsets(partitions) == {p: 0 for p in partitions}
assert consumer.end_offsets(partitions) == {p: 50 for p in partitions}
found = consumer.offsets_for_times({partitions[0]: 1_000_040})
assert found[partitions[0]].offset == 20, found

seen = []
for message in consumer:
    seen.append(message)
    if len(seen) == 100:
        break
for n in range(100):
    message = next(m for m in seen if m.partition == n % 2 and m.offset == n // 2)
    assert message.key == b"k%d" % n and message.value == b"v%d" % n, message
    assert list(message.headers) == [("h", b"%d" % n), ("h", b"again")], message
    assert message.timestamp == 1_000_000 + n, message

consumer.seek(partitions[0], 49)
consumer.pause(partitions[1])
assert next(consumer).value == b"v98"
assert consumer.position(partitions[0]) == 50
consumer.seek_to_beginning(partitions[1])
consumer.resume(partitions[1])
assert next(consumer).value == b"v1"
consumer.close()
print("ok")
