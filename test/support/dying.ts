import { type Db, openDb } from '../../db/client.ts'
import type { Provider } from '../../providers/provider.ts'

/** A worker dies before a line is done, or after the line is done and before any caller knows. */
export const moments = ['before', 'after'] as const
type Moment = (typeof moments)[number]
type Run = () => Promise<unknown>

/**
 * Gives a database and a provider to a worker that dies at one of its lines. Each query and each
 * call counts as one line.
 */
export function dyingWorker(url: () => string) {
  let db: Db
  let lines = 0
  let at: (line: number, run: Run) => Promise<unknown> = (_, run) => run()
  const step = (run: Run) => at(++lines, run)

  beforeAll(() => {
    db = openDb(url(), { statementTimeoutMs: 20_000 })
    db.$client.on('error', () => {}) // the database is dropped with force
    db.$client.on('connect', (connection) => {
      const query = connection.query.bind(connection) as (...args: unknown[]) => unknown
      connection.query = ((...args: unknown[]) => {
        const done = args.at(-1)
        const isCallback = typeof done === 'function'
        const run = async () => query(...(isCallback ? args.slice(0, -1) : args))
        const result = step(run)
        if (!isCallback) return result
        result.then(
          (found) => done(null, found),
          (error) => done(error),
        )
      }) as typeof connection.query
    })
  })
  afterAll(() => db.$client.end())

  /** Returns whether `use` died at its nth line. A worker that has fewer lines lives. */
  async function dieAt(nth: number, when: Moment, use: () => Promise<unknown>): Promise<boolean> {
    lines = 0
    let died = false
    at = async (line, run) => {
      if (line !== nth) return run()
      died = true
      if (when === 'after') await run()
      throw new Error('killed')
    }
    await use().catch((error) => {
      if (!died) throw error
    })
    at = (_, run) => run()
    return died
  }

  /** Holds `use` up at its nth line until `meanwhile` has ended. */
  async function holdAt(
    nth: number,
    use: Run,
    meanwhile: Run,
  ): Promise<PromiseSettledResult<unknown>> {
    lines = 0
    let reached = () => {}
    let release = () => {}
    const isThere = new Promise<void>((resolve) => {
      reached = resolve
    })
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    at = async (line, run) => {
      if (line === nth) {
        reached()
        await released
      }
      return run()
    }
    const held = Promise.allSettled([use()])
    await isThere
    await meanwhile()
    release()
    const [result] = await held
    at = (_, run) => run()
    return result
  }

  /** Makes each call of a function one more line that the worker may die at. */
  const dying = <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
    ((...args: Args) => step(() => call(...args))) as (...args: Args) => Promise<T>

  /** Makes the calls that move money out into lines that the worker may die at. */
  function wrap(real: Provider): Partial<Provider> {
    const { simulatePayout = async () => ({ state: 'unsent' }) as const } = real
    return {
      createRefund: dying(real.createRefund),
      retrieveRefund: dying(real.retrieveRefund),
      createPayout: dying(real.createPayout),
      retrievePayout: dying(real.retrievePayout),
      cancelPayout: dying(real.cancelPayout),
      simulatePayout: dying(simulatePayout),
    }
  }

  return { db: () => db, dying, wrap, dieAt, holdAt }
}
