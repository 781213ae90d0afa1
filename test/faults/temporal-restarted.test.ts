import { ensureSchedules } from '../../worker/setup.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { pause } from '../support/stack.ts'
import { sharedPostgres } from './database.ts'
import { expectAllWell } from './invariants.ts'
import { mixed } from './load.ts'
import { testRemit } from './remit.ts'
import { openShop } from './shop.ts'

const TIMEOUT_MS = 480_000 // the machine may be busy: each test needs a tenth of this
const OPERATIONS = 42 // six of each kind
const AWAY_MS = 2_000

const endpoint = testEndpoint()
const remit = testRemit({ database: sharedPostgres() })

test.each(['kept', 'lost'])(
  'a Temporal that restarts under load with its state %s loses and doubles nothing',
  async (state) => {
    const shop = await openShop(remit, endpoint)
    const load = shop.load(OPERATIONS, { operations: mixed })
    await shop.received(OPERATIONS / 2)
    await remit.stopTemporal()
    if (state === 'lost') remit.loseTemporalState()
    await pause(AWAY_MS)
    await remit.startTemporal()
    // Within five minutes the worker makes the schedules in this way. A test can't wait so long.
    if (state === 'lost') await ensureSchedules(remit.client())
    await expectAllWell(`Temporal, state ${state}`, shop, load, '1 restart')
  },
  TIMEOUT_MS,
)
