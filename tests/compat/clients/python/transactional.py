"""Prints why a transactional producer cannot begin. Arguments: the bootstrap servers."""

import sys

from confluent_kafka import KafkaException, Producer

producer = Producer({"bootstrap.servers": sys.argv[1], "transactional.id": "t"})
try:
    producer.init_transactions(60)
except KafkaException as error:
    print(error.args[0].str())
