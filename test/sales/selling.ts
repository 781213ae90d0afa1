import type { Client } from '@temporalio/client'
import { workflowMetadataQuery } from '@temporalio/workflow'
import { eq } from 'drizzle-orm'
import type { Activities } from '../../activities/index.ts'
import { insertOrder } from '../../db/orders/orders.ts'
import { insertPaymentLink } from '../../db/payment-links/payment-links.ts'
import { orders, paymentLinks } from '../../db/payments/schema.ts'
import { createProviders } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { orderStart, paymentLinkStart, type Start } from '../../temporal/starts.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { card, upi } from '../support/http.ts'
import { testActivities, until } from '../support/stack.ts'
import { devServerEnv, type TestTemporal } from '../support/temporal.ts'

type Options = {
  delayMs?: number
  wrap?: (real: Provider) => Partial<Provider>
  activities?: (real: Activities) => Partial<Activities>
}

export const HOUR_MS = 60 * 60_000
export const WEEK_MS = 7 * 24 * HOUR_MS

/** These return the source of a payment by UPI, or by the test card with this number. */
export const byVpa = (vpa: string) => ({ method: 'upi', vpa })
export const byCardOf = (number: string) => ({ method: 'card', card: { ...card, number } })

/** `inMs` is the time until an order is due or a link expires; null means never. */
type New = { inMs?: number | null }

/**
 * Lets each test sell as a new merchant. Orders and payment links have the amount 500.00 and are
 * inserted on the workflows' clock; all other requests go to the API. `server` is the real Temporal
 * server by default, not the time-skipping one.
 */
export function testSelling(server: () => TestTemporal = devServerEnv) {
  const sales = testSales(server)
  const { openShop, use } = sales
  let shop: Awaited<ReturnType<typeof openShop>>
  beforeEach(async () => {
    use({})
    shop = await openShop()
  })
  return {
    ...sales,
    merchantId: () => shop.merchantId,
    order: (values?: New) => shop.order(values),
    link: (values?: New) => shop.link(values),
    post: (path: string, body?: object) => shop.post(path, body),
    pay: (id: string, source?: object, more?: object) => shop.pay(id, source, more),
  }
}

/** Works like `testSelling`, with one merchant for each call of `openShop`. */
export function testSales(server: () => TestTemporal = devServerEnv) {
  const workers = fileWorkers()
  const db = testDb()
  const temporal = server()
  const now = async () => new Date(await temporal.now())
  let current = activitiesOf({})
  workers.serve(temporal, Object.keys(current) as (keyof Activities)[], () => current)

  let client: Client // like the API's client, gives up a failing call soon
  beforeAll(() => {
    client = createTemporalClient({ address: temporal.address(), namespace: 'default' })
  })
  afterAll(() => client.connection.close())

  function activitiesOf({ delayMs = 0, wrap = () => ({}), activities }: Options): Activities {
    const sandboxDelay = { minMs: delayMs, maxMs: delayMs }
    const sandbox = createProviders({ db, sandboxDelay, now }).sandbox as Provider
    const providers = { sandbox: { ...sandbox, ...wrap(sandbox) } }
    const real = testActivities(db, { providers, now } as never)
    return { ...real, ...activities?.(real) }
  }

  /** Gives the workers these activities and this provider from now on. */
  function use(options: Options): void {
    current = activitiesOf(options)
  }

  async function begin(start: Start): Promise<string> {
    const { workflowType, ...options } = start
    await temporal.client().workflow.start(workflowType, options)
    return start.workflowId
  }

  /** Adds a merchant, and returns its orders, links and requests. */
  async function openShop() {
    const merchant = await addMerchant(db)
    const merchantId = merchant.id
    const call = callAs(testApp(db, { temporal: client }).app, merchant)
    const post = (path: string, body: object = {}) => call('POST', `/api/v1/${path}`, body)
    const money = { merchantId, amount: upi.amount, currency: upi.currency, metadata: {} }

    /** Adds an order that is due in a week by default, calls `first`, then starts the saga. */
    async function order({ inMs }: New = {}, first = (_: string) => {}): Promise<string> {
      const at = await now()
      const fulfilBy = new Date(at.getTime() + (inMs ?? WEEK_MS))
      const values = { ...money, reference: null, fulfilBy }
      const { order: row, event } = await db.transaction((tx) => insertOrder(tx, values, at))
      first(row.id)
      return begin(orderStart(row, event.deliveries) as Start)
    }

    /** Adds a link that expires in an hour by default, and starts its workflow. */
    async function link({ inMs = HOUR_MS }: New = {}): Promise<string> {
      const at = await now()
      const expiresAt = inMs === null ? null : new Date(at.getTime() + inMs)
      const values = { ...money, description: null, expiresAt }
      const { link: row, deliveries } = await db.transaction((tx) =>
        insertPaymentLink(tx, 'https://pay.example', values, at),
      )
      return begin(paymentLinkStart(row, deliveries) as Start)
    }

    /** Begins to pay an order as the merchant, or a link as any payer can. */
    async function pay(id: string, source: object = byVpa('asha.rao@upi'), more: object = {}) {
      const { amount, currency } = upi
      const answer = id.startsWith('plink_')
        ? await call('POST', `/pay/${id}`, source)
        : await post('payments', { amount, currency, order_id: id, ...source, ...more })
      if (![200, 201].includes(answer.status)) throw new Error(JSON.stringify(answer.body))
      return answer.body.id as string
    }

    return { merchantId, order, link, post, pay }
  }

  const handleOf = (id: string) => temporal.client().workflow.getHandle(id)

  async function orderOf(id: string) {
    const [row] = await db.select().from(orders).where(eq(orders.id, id))
    if (!row) throw new Error(`No such order: ${id}`)
    return row
  }

  async function linkOf(id: string) {
    const [row] = await db.select().from(paymentLinks).where(eq(paymentLinks.id, id))
    if (!row) throw new Error(`No such payment link: ${id}`)
    return row
  }

  const untilOrder = (id: string, status: string) =>
    until(async () => (await orderOf(id)).status === status, `${id} to be ${status}`)

  /** Waits without skipping time. Awaiting a result would skip time, even over a deadline. */
  const untilStage = (id: string, stage: string) =>
    until(async () => {
      const now = await handleOf(id)
        .query<{ stage: string }>('state')
        .catch(() => null) // the workflow has not started yet
      return now?.stage === stage
    }, `${id} to be in ${stage}`)

  const detailsOf = async (id: string) =>
    (await handleOf(id).query(workflowMetadataQuery)).currentDetails ?? ''

  function scheduled(workflowType: 'sweep' | 'reconcile') {
    const start = { workflowId: `${workflowType}-${crypto.randomUUID()}`, taskQueue: 'payments' }
    return temporal.client().workflow.execute(workflowType, { ...start, args: [] })
  }

  const look = { handleOf, orderOf, linkOf, untilOrder, untilStage, detailsOf }
  return { db, temporal, now, scheduled, openShop, use, ...look }
}
