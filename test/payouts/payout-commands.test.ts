import { insertCommand } from '../../db/requests/commands.ts'
import { NothingHappened } from '../../providers/provider.ts'
import { expectRefusal } from '../support/http.ts'
import { pause, until } from '../support/stack.ts'
import { testMoving } from '../transfers/moving.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

const { db, run, post, get, payout, sweep, ...look } = testMoving()
const { handleOf, recorded, rowOf, untilStatus, untilStage } = look

type Kind = 'cancel' | 'complete' | 'fail'
const DAY = { delayMs: 86_400_000 } // no payout is on its way before the test is over

const tell = (kind: Kind, id: string) =>
  post(kind === 'cancel' ? `payouts/${id}/cancel` : `test/payouts/${id}/${kind}`)

async function accepted(): Promise<string> {
  const id = await payout()
  await untilStage(id, 'waiting')
  return id
}

async function processing(): Promise<string> {
  const id = await payout('stuck@upi')
  await untilStatus(id, 'processing')
  return id
}

/** Stores a command that the payout's workflow has not received yet. */
async function open(id: string, kind: Kind): Promise<void> {
  const { merchantId } = await rowOf(id)
  const command = { merchantId, resourceId: id, kind, amount: null }
  await db.transaction((tx) => insertCommand(tx, command, new Date()))
}

const back = { available: 50_000, held: 0, owed: 0, out: -50_000 }
const gone = { available: 30_000, held: 0, owed: 0, out: -30_000 }

describe('A cancel', () => {
  test('a cancel of an accepted payout gives the money back to the merchant', async () => {
    await run(async () => {
      const id = await accepted()
      const { status, body } = await tell('cancel', id)
      expect([status, body.status]).toEqual([200, 'canceled'])
      const { transfers, ...rest } = await recorded(id)
      expect(transfers).toMatchObject([{ status: 'canceled' }])
      expect(rest).toMatchObject({ commands: ['cancel done'], ...back })
      expect(rest.events).toEqual(['payout.created', 'payout.canceled'])
      expectRefusal(await tell('cancel', id), 409, 'conflict')
    }, DAY)
  })

  test('a cancel of a payout that is on its way is refused, and the payout goes on', async () => {
    await run(async () => {
      const id = await processing()
      expectRefusal(await tell('cancel', id), 409, 'conflict')
      expect((await tell('complete', id)).body.status).toBe('completed')
      expect(await recorded(id)).toMatchObject({ commands: ['complete done'], ...gone })
    })
  })

  test('a cancel that reaches the provider late is refused, and the payout goes on', async () => {
    await run(
      async () => {
        const id = await accepted()
        expectRefusal(await tell('cancel', id), 409, 'conflict')
        expect((await get(`payouts/${id}`)).body.status).toBe('processing')
        await untilStage(id, 'waiting')
        expect((await tell('complete', id)).status).toBe(200)
        expect(await recorded(id)).toMatchObject({
          ...gone,
          commands: ['cancel refused', 'complete done'],
          events: ['payout.created', 'payout.processing', 'payout.completed'],
        })
      },
      {
        ...DAY,
        wrap: () => ({
          cancelPayout: async (id) => ({ state: 'processing', ref: `ref_${id}`, checkInMs: null }),
        }),
      },
    )
  })

  test('a payout that is canceled between failed attempts is never sent', async () => {
    let tries = 0
    const away = async (): Promise<never> => {
      tries++
      throw new NothingHappened('HTTP 503')
    }
    await run(
      async () => {
        const id = await payout('down@upi')
        while (tries < 2) await pause(20)
        const { status, body } = await tell('cancel', id)
        expect([status, body.status]).toEqual([200, 'canceled'])
        expect(await handleOf(id).result()).toBe('canceled')
        const tried = tries
        await pause(2_500)
        expect(tries).toBe(tried)
        const { transfers, ...rest } = await recorded(id)
        expect(transfers).toEqual([])
        expect(rest).toMatchObject({ commands: ['cancel done'], ...back })
      },
      { wrap: () => ({ createPayout: away }) },
    )
  })
})

describe('The sandbox', () => {
  test.each([
    ['complete', 'completed', null, accepted, DAY],
    ['complete', 'completed', null, processing, {}],
    ['fail', 'failed', 'declined', accepted, DAY],
    ['fail', 'failed', 'declined', processing, {}],
  ] as const)('the sandbox obeys %s', async (kind, status, code, begun, options) => {
    await run(async () => {
      const id = await begun()
      const told = await tell(kind, id)
      expect(told).toMatchObject({ status: 200, body: { status, failure_code: code } })
      const { events, commands, booked, ...rest } = await recorded(id)
      expect(commands).toEqual([`${kind} done`])
      expect(events.at(-1)).toBe(`payout.${status}`)
      expect(booked).toHaveLength(2)
      expect(rest).toMatchObject(kind === 'fail' ? back : gone)
      expect(await handleOf(id).result()).toBe(status)
    }, options)
  })

  test('the command `fail` returns a completed payout in another run of its workflow', async () => {
    await run(async () => {
      const id = await payout()
      expect(await handleOf(id).result()).toBe('completed')
      const { runId } = await handleOf(id).describe()
      expectRefusal(await tell('cancel', id), 409, 'conflict')
      expectRefusal(await tell('complete', id), 409, 'conflict')
      const { status, body } = await tell('fail', id)
      expect([status, body.status, body.failure_code]).toEqual([200, 'failed', 'returned'])
      expect((await handleOf(id).describe()).runId).not.toBe(runId)
      const { events, booked, ...rest } = await recorded(id)
      expect(events.slice(2)).toEqual(['payout.completed', 'payout.failed'])
      expect(booked).toEqual(['payout', 'payout_settlement', 'payout_failure'])
      expect(rest).toMatchObject({ commands: ['fail done'], ...back })
      for (const kind of ['fail', 'complete', 'cancel'] as const)
        expectRefusal(await tell(kind, id), 409, 'conflict')
      expect(await handleOf(id).result()).toBe('failed')
    })
  })

  test('the sweep delivers the command `fail` to a completed payout', async () => {
    await run(async () => {
      const ids: string[] = []
      for (let count = 0; count < 10; count++) ids.push(await payout())
      for (const id of ids) {
        await handleOf(id).result()
        await open(id, 'fail')
      }
      await sweep(...ids)
      for (const id of ids) {
        await untilStatus(id, 'failed')
        expect((await recorded(id)).commands).toEqual(['fail done'])
      }
    })
  })
})

describe('Two commands at once', () => {
  test.each([
    ['complete', 'fail', processing, {}],
    ['cancel', 'complete', accepted, DAY],
    ['cancel', 'fail', accepted, DAY],
    ['cancel', 'cancel', accepted, DAY],
    ['complete', 'complete', processing, {}],
  ] as const)('%s and %s at once: one takes effect', async (one, other, begun, options) => {
    await run(async () => {
      const id = await begun()
      const answers = await Promise.all([tell(one, id), tell(other, id)])
      // If `fail` comes after `complete` is done, the payout is returned: both commands are done.
      const wasReturned = answers.every(({ status }) => status === 200)
      if (wasReturned) expect([one, other]).toEqual(['complete', 'fail'])
      else expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
      const { row, commands, events, held, booked } = await recorded(id)
      expect(commands.filter((command) => command.endsWith('open'))).toEqual([])
      expect(commands.filter((command) => command.endsWith('done'))).toHaveLength(
        wasReturned ? 2 : 1,
      )
      const ends = events.filter((type) => !/created|processing/.test(type))
      expect([ends.length, held]).toEqual([wasReturned ? 2 : 1, 0])
      expect(booked).toHaveLength(wasReturned ? 3 : 2)
      expect(await handleOf(id).result()).toBe(row.status)
    }, options)
  })
})

test('a payout that gets `fail` while it completes is returned by another run', async () => {
  await run(async () => {
    for (let round = 0; round < 5; round++) {
      const id = await payout()
      const { merchantId } = await rowOf(id)
      if (round === 0) await addEndpoints(merchantId) // each endpoint delays the end a little
      await untilStatus(id, 'completed')
      const answer = await until(async () => {
        const told = await post(`test/payouts/${id}/fail`, {}, id) // the key repeats one command
        return told.status === 200 && told
      }, `${id} to be failed`)
      expect(answer.body.status).toBe('failed')
      expect((await recorded(id)).commands).toEqual(['fail done'])
    }
  })
})

async function addEndpoints(merchantId: string): Promise<void> {
  for (let n = 0; n < 20; n++) await addEndpoint(db, { merchantId, url: 'http://127.0.0.1:9/' })
}
