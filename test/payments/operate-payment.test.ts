import { eq } from 'drizzle-orm'
import { CAPTURE_WINDOW_MS } from '../../core/lifecycles/payment.ts'
import { payments } from '../../db/payments/schema.ts'
import { insertCommand } from '../../db/requests/commands.ts'
import { cancel, capture, chargeSettled, resolve } from '../../workflows/index.ts'
import { testCommanding } from '../support/commanding.ts'
import { expectRefusal } from '../support/http.ts'
import { pause, resetWorkflow, until } from '../support/stack.ts'

const { db, temporal, run, post, get, sweep, ...payment } = testCommanding()
const { add, authorized, rowOf, recorded, untilStatus, untilStage, handleOf } = payment

const undecided = { state: 'processing', checkInMs: null } as const
const reset = (id: string) => resetWorkflow(temporal.client(), id)

/** Makes the provider answer a cancel without a verdict. */
const deaf = () => ({ cancelCharge: async () => undecided })

async function parked(): Promise<string> {
  const id = await add({ vpa: 'stuck@upi' })
  await untilStage(id, 'waiting')
  await handleOf(id).cancel()
  await untilStage(id, 'parked')
  return id
}

/** Stores a capture that the payment's workflow has not received yet. */
async function openCapture(id: string): Promise<void> {
  const { merchantId } = await rowOf(id)
  const command = { merchantId, resourceId: id, kind: 'capture', amount: null } as const
  await db.transaction((tx) => insertCommand(tx, command, new Date()))
}

describe("An operator's Reset", () => {
  test('an authorized payment waits on after a Reset, and its capture happens once', async () => {
    await run(async () => {
      const id = await authorized()
      const { authorizedAt } = await rowOf(id)
      await reset(id)
      await untilStage(id, 'authorized')
      const { status, body } = await post(`${id}/capture`, { amount: 20_000 })
      expect([status, body.amount_captured]).toEqual([200, 20_000])
      expect(await handleOf(id).result()).toBe('succeeded')
      const { charges, ...rest } = await recorded(id)
      expect(charges).toMatchObject([{ amountCaptured: 20_000 }])
      const told = ['authorized', 'created', 'succeeded']
      expect(rest).toEqual({ events: told, commands: ['capture done'], balance: 20_000 })
      expect(await rowOf(id)).toMatchObject({ authorizedAt, chargeAttempt: 1, captureAttempt: 1 })
    })
  })

  test('a Reset of a captured or canceled payment changes nothing', async () => {
    await run(async () => {
      const [captured, canceled] = [await authorized(), await authorized()]
      await post(`${captured}/capture`, { amount: 20_000 })
      await post(`${canceled}/cancel`)
      const before = [await recorded(captured), await recorded(canceled)]
      for (const [id, status] of [
        [captured, 'succeeded'],
        [canceled, 'canceled'],
      ] as const) {
        await handleOf(id).result()
        await reset(id)
        expect(await handleOf(id).result()).toBe(status)
      }
      expect([await recorded(captured), await recorded(canceled)]).toEqual(before)
    })
  })

  test('a Reset during a capture captures once and books the requested amount', async () => {
    const gate = { open: false }
    const keys: string[] = []
    const slow = async () => until(async () => gate.open)
    await run(
      async () => {
        const id = await authorized()
        const answer = post(`${id}/capture`, { amount: 20_000 })
        await until(async () => keys.length > 0)
        await reset(id)
        gate.open = true
        expect([200, 202]).toContain((await answer).status)
        await sweep(id) // if the reset lost the update, the sweep sends the update again
        await untilStatus(id, 'succeeded')
        const { charges, ...rest } = await recorded(id)
        expect(charges).toMatchObject([{ amountCaptured: 20_000 }])
        expect(rest).toMatchObject({ commands: ['capture done'], balance: 20_000 })
        expect(new Set(keys).size).toBe(keys.length) // each try has a new key
      },
      ({ captureCharge }) => ({
        captureCharge: async (ref, amount, key) => {
          keys.push(key)
          await slow()
          return captureCharge(ref, amount, key)
        },
      }),
    )
  })
})

describe("An operator's Cancel", () => {
  test('a Cancel of an authorized payment cancels it at the provider', async () => {
    await run(async () => {
      const id = await authorized()
      await handleOf(id).cancel()
      expect(await handleOf(id).result()).toBe('canceled')
      const { charges, events, balance } = await recorded(id)
      expect(charges).toMatchObject([{ status: 'canceled', amountCaptured: 0 }])
      expect([events, balance]).toEqual([['authorized', 'canceled', 'created'], 0])
    })
  })

  test('a Cancel during the charge cancels the charge after it is authorized', async () => {
    await run(
      async () => {
        const id = await add()
        await untilStatus(id, 'canceled')
        expect((await recorded(id)).charges).toMatchObject([{ status: 'canceled' }])
      },
      ({ confirmCharge }) => ({
        confirmCharge: async (ref, key) => {
          await handleOf(key.split(':')[0] ?? '').cancel()
          return confirmCharge(ref, key)
        },
      }),
    )
  })

  test('a Cancel during a capture comes too late', async () => {
    await run(
      async () => {
        const id = await authorized()
        const { status, body } = await post(`${id}/capture`, { amount: 20_000 })
        expect([status, body.status, body.amount_captured]).toEqual([200, 'succeeded', 20_000])
        expect(await handleOf(id).result()).toBe('succeeded')
      },
      ({ captureCharge }) => ({
        captureCharge: async (ref, amount, key) => {
          await handleOf(key.split(':')[0] ?? '').cancel()
          await pause(500)
          return captureCharge(ref, amount, key)
        },
      }),
    )
  })

  test('an update `cancel` during a capture does not stop the capture', async () => {
    await run(
      async () => {
        const id = await authorized()
        expect((await post(`${id}/capture`, { amount: 20_000 })).status).toBe(200)
        expect(await handleOf(id).result()).toBe('succeeded')
      },
      ({ captureCharge }) => ({
        captureCharge: async (ref, amount, key) => {
          const handle = handleOf(key.split(':')[0] ?? '')
          await handle.startUpdate(cancel, { waitForStage: 'ACCEPTED' })
          return captureCharge(ref, amount, key)
        },
      }),
    )
  })
})

test('a cancel overtakes a capture that waits for the authorization of its payment', async () => {
  await run(
    async () => {
      const id = await add()
      await untilStatus(id, 'canceled')
      const { charges } = await recorded(id)
      expect(charges).toMatchObject([{ status: 'canceled', amountCaptured: 0 }])
    },
    ({ confirmCharge }) => ({
      confirmCharge: async (ref, key) => {
        const handle = handleOf(key.split(':')[0] ?? '')
        await handle.startUpdate(capture, { args: [null], waitForStage: 'ACCEPTED' })
        await handle.startUpdate(cancel, { waitForStage: 'ACCEPTED' })
        return confirmCharge(ref, key)
      },
    }),
  )
})

test("a webhook that overtakes the provider's answer to a capture books the part", async () => {
  await run(
    async () => {
      const id = await authorized()
      const { body } = await post(`${id}/capture`, { amount: 20_000 })
      expect(body.amount_captured).toBe(20_000)
      expect((await recorded(id)).balance).toBe(20_000)
    },
    ({ captureCharge }) => ({
      captureCharge: async (ref, amount, key) => {
        const captured = await captureCharge(ref, amount, key)
        await handleOf(key.split(':')[0] ?? '').signal(chargeSettled, 'succeeded')
        await pause(300)
        return captured
      },
    }),
  )
})

test('a new run after a lost workflow waits only for what is left of the 7 days', async () => {
  await run(async () => {
    const id = await authorized()
    await handleOf(id).terminate()
    const authorizedAt = new Date(Date.now() - CAPTURE_WINDOW_MS + 6_000)
    const lost = { authorizedAt, nextSweepAt: new Date() }
    await db.update(payments).set(lost).where(eq(payments.id, id))
    await sweep(id)
    await untilStage(id, 'authorized')
    await untilStatus(id, 'canceled')
    expect(Date.now() - authorizedAt.getTime()).toBeGreaterThanOrEqual(CAPTURE_WINDOW_MS)
    expect((await recorded(id)).charges).toMatchObject([{ status: 'canceled' }])
  })
})

describe('A command on a parked payment', () => {
  test('a command on a parked payment stays open, and the payment needs attention', async () => {
    await run(async () => {
      const id = await parked()
      const first = await post(`${id}/cancel`, {}, 'k')
      expect([first.status, first.body.status]).toEqual([202, 'pending'])
      expect((await get(id)).body).toMatchObject({ status: 'pending', needs_attention: true })
      await sweep(id)
      const again = await post(`${id}/cancel`, {}, 'k')
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, null])
      expectRefusal(await post(`${id}/cancel`, {}, 'other'), 409, 'conflict')
      expect((await recorded(id)).commands).toEqual(['cancel open'])
    }, deaf)
  })

  test.each([
    ['canceled', 200, 'cancel done'],
    ['succeeded', 409, 'cancel refused'],
    ['failed', 409, 'cancel refused'],
  ] as const)('a cancel is answered after the verdict %s', async (verdict, status, answered) => {
    await run(async () => {
      const id = await parked()
      expect((await post(`${id}/cancel`, {}, 'k')).status).toBe(202)
      const answer = await handleOf(id).executeUpdate(resolve, { args: [verdict, null] })
      expect(answer).toBe(verdict)
      expect(await handleOf(id).result()).toBe(verdict)
      const again = await post(`${id}/cancel`, {}, 'k')
      expect(again.status).toBe(status)
      expect((await recorded(id)).commands).toEqual([answered])
      expect(await rowOf(id)).toMatchObject({ status: verdict, needsAttention: false })
    }, deaf)
  })
})

test('only a parked payment can be resolved, and only with a verdict', async () => {
  await run(async () => {
    const [waiting, held, stuck] = [
      await add({ vpa: 'stuck@upi' }),
      await authorized(),
      await parked(),
    ]
    await untilStage(waiting, 'waiting')
    for (const id of [waiting, held])
      await expect(
        handleOf(id).executeUpdate(resolve, { args: ['succeeded', null] }),
      ).rejects.toMatchObject({ cause: { message: 'Only a parked payment can be resolved' } })
    for (const verdict of ['authorized', 'pending', '', null])
      await expect(
        handleOf(stuck).executeUpdate('resolve', { args: [verdict, null] }),
      ).rejects.toMatchObject({ cause: { message: `Not a verdict: ${verdict}` } })
    expect((await rowOf(stuck)).status).toBe('pending')
  }, deaf)
})

test('a command that the server refuses behind ten updates is answered later', async () => {
  await run(async () => {
    const id = await add({ vpa: 'stuck@upi' })
    await untilStage(id, 'waiting')
    const early = await Promise.all(
      Array.from({ length: 10 }, () =>
        handleOf(id).startUpdate(capture, { args: [null], waitForStage: 'ACCEPTED' }),
      ),
    )
    expect((await post(`${id}/cancel`, {}, 'k')).status).toBe(202)
    const start = Date.now()
    await sweep(id)
    expect(Date.now() - start).toBeLessThan(8_000)
    expect((await recorded(id)).commands).toEqual(['cancel open'])
    await handleOf(id).cancel() // an operator can still cancel in the UI
    for (const update of early) expect(await update.result()).toBe('canceled')
    const { status, body } = await post(`${id}/cancel`, {}, 'k')
    expect([status, body.status]).toEqual([200, 'canceled'])
    expect((await recorded(id)).commands).toEqual(['cancel done'])
  })
})

test('a workflow that does not answer delays no other command of the sweep', async () => {
  await run(async () => {
    const [deafOne, other] = [await authorized(), await authorized()]
    await handleOf(deafOne).terminate()
    const unserved = { workflowId: deafOne, taskQueue: 'nobody', args: [deafOne, []] }
    await temporal.client().workflow.start('processPayment', unserved)
    for (const id of [deafOne, other]) await openCapture(id)
    expect(await sweep(deafOne, other)).toMatchObject({ found: 2 })
    await untilStatus(other, 'succeeded')
    await handleOf(deafOne).terminate()
    await sweep(deafOne) // starts a new run, which answers
    await untilStatus(deafOne, 'succeeded')
  })
})
