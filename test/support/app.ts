import type { Client } from '@temporalio/client'
import { createApp } from '../../api/app.ts'
import type { TryStart } from '../../api/http/try-start.ts'
import { createUpdater, type TryUpdate } from '../../api/http/try-update.ts'
import type { Db } from '../../db/client.ts'
import type { Log } from '../../log.ts'
import { createProviders, type Providers } from '../../providers/index.ts'
import { startOnce } from '../../temporal/start.ts'
import type { Start } from '../../temporal/starts.ts'
import { testCipher } from './cipher.ts'
import type { Merchant } from './db.ts'
import { silent } from './log.ts'

type Options = {
  log?: Log
  temporal?: Client // without a client, starts are only noted
  tryStart?: TryStart
  tryUpdate?: TryUpdate
  providers?: Providers
  rateLimitPerSecond?: number
  receiverSecret?: string
}

/**
 * Creates the API over a real database. `started` lists the workflows that the API wanted to start.
 */
export function testApp(db: Db, options: Options = {}) {
  const { temporal, log = silent, rateLimitPerSecond = 0, ...rest } = options
  const started: Start[] = []
  const note: TryStart = async (start) => {
    started.push(start)
  }
  const app = createApp({
    log,
    db,
    temporal: temporal ?? ({} as Client),
    tryStart: temporal ? patientStart(temporal) : note,
    tryUpdate: temporal ? createUpdater(temporal, log) : async () => {},
    providers: testProviders(db),
    cipher: testCipher,
    outbound: { allowHttp: true, allowPrivateNetworks: true },
    rateLimitPerSecond,
    publicUrl: 'https://pay.example',
    ...rest,
  })
  return { app, started }
}

/** Creates the sandbox provider, which decides at once. */
export function testProviders(db: Db, now: () => Date | Promise<Date> = () => new Date()) {
  const sandboxDelay = { minMs: 0, maxMs: 0 }
  return createProviders({ db, sandboxDelay, now })
}

type App = ReturnType<typeof createApp>

/** Lists every route that is served, such as `GET /api/v1/payments/:id`. */
export function routesOf(app: App): string[] {
  const routes = app.routes.filter(({ method }) => method !== 'ALL')
  return [...new Set(routes.map(({ method, path }) => `${method} ${path}`))]
}

export type Answer = {
  status: number
  headers: Headers
  // A test asserts on the fields of an answer that it reads, so a body may have any shape.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  body: any
}

/** Calls the API as a merchant does: JSON in, JSON out. */
export function callAs(app: App, merchant: Merchant | null) {
  return async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const auth = merchant && { 'x-api-key': merchant.key, 'x-api-secret': merchant.secret }
    const response = await app.request(path, {
      method,
      headers: {
        ...auth,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text) }
  }
}

const START_LIMIT_MS = 60_000

/**
 * Starts a workflow however long a busy machine takes. The API itself gives up after a second and
 * leaves the start to the sweep, which most tests do not run.
 */
function patientStart(temporal: Client): TryStart {
  return async (start) => {
    await startOnce(temporal, start, START_LIMIT_MS)
  }
}
