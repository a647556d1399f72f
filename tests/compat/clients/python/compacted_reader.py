"""Reads a compacted partition from the beginning, then starts anew at offsets that exist and offsets that do not.

usage: compacted_reader.py BOOTSTRAP TOPIC
Runs on confluent-kafka or on any kafka-python, whichever is installed. Prints [offset, key, value] of every record.
"""

import json
import sys

LIMIT_S = 20
STARTS_MAX = 30


class Confluent:
    def __init__(self, bootstrap, topic):
        from confluent_kafka import Consumer, Producer, TopicPartition

        settings = {"bootstrap.servers": bootstrap}
        self.at = lambda offset: TopicPartition(topic, 0, offset)
        self.producer = Producer({**settings, "acks": "all"})
        self.consumer = Consumer({**settings, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error"})
        self.topic = topic

    def start_at(self, offset):
        self.consumer.assign([self.at(offset)])

    def next(self):
        message = self.consumer.poll(LIMIT_S)
        if message is None or message.error():
            sys.exit(f"no record came: {message and message.error()}")
        return message.offset(), message.key(), message.value()

    def end(self):
        return self.consumer.get_watermark_offsets(self.at(0))[1]

    def produce(self, key, value):
        self.producer.produce(self.topic, key=key, value=value, partition=0)
        assert self.producer.flush(LIMIT_S) == 0


class KafkaPython:
    def __init__(self, bootstrap, topic):
        from kafka import KafkaConsumer, KafkaProducer, TopicPartition

        bootstrap = bootstrap.split(",")
        self.partition = TopicPartition(topic, 0)
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
        self.consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="none", enable_auto_commit=False)
        self.consumer.assign([self.partition])

    def start_at(self, offset):
        self.consumer.seek(self.partition, offset)

    def next(self):
        for records in self.consumer.poll(timeout_ms=LIMIT_S * 1000, max_records=1).values():
            return records[0].offset, records[0].key, records[0].value
        sys.exit(f"no record came; the position is {self.consumer.position(self.partition)}")

    def end(self):
        return self.consumer.end_offsets([self.partition])[self.partition]

    def produce(self, key, value):
        self.producer.send(self.partition.topic, key=key, value=value, partition=0).get(LIMIT_S)


def starts(offsets, end):
    """Both ends, and a choice of the places where something is missing: its first offset and the one before what follows."""
    gaps = [(before + 1, after - 1) for before, after in zip(offsets, offsets[1:]) if after - before > 1]
    assert gaps, "nothing was compacted"
    chosen = gaps[:: max(1, 2 * len(gaps) // STARTS_MAX)]
    return sorted({0, end - 1, *(offset for gap in chosen for offset in gap)})


def main():
    bootstrap, topic = sys.argv[1:3]
    try:
        client = Confluent(bootstrap, topic)
    except ImportError:
        client = KafkaPython(bootstrap, topic)
    end = client.end()
    records = []
    client.start_at(0)
    while not records or records[-1][0] < end - 1:
        records.append(client.next())
    offsets = [offset for offset, _, _ in records]
    assert offsets == sorted(set(offsets)), offsets

    for start in starts(offsets, end):
        client.start_at(start)
        found = client.next()
        assert found in records and found[0] == min(o for o in offsets if o >= start), (start, found)

    client.start_at(end)
    client.produce(b"at the end", b"of the log")
    assert client.next() == (end, b"at the end", b"of the log")

    text = lambda data: None if data is None else data.decode().rstrip(".")
    for offset, key, value in records:
        print(json.dumps([offset, text(key), text(value)]))


main()
