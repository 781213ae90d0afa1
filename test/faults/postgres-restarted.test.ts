import { testEndpoint } from '../endpoint.ts'
import { pause } from '../stack.ts'
import { ownPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const TIMEOUT_MS = 480_000 // of a machine that does much else: each takes a tenth of it
const PAYMENTS = 30
const AWAY_MS = 2_000

const endpoint = testEndpoint()
const database = ownPostgres()
const remit = testRemit({ database })

test.each(['stop', 'kill'] as const)(
  'a Postgres that ends by %s under load, and comes back, costs no payment and no webhook',
  async (end) => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(PAYMENTS)
    for (const moment of [() => load.reached(PAYMENTS / 3), () => shop.received(PAYMENTS)]) {
      await moment()
      await database[end]()
      await pause(shop.random() * AWAY_MS)
      await database.start()
    }
    await expectAllWell(`Postgres, ${end}`, shop, load, '2 restarts')
  },
  TIMEOUT_MS,
)
