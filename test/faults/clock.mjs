import { readFileSync } from 'node:fs'

const READ_EVERY_MS = 20

/**
 * A program loads this module before it starts. Its clock then differs from the real clock by the
 * number of milliseconds that the file `FAULT_CLOCK` holds at the moment. Timers are not affected,
 * just as on a machine whose clock is set.
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
