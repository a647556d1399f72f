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
  retryDelay: 250,
  ...timeouts
})

consumer.on('consumer:group:join', ({ assignments, generationId }) => {
  const partitions = assignments.flatMap(({ topic, partitions }) => partitions.map(partition => `${topic}-${partition}`))
  assigned(partitions, generationId)
})
consumer.on('consumer:group:rebalance', revoked)
consumer.on('error', error => tell('error', { message: String(error).slice(0, 200) }))

let stream = null
let working = false
let stopped = false
stopping.then(() => {
  stopped = true
  if (!working) stream?.close()
})

async function take (message) {
  const partition = `${message.topic}-${message.partition}`
  // The stream goes on with what it had fetched before a rebalance.
  if (!owns(partition)) return
  tell('record', { partition, offset: Number(message.offset), value: message.value })
  await message.commit()
  tell('committed', { offsets: { [partition]: Number(message.offset) + 1 } })
}

// A stream ends with the first error that outlasts its retries.
while (!stopped) {
  try {
    stream = await consumer.consume({
      topics: [settings.topic],
      mode: MessagesStreamModes.COMMITTED,
      fallbackMode: MessagesStreamFallbackModes.EARLIEST
    })
    for await (const message of stream) {
      working = true
      if (!stopped) await take(message)
      working = false
      if (stopped) break
    }
  } catch (error) {
    working = false
    tell('error', { message: String(error).slice(0, 200) })
  }
}
await consumer.close(true)
tell('closed')
process.exit(0)
