"""Reads a topic from its beginning with librdkafka until standard input ends, and prints each record as a line of JSON.

usage: reader.py TOPIC PARTITIONS key=value...
"""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, TopicPartition


def main():
    topic, partitions = sys.argv[1], int(sys.argv[2])
    settings = dict(setting.split("=", 1) for setting in sys.argv[3:])
    # A reader that is told that its offset is out of range must not hide it.
    consumer = Consumer({"group.id": "reader", "enable.auto.commit": False, "auto.offset.reset": "error", **settings})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    while not stop.is_set():
        message = consumer.poll(0.1)
        if message is None:
            continue
        line = {"at_ms": time.time_ns() // 1_000_000}
        if message.error() is None:
            value = message.value().decode().rstrip(".")
            line.update(value=value, partition=message.partition(), offset=message.offset())
        else:
            line.update(error=str(message.error()))
        print(json.dumps(line), flush=True)
    consumer.close()


main()
