import { and, eq, sql } from 'drizzle-orm'
import { commands } from '../../db/requests/schema.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { ensureSchedules } from '../../worker/setup.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { until } from '../support/stack.ts'
import { sharedPostgres } from './database.ts'
import { untilAllEnded } from './endings.ts'
import { expectAllWell } from './invariants.ts'
import { testRemit } from './remit.ts'
import { openShop, type Shop } from './shop.ts'

const TIMEOUT_MS = 480_000 // the machine may be busy: each test needs a tenth of this
const noLoad = { done: Promise.resolve([]) }

const endpoint = testEndpoint()
const remit = testRemit({ database: sharedPostgres() })

/** Each row is a command for a payment of 1000, and the end of that payment. */
const told = [
  ['capture', {}, { status: 'succeeded', amount_captured: 1000 }],
  ['capture', { amount: 300 }, { status: 'succeeded', amount_captured: 300 }],
  ['cancel', {}, { status: 'canceled', amount_captured: 0 }],
] as const

/** Authorizes one payment for each command and source, and waits until no delivery is pending. */
async function authorizeAll({ client, merchant }: Shop) {
  const orders = ['1@upi', 'down@upi', 'timeout@upi'].flatMap((vpa) =>
    told.map(([verb, body, end]) => ({ vpa, verb, body, end })),
  )
  const opened = await Promise.all(
    orders.map(async ({ vpa, verb, body, end }) => {
      const id = await client.pay({ amount: 1000, vpa, capture_method: 'manual' })
      expect(await client.untilMoved(id)).toBe('authorized')
      return { command: client.question(`/api/v1/payments/${id}/${verb}`, body), end }
    }),
  )
  const pending = and(eq(deliveries.merchantId, merchant.id), eq(deliveries.status, 'pending'))
  await until(async () => (await remit.db().$count(deliveries, pending)) === 0, 'the deliveries')
  return opened
}

/** Counts the merchant's commands that are still open. */
function openCommands({ merchant }: Shop): Promise<number> {
  const theirs = eq(commands.merchantId, merchant.id)
  return remit.db().$count(commands, and(theirs, sql`status = 'open'`))
}

test.each(['kept', 'lost'])(
  'a command posted while the worker is down is done once the worker is back, with Temporal restarted and its state %s',
  async (state) => {
    const shop = await openShop(remit, endpoint)
    const opened = await authorizeAll(shop)
    const sendAll = () => Promise.all(opened.map(({ command }) => shop.client.send(command)))

    await remit.kill('worker')
    for (const { status, body } of await sendAll())
      expect([status, body.status]).toEqual([202, 'authorized'])
    await remit.stopTemporal()
    if (state === 'lost') remit.loseTemporalState()
    await remit.startTemporal()
    expect(await openCommands(shop)).toBe(opened.length)
    remit.start('worker')
    if (state === 'lost') await ensureSchedules(remit.client())

    await untilAllEnded(shop, noLoad) // no command was repeated so far
    for (const [i, { status, body }] of (await sendAll()).entries())
      expect([status, body]).toEqual([200, expect.objectContaining(opened[i]?.end)])
    await sendAll() // these repeats get the same answers
    await expectAllWell(`Commands, state ${state}`, shop, noLoad, '1 kill, 1 restart')
  },
  TIMEOUT_MS,
)
