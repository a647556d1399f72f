// A group member on @platformatic/kafka. It always commits by hand: the automatic commit takes what was fetched
// for what was read, so that a crash skips records, and that is no fault of the broker.

import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka'
import { assigned, brokers, owns, revoked, settings, stopping, tell } from './member.js'

const protocol = settings.protocol ?? 'classic'
// The consumer protocol leaves these to the broker.
const timeouts = protocol === 'classic' ? { sessionTimeout: 6000, heartbeatInterval: 500 } : {}
const consumer = new Consumer({
  clientId: 'member',
  bootstrapBrokers: brokers,
  groupId: settings.group,
  groupProtocol: protocol,
  deserializers: stringDeserializers,
  autocommit: false,
  maxWaitTime: 200,
  metadataMaxAge: 1000,
  // Longer than any broker takes to be replaced.
  retries: 120,
  retryDelay: 250,
  ...timeouts
})

consumer.on('consumer:group:join', ({ assignments, generationId }) => {
  const partitions = assignments.flatMap(({ topic, partitions }) => partitions.map(partition => `${topic}-${partition}`))
  assigned(partitions, generationId)
})
consumer.on('consumer:group:rebalance', revoked)
consumer.on('error', error => tell('error', { message: String(error) }))

const stream = await consumer.consume({
  topics: [settings.topic],
  mode: MessagesStreamModes.COMMITTED,
  fallbackMode: MessagesStreamFallbackModes.EARLIEST
})
stream.on('error', error => tell('error', { message: String(error) }))

let working = false
let stopped = false
stopping.then(() => {
  stopped = true
  if (!working) stream.close()
})

for await (const message of stream) {
  if (stopped) break
  const partition = `${message.topic}-${message.partition}`
  // The stream goes on with what it had fetched before a rebalance.
  if (!owns(partition)) continue
  working = true
  tell('record', { partition, offset: Number(message.offset), value: message.value })
  try {
    await message.commit()
    tell('committed', { offsets: { [partition]: Number(message.offset) + 1 } })
  } catch (error) {
    tell('error', { message: String(error) })
  }
  working = false
  if (stopped) break
}
await consumer.close(true)
tell('closed')
process.exit(0)
