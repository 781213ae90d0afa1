import { testEndpoint } from '../endpoint.ts'
import { pause } from '../stack.ts'
import { sharedPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const PAYMENTS = 60
const KILLS = 4
const MOMENTS_MS = 100

const endpoint = testEndpoint()
const remit = testRemit({ database: sharedPostgres() })

test('an api killed with -9 under load, four times, keeps each payment once', async () => {
  const shop = await openShop(remit, endpoint)
  const load = shop.load(PAYMENTS)
  for (let kill = 1; kill <= KILLS; kill++) {
    await load.reached((PAYMENTS * kill) / (KILLS + 1))
    await pause(shop.random() * MOMENTS_MS)
    await remit.kill('api')
    remit.start('api')
  }
  await expectAllWell('API killed', shop, load, `${KILLS} kills`)
}, 120_000)
