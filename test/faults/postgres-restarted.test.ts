import { testEndpoint } from '../support/endpoint.ts'
import { pause } from '../support/stack.ts'
import { ownPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { mixed } from './load.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const TIMEOUT_MS = 480_000 // the machine may be busy: each test needs a tenth of this
const OPERATIONS = 42 // six of each kind
const AWAY_MS = 2_000

const endpoint = testEndpoint()
const database = ownPostgres()
const remit = testRemit({ database })

test.each(['stop', 'kill'] as const)(
  'a Postgres that ends by %s under load and restarts loses and doubles nothing',
  async (end) => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(OPERATIONS, { operations: mixed })
    for (const moment of [() => load.reached(OPERATIONS / 3), () => shop.received(OPERATIONS)]) {
      await moment()
      await database[end]()
      await pause(shop.random() * AWAY_MS)
      await database.start()
    }
    await expectAllWell(`Postgres, ${end}`, shop, load, '2 restarts')
  },
  TIMEOUT_MS,
)
