import { testEndpoint } from '../endpoint.ts'
import { pause } from '../stack.ts'
import { ownPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const PAYMENTS = 40
const RESTARTS = 2
const AWAY_MS = 1_000

const endpoint = testEndpoint()
const database = ownPostgres()
const remit = testRemit({ database })

test.each(['stop', 'kill'] as const)(
  'a Postgres that ends by %s under load, and comes back, costs no payment and no webhook',
  async (end) => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(PAYMENTS)
    for (let restart = 1; restart <= RESTARTS; restart++) {
      await load.reached((PAYMENTS * restart) / (RESTARTS + 1))
      await database[end]()
      await pause(shop.random() * AWAY_MS)
      await database.start()
    }
    await expectAllWell(`Postgres, ${end}`, shop, load, `${RESTARTS} restarts`)
  },
  120_000,
)
