"""A group member on aiokafka."""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from member import by_hand, name, settings, stopping, tell


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer):
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked):
        tell("revoked", partitions=[name(p) for p in revoked])

    async def on_partitions_assigned(self, assigned):
        generation = getattr(self.consumer._coordinator, "generation", None)
        tell("assigned", partitions=[name(p) for p in assigned], generation=generation)


async def step(consumer):
    polled = await consumer.getmany(timeout_ms=200)
    for partition, records in polled.items():
        for record in records:
            tell("record", partition=name(partition), offset=record.offset, value=record.value.decode())
    if polled and by_hand:
        await consumer.commit()
        tell("committed", offsets={name(p): records[-1].offset + 1 for p, records in polled.items()})


async def main():
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings["bootstrap"].split(","),
        group_id=settings["group"],
        auto_offset_reset="earliest",
        enable_auto_commit=not by_hand,
        auto_commit_interval_ms=500,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        metadata_max_age_ms=1000,
    )
    if "pattern" in settings:
        consumer.subscribe(pattern=settings["pattern"], listener=Listener(consumer))
    else:
        consumer.subscribe([settings["topic"]], listener=Listener(consumer))
    await consumer.start()
    while not stopping.is_set():
        try:
            await step(consumer)
        except KafkaError as error:
            tell("error", message=repr(error))
    await consumer.stop()
    tell("closed")


asyncio.run(main())
