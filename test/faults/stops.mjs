import { createRequire } from 'node:module'

/**
 * A worker loads this module before it starts. Each activity then asks the address `FAULT_STOPS`
 * whether it may begin, and later whether it may report its result. An activity that gets no answer
 * stands still until the worker is killed.
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
