import { eq } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { payments } from '../../db/payments/schema.ts'
import { providerFor } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { callAs, type testApp, testProviders } from '../support/app.ts'
import { card, testShop } from '../support/http.ts'

export const linkPath = '/api/v1/payment_links'
export const link = { amount: 50_000, currency: 'INR' }
export const source = { method: 'upi', vpa: 'asha.rao@upi' }
export const cardSource = { method: 'card', card }

type Options = Parameters<typeof testApp>[1]

/** Makes a shop with a link, and a payer who has the link and no API key. */
export async function shopWithLink(db: Db, change: object = {}, options: Options = {}) {
  const shop = await testShop(db, options)
  const { body: made } = await shop.call('POST', linkPath, { ...link, ...change })
  const anybody = callAs(shop.app, null)
  const id = made.id as string
  const look = () => anybody('GET', `/pay/${id}`)
  const pay = (body: object = source, key?: string) =>
    anybody('POST', `/pay/${id}`, body, key ? { 'idempotency-key': key } : {})
  const cancel = () => shop.call('POST', `${linkPath}/${id}/cancel`)
  const show = async () => (await shop.call('GET', `${linkPath}/${id}`)).body
  const paymentsOf = () => db.select().from(payments).where(eq(payments.paymentLinkId, id))
  shop.started.length = 0
  return { ...shop, made, id, anybody, look, pay, cancel, show, paymentsOf }
}

/** Returns the sandbox, and a count of the cards that it was given. */
export function countingExchange(db: Db) {
  const real = providerFor(testProviders(db), 'sandbox')
  let count = 0
  const createCardToken: Provider['createCardToken'] = (...args) => {
    count++
    return real.createCardToken(...args)
  }
  return { providers: { sandbox: { ...real, createCardToken } }, exchanged: () => count }
}
