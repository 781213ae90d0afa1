import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pause } from '../support/stack.ts'

type Name = 'api' | 'worker'

const HOUR_MS = 60 * 60_000
const SEEN_MS = 100 // the programs look every 20 ms

/** Gives each of the two programs a clock that a test can set. */
export function testClocks() {
  const folder = mkdtempSync(join(tmpdir(), 'remit-clocks-'))
  const module = fileURLToPath(new URL('clock.mjs', import.meta.url))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const put = (name: Name, hours: number) => {
    writeFileSync(join(folder, 'new'), `${hours * HOUR_MS}`)
    renameSync(join(folder, 'new'), join(folder, name)) // no program reads half a file
  }
  put('api', 0)
  put('worker', 0)
  return {
    env: (name: Name) => ({ NODE_OPTIONS: `--import ${module}`, FAULT_CLOCK: join(folder, name) }),
    /** Sets how many hours each clock is ahead of the real time. */
    async set(hours: Record<Name, number>): Promise<void> {
      for (const name of ['api', 'worker'] as const) put(name, hours[name])
      await pause(SEEN_MS)
    },
  }
}
