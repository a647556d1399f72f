"""Writes ten records to a compacted topic in one batch, the fourth without a key: the answer names that one alone.

usage: faulty_producer.py BOOTSTRAP TOPIC
"""

import sys

from kafka import KafkaProducer
from kafka.errors import InvalidRecordError

FAULTY = 3

bootstrap, topic = sys.argv[1].split(","), sys.argv[2]
producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=2000, retries=0, enable_idempotence=False)
keys = [None if n == FAULTY else b"k%d" % n for n in range(10)]
futures = [producer.send(topic, key=key, value=b"value", partition=0) for key in keys]
producer.flush(timeout=30)
errors = [future.exception for future in futures]
assert all(errors), errors
at_fault = [n for n, error in enumerate(errors) if isinstance(error, InvalidRecordError)]
assert at_fault == [FAULTY], errors
print("ok")
