"""A group member on kafka-python, any version."""

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaError

from member import by_hand, name, settings, stopping, tell

consumer = KafkaConsumer(
    bootstrap_servers=settings["bootstrap"].split(","),
    group_id=settings["group"],
    auto_offset_reset="earliest",
    enable_auto_commit=not by_hand,
    auto_commit_interval_ms=500,
    session_timeout_ms=6000,
    heartbeat_interval_ms=500,
    metadata_max_age_ms=1000,
)


def generation():
    return getattr(getattr(consumer._coordinator, "_generation", None), "generation_id", None)


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        tell("revoked", partitions=[name(p) for p in revoked])

    def on_partitions_assigned(self, assigned):
        tell("assigned", partitions=[name(p) for p in assigned], generation=generation())


if "pattern" in settings:
    consumer.subscribe(pattern=settings["pattern"], listener=Listener())
else:
    consumer.subscribe([settings["topic"]], listener=Listener())

while not stopping.is_set():
    try:
        # Long enough for a whole rebalance: since 2.2 the client forgets an assignment that comes between two polls.
        polled = consumer.poll(timeout_ms=2000)
        for partition, records in polled.items():
            for record in records:
                tell("record", partition=name(partition), offset=record.offset, value=record.value.decode())
        if polled and by_hand:
            consumer.commit()
            tell("committed", offsets={name(p): records[-1].offset + 1 for p, records in polled.items()})
    except KafkaError as error:
        tell("error", message=repr(error))
consumer.close()
tell("closed")
