"""Produces with librdkafka until standard input ends, and prints each delivery report as a line of JSON.

usage: writer.py TOPIC NAME RECORDS_PER_SECOND VALUE_BYTES key=value...
The keys are librdkafka's settings; acks=all and idempotence are set, everything else is default.
"""

import json
import sys
import threading
import time

from confluent_kafka import Producer


def report(error, message):
    line = {"value": message.value().decode().rstrip("."), "at_ms": time.time_ns() // 1_000_000}
    if error is None:
        line.update(partition=message.partition(), offset=message.offset())
    else:
        line.update(error=str(error))
    print(json.dumps(line), flush=True)


def main():
    topic, name, rate, size = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    settings = dict(setting.split("=", 1) for setting in sys.argv[5:])
    producer = Producer({"enable.idempotence": True, "acks": "all", **settings})
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    started, sequence = time.monotonic(), 0
    while not stop.is_set():
        behind = (time.monotonic() - started) * rate - sequence
        if behind >= 1:
            value = f"{name}-{sequence}"
            try:
                producer.produce(topic, value.ljust(size, "."), key=str(sequence), on_delivery=report)
                sequence += 1
            except BufferError:
                producer.poll(0.01)
        producer.poll(0 if behind > 1 else 0.002)
    producer.flush(120)


main()
