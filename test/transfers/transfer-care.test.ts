import { eq } from 'drizzle-orm'
import { sendOnce } from '../../activities/provider/provider-calls.ts'
import { IN_FLIGHT_MS } from '../../activities/provider/send-transfer.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { insertCommand } from '../../db/requests/commands.ts'
import { NothingHappened, type Provider } from '../../providers/provider.ts'
import { expectKept, expectRefunded, testTransfers } from './transferring.ts'

const { db, temporal, addRefund, addPayout, activitiesOf, refundOf, payoutOf } = testTransfers()
const steady = activitiesOf({})
const unsent = { state: 'unsent' } as const

/** Returns activities whose first call to the provider fails with `error`, and all keys sent. */
function failing(error: Error) {
  const keys: string[] = []
  const call = <T>(key: string, send: () => Promise<T>): Promise<T> => {
    keys.push(key.slice(key.indexOf(':')))
    return keys.length === 1 ? Promise.reject(error) : send()
  }
  const wrap = (real: Provider): Partial<Provider> => ({
    createRefund: (request) => call(request.key, () => real.createRefund(request)),
  })
  return { keys, activities: activitiesOf({ wrap }) }
}

test('a refund that may still be in flight is sent again only after `IN_FLIGHT_MS`', async () => {
  const { id } = await addRefund()
  const { keys, activities } = failing(new Error('ECONNRESET'))
  await expect(activities.sendRefund(id)).rejects.toThrow('ECONNRESET')
  await expect(activities.sendRefund(id)).rejects.toMatchObject({ type: 'NotKnownYet' })
  expect(keys).toEqual([':refund:1'])
  await temporal.sleep(IN_FLIGHT_MS)
  await activities.sendRefund(id)
  expect(keys).toEqual([':refund:1', ':refund:2'])
  expectRefunded({ outcome: 'succeeded', ...(await refundOf(id)) })
})

test('a refund that did nothing at the provider is resent at once, under a new key', async () => {
  const { id } = await addRefund()
  const { keys, activities } = failing(new NothingHappened('HTTP 503'))
  await expect(activities.sendRefund(id)).rejects.toThrow('HTTP 503')
  await activities.sendRefund(id)
  expect(keys).toEqual([':refund:1', ':refund:2'])
})

test('an activity that is held up after recording an attempt does not send it', async () => {
  let now = 0
  const send = jest.fn(async () => 'sent')
  const attempt = (heldUpMs: number) =>
    sendOnce({
      sent: { attempt: 0, at: null },
      windowMs: 0,
      lookUp: async () => null,
      mark: async () => {
        now += heldUpMs
      },
      send,
      now: async () => new Date(now),
    })
  await expect(attempt(5_001)).rejects.toThrow('held up')
  expect(send).not.toHaveBeenCalled()
  expect(await attempt(5_000)).toBe('sent')
})

test('an accepted payout that the provider forgets is neither resent nor canceled', async () => {
  const { id } = await addPayout()
  await activitiesOf({ delayMs: 86_400_000 }).sendPayout(id)
  const createPayout = jest.fn()
  const forgetting = activitiesOf({
    wrap: () => ({
      createPayout,
      retrievePayout: async () => unsent,
      cancelPayout: async () => unsent,
    }),
  })
  await temporal.sleep(IN_FLIGHT_MS)
  await expect(forgetting.sendPayout(id)).rejects.toThrow('no longer finds')
  await expect(forgetting.cancelPayout(id)).rejects.toThrow('no longer finds')
  expect(createPayout).not.toHaveBeenCalled()
  expect((await payoutOf(id)).row.status).toBe('pending')
})

describe("An operator's verdict", () => {
  const failed = { status: 'failed', failureCode: 'processing_error' } as const

  test("an operator's verdict does not override the provider's verdict", async () => {
    const [refund, payout] = [await addRefund('timeout@upi'), await addPayout('timeout@upi')]
    await expect(steady.sendRefund(refund.id)).rejects.toThrow('the answer was lost')
    await expect(steady.sendPayout(payout.id)).rejects.toThrow('the answer was lost')
    await steady.settleRefund(refund.id, failed)
    await steady.settlePayout(payout.id, failed)
    expectRefunded({ outcome: 'succeeded', ...(await refundOf(refund.id)) })
    expect((await payoutOf(payout.id)).row.status).toBe('completed')
  })

  test("an operator's verdict counts if the provider cannot be reached", async () => {
    const { id } = await addPayout('stuck@upi')
    const away = async (): Promise<never> => {
      throw new Error('ECONNREFUSED')
    }
    await steady.sendPayout(id)
    const { status } = await activitiesOf({ wrap: () => ({ retrievePayout: away }) }).settlePayout(
      id,
      failed,
    )
    expect(status).toBe('failed')
  })
})

test('a payout that is canceled before its workflow starts is never sent', async () => {
  const { id, merchantId } = await addPayout()
  const command = { merchantId, resourceId: id, kind: 'cancel', amount: null } as const
  await db.transaction((tx) => insertCommand(tx, command, new Date()))
  await steady.sendPayout(id)
  const { transfers, commands, ...paid } = await payoutOf(id)
  expectKept({ outcome: 'canceled', transfers, commands, ...paid }, 'canceled')
  expect([transfers, commands]).toEqual([[], ['cancel done']])
})

test('a payout that the provider cancels on its way has failed', async () => {
  const { id } = await addPayout('stuck@upi')
  expect((await steady.sendPayout(id)).status).toBe('processing')
  const verdict = { status: 'canceled' as const, failureCode: null }
  const canceled = async () => ({ state: 'decided' as const, ref: 'ref', verdict })
  await activitiesOf({ wrap: () => ({ retrievePayout: canceled }) }).sendPayout(id)
  const { row, held, available } = await payoutOf(id)
  expect(row).toMatchObject({ status: 'failed', failureCode: 'processing_error' })
  expect([held, available]).toEqual([0, 50_000])
})

test('a row with news stays in the sweep until the news is cleared', async () => {
  const { id } = await addRefund()
  await steady.sendRefund(id)
  await db.update(refunds).set({ nextSweepAt: new Date() }).where(eq(refunds.id, id))
  const away = async (): Promise<never> => {
    throw new Error('ECONNREFUSED')
  }
  const deaf = activitiesOf({ wrap: () => ({ retrieveRefund: away }) })
  await expect(deaf.sendRefund(id)).rejects.toThrow('ECONNREFUSED')
  expect((await refundOf(id)).row.nextSweepAt).not.toBeNull()
  await steady.sendRefund(id)
  expect((await refundOf(id)).row.nextSweepAt).toBeNull()
})
