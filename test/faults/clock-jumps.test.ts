import { testEndpoint } from '../support/endpoint.ts'
import { testClocks } from './clocks.ts'
import { sharedPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { testRemit } from './remit.ts'
import { openShop, retrySchedule, type Shop } from './shop.ts'

const PAYMENTS = 30
const TIMEOUT_MS = 480_000 // the machine may be busy
const SLACK = 0.9 // a wait may end a tenth too early

const endpoint = testEndpoint()
const clocks = testClocks()
// The sandbox decides at once, because it has the worker's clock, unlike a real provider.
const env = (name: 'api' | 'worker') => ({ ...clocks.env(name), SANDBOX_DELAY_MS: '0' })
const remit = testRemit({ database: sharedPostgres(), env })

const jumps = [
  [
    'ahead, back and right again',
    [
      { api: 3, worker: 5 },
      { api: -5, worker: -3 },
      { api: 0, worker: 0 },
    ],
  ],
  ['back for good', [{ api: -2, worker: -4 }]],
] as const

/** Checks the waits between attempts by the test's own clock, which no test sets. */
function expectFullWaits({ posts }: Shop): void {
  for (const event of new Set(posts.map((post) => post.event))) {
    const times = posts.filter((post) => post.event === event).map(({ at }) => at)
    const waits = times.slice(1).map((at, i) => (at - (times[i] ?? 0)) / 1000)
    for (const [i, wait] of waits.entries())
      expect(wait).toBeGreaterThanOrEqual((retrySchedule[i] ?? 0) * SLACK)
  }
}

beforeEach(() => clocks.set({ api: 0, worker: 0 }))

test.each(jumps)(
  'clocks that jump %s by hours lose and double nothing, and a jump back shortens no wait',
  async (name, steps) => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(PAYMENTS)
    for (const [i, hours] of steps.entries()) {
      await shop.received(((i + 1) * PAYMENTS) / 2) // half of them wait for another attempt
      await clocks.set(hours)
    }
    await expectAllWell(`Clocks, ${name}`, shop, load, `${steps.length} jumps`)
    // After a jump ahead, each waiting delivery is due whenever the worker looks.
    const neverAhead = steps.every(({ api, worker }) => api <= 0 && worker <= 0)
    if (neverAhead) expectFullWaits(shop)
  },
  TIMEOUT_MS,
)
