import { readFileSync } from 'node:fs'

const READ_EVERY_MS = 20

/**
 * Loaded into a program before it starts: its clock then differs from the real one by the number of
 * milliseconds in this file, whatever that says at the moment. Timers go on as they were, as they do
 * on a machine whose clock is set.
 */
const { FAULT_CLOCK } = process.env
let offsetMs = 0

function read() {
  offsetMs = Number(readFileSync(FAULT_CLOCK, 'utf8'))
}

globalThis.Date = new Proxy(Date, {
  construct: (real, args, target) =>
    Reflect.construct(real, args.length > 0 ? args : [real.now() + offsetMs], target),
  apply: (real) => new real(real.now() + offsetMs).toString(),
  get: (real, name) => (name === 'now' ? () => real.now() + offsetMs : Reflect.get(real, name)),
})

read()
setInterval(read, READ_EVERY_MS).unref()
