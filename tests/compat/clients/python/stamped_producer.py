"""Writes records whose timestamps are a minute apart, to one partition.

usage: stamped_producer.py BOOTSTRAP TOPIC COUNT; the first is of 2020-01-01T00:00:00Z.
"""

import sys

from confluent_kafka import Producer

FIRST_MS = 1_577_836_800_000

bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
producer = Producer({"bootstrap.servers": bootstrap})
for n in range(count):
    producer.produce(topic, f"record {n}", partition=0, timestamp=FIRST_MS + n * 60_000)
assert producer.flush(30) == 0
