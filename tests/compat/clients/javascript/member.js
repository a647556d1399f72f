// What the group members in JavaScript share: their settings, their events, and the order to stop.

export const settings = Object.fromEntries(process.argv.slice(2).map(argument => {
  const split = argument.indexOf('=')
  return [argument.slice(0, split), argument.slice(split + 1)]
}))
export const byHand = settings.commit === 'manual'
export const brokers = settings.bootstrap.split(',')

export function tell (event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, at_ms: Date.now(), ...fields }) + '\n')
}

// Both clients show an assignment whole; the checker wants what came and what went.
let owned = []

export function assigned (partitions, generation) {
  revoked()
  owned = partitions
  tell('assigned', { partitions, generation })
}

export function revoked () {
  if (owned.length > 0) tell('revoked', { partitions: owned })
  owned = []
}

export function owns (partition) {
  return owned.includes(partition)
}

// Resolves when the test wants the member to leave.
export const stopping = new Promise(resolve => {
  process.stdin.on('end', resolve).resume()
})
