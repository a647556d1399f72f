// A group member on kafkajs.

import kafkajs from 'kafkajs'
import { assigned, brokers, byHand, revoked, settings, stopping, tell } from './member.js'

// Standard output is for events.
const logCreator = () => ({ label, namespace, log }) =>
  process.stderr.write(`${log.timestamp} ${label} ${namespace}: ${log.message} ${log.error ?? ''}\n`)
// A commit looks for its coordinator where it was, and only a consumer that gave up and started over asks anew. It gives up
// after these retries for each batch it holds: with the default of five that takes up to a minute.
const retry = { initialRetryTime: 100, retries: 2 }
const kafka = new kafkajs.Kafka({ brokers, logCreator, logLevel: kafkajs.logLevel.WARN })
const consumer = kafka.consumer({
  groupId: settings.group,
  retry,
  sessionTimeout: 6000,
  heartbeatInterval: 500,
  maxWaitTimeInMs: 200
})

consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  const topics = Object.entries(payload.memberAssignment)
  assigned(topics.flatMap(([topic, partitions]) => partitions.map(partition => `${topic}-${partition}`)))
})
// The generation is told with heartbeats only.
let generation = -1
consumer.on(consumer.events.HEARTBEAT, ({ payload }) => {
  if (payload.groupGenerationId !== generation) tell('generation', { generation: payload.groupGenerationId })
  generation = payload.groupGenerationId
})
consumer.on(consumer.events.REBALANCING, revoked)
consumer.on(consumer.events.CRASH, ({ payload }) => {
  revoked()
  tell('error', { message: String(payload.error) })
})

async function eachBatch ({ batch, resolveOffset, heartbeat, isRunning, isStale }) {
  const partition = `${batch.topic}-${batch.partition}`
  let next = -1
  for (const message of batch.messages) {
    if (!isRunning() || isStale()) break
    tell('record', { partition, offset: Number(message.offset), value: message.value.toString() })
    resolveOffset(message.offset)
    next = Number(message.offset) + 1
  }
  if (byHand && next >= 0) {
    await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: String(next) }])
    tell('committed', { offsets: { [partition]: next } })
  }
  await heartbeat()
}

await consumer.connect()
const topic = settings.pattern ? new RegExp(settings.pattern) : settings.topic
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({ autoCommit: !byHand, autoCommitInterval: 500, eachBatch })
await stopping
await consumer.stop()
await consumer.disconnect()
tell('closed')
