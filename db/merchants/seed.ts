import { and, eq, exists, inArray, ne, notInArray, or } from 'drizzle-orm'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import { createCipher, parseKeys } from '../../core/secrets.ts'
import { openDb, type Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { orders, payments } from '../payments/schema.ts'
import { insertEndpoint, secretContext } from '../webhooks/endpoints.ts'
import { endpoints } from '../webhooks/schema.ts'
import { insertMerchant } from './merchants.ts'
import { apiKeys } from './schema.ts'

/** These keys are for development only, because anybody can read their secrets. */
const demoShop = { name: 'Demo Shop', key: 'key_test_abc123', secret: 'secret_test_xyz789' }
const otherShop = { name: 'Other Shop', key: 'key_test_def456', secret: 'secret_test_uvw012' }

const demoOrders = ['ord_test_001', 'TEST_1', 'ORDER_123']
const DEMO_AMOUNT = { amount: 50_000, currency: 'INR' }
const DEMO_DEADLINE_MS = 365 * 24 * 60 * 60_000 // orders wait for readers of the README

type Options = {
  url: string
  encryptionKey: string // same format as REMIT_ENCRYPTION_KEY
  receiverUrl: string
  receiverSecret: string // whsec_…
}

/**
 * Creates the objects that the README's curl commands need: two merchants, orders of the first
 * merchant that can be paid, and that merchant's endpoint at the built-in receiver. Each start
 * creates again the objects that are missing.
 */
export async function seedDemo({ url, ...options }: Options): Promise<void> {
  const db = openDb(url, { statementTimeoutMs: 30_000 })
  try {
    const now = new Date()
    await db.transaction(async (tx) => {
      const shop = await demoMerchant(tx, demoShop, now)
      await demoMerchant(tx, otherShop, now)
      await openOrders(tx, shop, now)
      await receiverEndpoint(tx, shop, options, now)
    })
  } finally {
    await db.$client.end()
  }
}

async function demoMerchant(tx: Tx, { name, ...keys }: typeof demoShop, now: Date) {
  const [found] = await tx.select().from(apiKeys).where(eq(apiKeys.key, keys.key))
  return found?.merchantId ?? insertMerchant(tx, name, keys, now)
}

/**
 * An order that is closed, or has a payment that is open or succeeded, keeps the payment and gives
 * up its reference. A new order takes the reference.
 */
const holdsOrder = and(
  eq(payments.orderId, orders.id),
  notInArray(payments.status, ['failed', 'canceled']),
)

async function openOrders(tx: Tx, merchantId: string, now: Date): Promise<void> {
  const ours = and(eq(orders.merchantId, merchantId), inArray(orders.reference, demoOrders))
  await tx
    .update(orders)
    .set({ reference: null })
    .where(
      and(
        ours,
        or(ne(orders.status, 'created'), exists(tx.select().from(payments).where(holdsOrder))),
      ),
    )
  const times = { ...timesOfNew(now), fulfilBy: new Date(now.getTime() + DEMO_DEADLINE_MS) }
  for (const reference of demoOrders) {
    await tx
      .insert(orders)
      .values({ id: newId('order'), merchantId, reference, ...DEMO_AMOUNT, ...times })
      .onConflictDoNothing({ target: [orders.merchantId, orders.reference] })
  }
}

type Receiver = Omit<Options, 'url'>

async function receiverEndpoint(tx: Tx, merchantId: string, receiver: Receiver, now: Date) {
  const description = 'The built-in receiver'
  const theirs = and(eq(endpoints.merchantId, merchantId), eq(endpoints.description, description))
  const [found] = await tx.select().from(endpoints).where(theirs)
  const id = found?.id ?? newId('endpoint')
  const cipher = createCipher(parseKeys(receiver.encryptionKey))
  const secret = cipher.encrypt(receiver.receiverSecret, secretContext(id))
  const values = { url: receiver.receiverUrl, secret, deletedAt: null, status: 'enabled' as const }
  if (found) await tx.update(endpoints).set(values).where(eq(endpoints.id, id))
  else {
    const rest = { merchantId, description, eventTypes: null, retrySchedule: null }
    await insertEndpoint(tx, { id, ...rest, ...values }, now)
  }
}
