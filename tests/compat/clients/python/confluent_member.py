"""A group member on confluent-kafka, which is librdkafka."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from member import by_hand, name, settings, stopping, tell

# The consumer protocol leaves these to the broker.
CLASSIC = {"session.timeout.ms": int(settings.get("session_ms", "6000")), "heartbeat.interval.ms": 500}


config = {
    "bootstrap.servers": settings["bootstrap"],
    "group.id": settings["group"],
    "auto.offset.reset": "earliest",
    "enable.auto.commit": not by_hand,
    "auto.commit.interval.ms": 500,
    "topic.metadata.refresh.interval.ms": 1000,
    "group.protocol": settings.get("protocol", "classic"),
}
if config["group.protocol"] == "classic":
    config.update(CLASSIC)
    config["partition.assignment.strategy"] = settings.get("assignor", "range")
if "instance" in settings:
    config["group.instance.id"] = settings["instance"]
consumer = Consumer(config)


def on_assign(_, partitions):
    tell("assigned", partitions=[name(p) for p in partitions])


def on_revoke(_, partitions):
    tell("revoked", partitions=[name(p) for p in partitions])


# librdkafka takes a name that begins with ^ for a pattern.
subscription = settings.get("pattern", settings.get("topic"))
consumer.subscribe([subscription], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_revoke)
while not stopping.is_set():
    upcoming = {}
    for message in consumer.consume(100, timeout=0.2):
        if message.error():
            tell("error", message=str(message.error()))
            continue
        partition = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
        tell("record", partition=name(partition), offset=message.offset(), value=message.value().decode())
        upcoming[name(partition)] = partition
    if upcoming and by_hand:
        try:
            consumer.commit(offsets=list(upcoming.values()), asynchronous=False)
            tell("committed", offsets={partition: next.offset for partition, next in upcoming.items()})
        except KafkaException as error:
            tell("error", message=str(error))
consumer.close()
tell("closed")
