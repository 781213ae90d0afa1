import { createRequire } from 'node:module'

/**
 * Loaded into a worker before it starts: each of its activities then asks this address whether it may
 * begin, and once it is done whether it may say so. One that gets no answer stands still until the
 * worker is killed.
 */
const { FAULT_STOPS } = process.env
const { Worker } = createRequire(import.meta.url)('@temporalio/worker')
const { create } = Worker

Worker.create = ({ activities, ...options }) =>
  create.call(Worker, {
    ...options,
    activities: Object.fromEntries(
      Object.entries(activities).map(([name, run]) => [name, stopping(name, run)]),
    ),
  })

function stopping(name, run) {
  return async (...args) => {
    await mayGoOn(`before ${name}`, args[0])
    const result = await run(...args)
    await mayGoOn(`after ${name}`, args[0])
    return result
  }
}

async function mayGoOn(moment, id) {
  const response = await fetch(FAULT_STOPS, {
    method: 'POST',
    body: JSON.stringify({ moment, id }),
  })
  await response.arrayBuffer()
}
