// A group member on @platformatic/kafka.

import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka'
import { assigned, brokers, byHand, owns, revoked, settings, stopping, tell } from './member.js'

const protocol = settings.protocol ?? 'classic'
// The consumer protocol leaves these to the broker.
const timeouts = protocol === 'classic' ? { sessionTimeout: 6000, heartbeatInterval: 500 } : {}
const consumer = new Consumer({
  clientId: 'member',
  bootstrapBrokers: brokers,
  groupId: settings.group,
  groupProtocol: protocol,
  deserializers: stringDeserializers,
  autocommit: byHand ? false : 500,
  maxWaitTime: 200,
  metadataMaxAge: 1000,
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
stopping.then(async () => {
  await consumer.close(true)
  tell('closed')
  process.exit(0)
})

for await (const message of stream) {
  const partition = `${message.topic}-${message.partition}`
  // The stream goes on with what it had fetched before a rebalance.
  if (!owns(partition)) continue
  tell('record', { partition, offset: Number(message.offset), value: message.value })
  if (byHand) {
    try {
      await message.commit()
      tell('committed', { offsets: { [partition]: Number(message.offset) + 1 } })
    } catch (error) {
      tell('error', { message: String(error) })
    }
  }
}
