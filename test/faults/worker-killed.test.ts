import { testEndpoint } from '../endpoint.ts'
import { sharedPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const PAYMENTS = 100
const KILLS = 3
const POSTS_BETWEEN = 30

const endpoint = testEndpoint()
const remit = testRemit({ database: sharedPostgres() })

test('a worker killed with -9 amid 100 payments, three times, loses and doubles nothing', async () => {
  const shop = await openShop(remit, endpoint)
  const load = shop.load(PAYMENTS)
  for (let kill = 0; kill < KILLS; kill++) {
    const { release } = await shop.holdPost(1 + Math.floor(shop.random() * POSTS_BETWEEN))
    await remit.kill('worker') // in the middle of this post, and of whatever else it does
    release()
    remit.start('worker')
  }
  await expectAllWell('Worker killed', shop, load, `${KILLS} kills`)
}, 120_000)
