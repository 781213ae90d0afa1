import { ApplicationFailure } from '@temporalio/common'
import { IN_FLIGHT_MS } from '../../activities/provider/send-transfer.ts'
import { insertCommand } from '../../db/requests/commands.ts'
import type { Provider } from '../../providers/provider.ts'
import { dyingWorker, moments } from '../support/dying.ts'
import {
  expectKept,
  expectPaid,
  expectRefunded,
  type TransferActivities,
  testTransfers,
} from './transferring.ts'

const { db, temporal, addRefund, addPayout, activitiesOf, refundOf, payoutOf } = testTransfers()
const worker = dyingWorker(() => db.url)

/** Holds the idempotency keys that reached the provider, without the id of the object. */
let keys: string[] = []
beforeEach(() => {
  keys = []
})

function noted(real: Provider): Provider {
  const note = <T>(key: string, call: () => Promise<T>): Promise<T> => {
    keys.push(key.slice(key.indexOf(':')))
    return call()
  }
  return {
    ...real,
    createRefund: (request) => note(request.key, () => real.createRefund(request)),
    createPayout: (request) => note(request.key, () => real.createPayout(request)),
    cancelPayout: (id, key) => note(key, () => real.cancelPayout(id, key)),
  }
}

const steady = () => activitiesOf({ wrap: noted })
const dying = () =>
  activitiesOf({ activitiesDb: worker.db(), wrap: (real) => worker.wrap(noted(real)) })

type Case = {
  add: () => Promise<string>
  run: (activities: TransferActivities, id: string) => Promise<unknown>
  expectOnce: (id: string) => Promise<void>
}

/**
 * Kills the worker at each line in turn, each time with a new object, and retries as Temporal
 * would. Returns the number of the first line that the run does not have.
 */
async function dieEverywhere(when: (typeof moments)[number], { add, run, expectOnce }: Case) {
  for (let line = 1; ; line++) {
    const id = await add()
    keys = []
    const died = await worker.dieAt(line, when, () => run(dying(), id))
    if (died) await runAgain(() => run(steady(), id))
    await expectOnce(id)
    expect(new Set(keys).size).toBe(keys.length)
    if (!died) return line
  }
}

/** Retries as Temporal would: after a `NotKnownYet`, it waits until no call can be in flight. */
async function runAgain(run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || error.type !== 'NotKnownYet') throw error
    await temporal.sleep(IN_FLIGHT_MS)
    await run()
  }
}

async function command(id: string, kind: 'complete' | 'fail'): Promise<void> {
  const { merchantId } = (await payoutOf(id)).row
  const values = { merchantId, resourceId: id, kind, amount: null }
  await db.transaction((tx) => insertCommand(tx, values, new Date()))
}

async function sentPayout(target: string, delayMs = 0): Promise<string> {
  const { id } = await addPayout(target)
  await activitiesOf({ delayMs }).sendPayout(id)
  return id
}

const cases: Record<string, Case & { lines: number }> = {
  'a refund is sent': {
    lines: 10,
    add: async () => (await addRefund()).id,
    run: ({ sendRefund }, id) => sendRefund(id),
    expectOnce: async (id) => expectRefunded({ outcome: 'succeeded', ...(await refundOf(id)) }),
  },
  'a payout is sent, and found to have arrived': {
    lines: 18,
    add: async () => (await addPayout()).id,
    run: async ({ sendPayout }, id) => {
      const { status } = await sendPayout(id)
      if (status === 'processing') await sendPayout(id)
    },
    expectOnce: async (id) => {
      const { events, ...rest } = await payoutOf(id)
      const told = ['payout.created', 'payout.processing', 'payout.completed'] as typeof events
      // A payout that arrives before the first look-up is never recorded as processing.
      expect([told, told.toSpliced(1, 1)]).toContainEqual(events)
      expectPaid({ outcome: 'completed', ...rest, events: told })
    },
  },
  'an accepted payout is canceled': {
    lines: 10,
    add: () => sentPayout('test@upi', 86_400_000),
    run: ({ cancelPayout }, id) => cancelPayout(id),
    expectOnce: async (id) => {
      const paid = await payoutOf(id)
      expectKept({ outcome: 'canceled', ...paid }, 'canceled')
      expect(paid.events).toEqual(['payout.created', 'payout.canceled'])
      expect(paid.transfers).toMatchObject([{ status: 'canceled' }])
    },
  },
  'a payout that was not sent is canceled': {
    lines: 8,
    add: async () => (await addPayout()).id,
    run: ({ cancelPayout }, id) => cancelPayout(id),
    expectOnce: async (id) => {
      const paid = await payoutOf(id)
      expectKept({ outcome: 'canceled', ...paid }, 'canceled')
      expect([paid.events, paid.transfers]).toEqual([['payout.created', 'payout.canceled'], []])
    },
  },
  'the sandbox is told to complete it': {
    lines: 10,
    add: async () => {
      const id = await sentPayout('stuck@upi')
      await command(id, 'complete')
      return id
    },
    run: ({ simulatePayout }, id) => simulatePayout(id, 'complete'),
    expectOnce: async (id) => {
      const paid = await payoutOf(id)
      expectPaid({ outcome: 'completed', ...paid })
      expect(paid.commands).toEqual(['complete done'])
    },
  },
  'the sandbox is told to return it': {
    lines: 10,
    add: async () => {
      const id = await sentPayout('test@upi')
      await activitiesOf({}).sendPayout(id)
      await command(id, 'fail')
      return id
    },
    run: ({ simulatePayout }, id) => simulatePayout(id, 'fail'),
    expectOnce: async (id) => {
      const { row, transfers, events, booked, commands, ...rest } = await payoutOf(id)
      expect(row).toMatchObject({ status: 'failed', failureCode: 'returned' })
      expect(transfers).toMatchObject([{ status: 'failed' }])
      expect(events.slice(2)).toEqual(['payout.completed', 'payout.failed'])
      expect(booked).toEqual(['payout', 'payout_settlement', 'payout_failure'])
      expect(commands).toEqual(['fail done'])
      expect(rest).toMatchObject({ available: 50_000, held: 0, owed: 0, out: -50_000 })
    },
  },
}

describe('One transfer, one booking and one event, wherever the worker dies', () => {
  const each = Object.entries(cases).flatMap(([what, of]) =>
    moments.map((when) => ({ what, of, when })),
  )

  test.each(each)('a worker that dies $when a line acts once: $what', async ({ of, when }) => {
    expect(await dieEverywhere(when, of)).toBeGreaterThan(of.lines)
  })

  test('five activities that send one refund, and five one payout, send each once', async () => {
    const [{ id }, { id: payoutId }] = [await addRefund(), await addPayout()]
    const { sendRefund, sendPayout } = steady()
    const runs = await Promise.allSettled([
      ...Array.from({ length: 5 }, () => sendRefund(id)),
      ...Array.from({ length: 5 }, () => sendPayout(payoutId)),
    ])
    expect(runs.map(({ status }) => status)).toContain('fulfilled')
    await sendRefund(id)
    while ((await sendPayout(payoutId)).status !== 'completed');
    expectRefunded({ outcome: 'succeeded', ...(await refundOf(id)) })
    expect((await payoutOf(payoutId)).transfers).toHaveLength(1)
    expect((await payoutOf(payoutId)).booked).toEqual(['payout', 'payout_settlement'])
    expect(keys.sort()).toEqual([':payout:1', ':refund:1'])
  })
})

describe('An activity that was thought dead', () => {
  test('an activity thought dead does not send a refund that was sent meanwhile', async () => {
    const { id } = await addRefund()
    const late = await worker.holdAt(
      3,
      () => dying().sendRefund(id),
      () => steady().sendRefund(id),
    )
    expect(late).toMatchObject({
      reason: { message: expect.stringContaining(`Attempt 1 to send ${id} was made already`) },
    })
    expectRefunded({ outcome: 'succeeded', ...(await refundOf(id)) })
    expect(keys).toEqual([':refund:1'])
  })

  test('an activity thought dead does not send a payout that was canceled meanwhile', async () => {
    const { id } = await addPayout()
    const late = await worker.holdAt(
      2,
      () => dying().sendPayout(id),
      () => steady().cancelPayout(id),
    )
    expect(late).toMatchObject({
      reason: { message: expect.stringContaining(`Attempt 1 to send ${id} was made already`) },
    })
    const paid = await payoutOf(id)
    expectKept({ outcome: 'canceled', ...paid }, 'canceled')
    expect(paid.transfers).toEqual([])
    expect(await steady().sendPayout(id)).toMatchObject({ status: 'canceled' })
    expect((await payoutOf(id)).transfers).toEqual([])
  })
})
