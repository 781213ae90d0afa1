import { testEndpoint } from '../support/endpoint.ts'
import { pause } from '../support/stack.ts'
import { sharedPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { mixed } from './load.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const TIMEOUT_MS = 900_000 // the machine may be busy: the test needs a fifth of this
const { FAULT_OPERATIONS } = process.env
const OPERATIONS = Number(FAULT_OPERATIONS || 210)
const KILLS = 6

const endpoint = testEndpoint()
const remit = testRemit({ database: sharedPostgres() })

test(
  'a worker and an api killed with -9 at any moment under a mixed load lose and double nothing',
  async () => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(OPERATIONS, { operations: mixed, betweenMs: 700 })
    const killed = { worker: 0, api: 0 }
    const kill = async (name: keyof typeof killed) => {
      killed[name]++
      await remit.kill(name)
    }
    for (let n = 1; n <= KILLS; n++) {
      await load.reached((n * OPERATIONS) / KILLS)
      const { release } = await shop.holdPost(1 + Math.floor(shop.random() * 20))
      // The kills come in the middle of this post, and of whatever else the programs do.
      if (n % 2 === 1) await kill('worker')
      await pause(shop.random() * 50)
      if (n % 2 === 0 || shop.random() < 0.3) await kill('api')
      release()
      for (const name of ['worker', 'api'] as const) if (!remit.runs(name)) remit.start(name)
    }
    const faults = `${killed.worker} and ${killed.api} kills`
    await expectAllWell('Worker and api killed', shop, load, faults)
  },
  TIMEOUT_MS,
)
