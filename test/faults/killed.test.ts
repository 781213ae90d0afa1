import { testEndpoint } from '../endpoint.ts'
import { pause } from '../stack.ts'
import { sharedPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { mixed } from './load.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const TIMEOUT_MS = 480_000 // of a machine that does much else: it takes a fifth of it

const endpoint = testEndpoint()
const remit = testRemit({ database: sharedPostgres() })

test(
  'a worker killed with -9 amid 100 payments, three times, loses and doubles nothing',
  async () => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(100, { operations: mixed })
    for (let kill = 0; kill < 3; kill++) {
      const { release } = await shop.holdPost(1 + Math.floor(shop.random() * 30))
      await remit.kill('worker') // in the middle of this post, and of whatever else it does
      release()
      remit.start('worker')
    }
    await expectAllWell('Worker killed', shop, load, '3 kills')
  },
  TIMEOUT_MS,
)

test(
  'an api killed with -9 under load, four times, keeps each payment once',
  async () => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(60, { operations: mixed, betweenMs: 0 }) // so that each kill meets requests
    for (let kill = 1; kill <= 4; kill++) {
      await load.reached(kill * 12)
      await pause(shop.random() * 50)
      await remit.kill('api')
      remit.start('api')
    }
    await expectAllWell('API killed', shop, load, '4 kills')
  },
  TIMEOUT_MS,
)
