import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Program, startProgram } from '../../scripts/start/programs.ts'
import { tryPort } from '../../scripts/tools/processes.ts'
import { startDevServer } from '../../scripts/tools/temporal.ts'
import type { testDb } from './db.ts'

/** Runs Remit's own two processes, over a file's database and a separate Temporal server. */
export function testPrograms(db: ReturnType<typeof testDb>) {
  const running: Program[] = []
  const env: NodeJS.ProcessEnv = {}
  let folder: string
  let temporal: Awaited<ReturnType<typeof startDevServer>>

  beforeAll(async () => {
    const { TEMPORAL_CLI: cli, REMIT_WORKFLOW_BUNDLE: bundle } = process.env
    assert(cli && bundle, 'set by test/support/global-setup.ts')
    folder = await mkdtemp(join(tmpdir(), 'remit-programs-'))
    temporal = await startDevServer({ cli, port: await tryPort(0), logFile: join(folder, 'log') })
    Object.assign(env, process.env, {
      NODE_ENV: 'test',
      DATABASE_URL: db.url,
      TEMPORAL_ADDRESS: temporal.address,
      REMIT_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'), // see test/support/cipher.ts
      PORT: '0',
      RATE_LIMIT_PER_SECOND: '0',
      SANDBOX_DELAY_MS: '0',
      WEBHOOK_ALLOW_HTTP: 'true',
      WEBHOOK_ALLOW_PRIVATE_NETWORKS: 'true',
      WORKFLOW_BUNDLE: bundle,
    })
  })
  afterAll(async () => {
    await Promise.all(running.map((program) => program.kill()))
    await temporal?.stop()
    await rm(folder, { recursive: true })
  })

  /**
   * Starts a program and waits until it is ready. `lines` is its output so far, `url` is the API's.
   */
  async function start(name: 'api' | 'worker', settings: NodeJS.ProcessEnv = {}) {
    const lines: string[] = []
    const program = startProgram(name, { ...env, ...settings }, (line) => lines.push(line))
    running.push(program)
    const url = `http://127.0.0.1:${await program.ready}`
    return { ...program, lines, url }
  }
  return { start, folder: () => folder }
}

/** Calls an API over HTTP. Returns the status and the body, or null if there was no answer. */
export async function call(url: string, secret: string, body?: unknown, key?: string) {
  const headers = {
    authorization: `Bearer ${secret}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(key && { 'idempotency-key': key }),
  }
  try {
    const sent = body === undefined ? { headers } : { method: 'POST', headers, body: `${body}` }
    const response = await fetch(url, sent)
    return { status: response.status, body: (await response.json()) as { id: string } }
  } catch {
    return null
  }
}
