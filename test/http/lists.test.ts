import { sql } from 'drizzle-orm'
import { testDb } from '../support/db.ts'
import { expectRefusal, fail, succeed, testShop, upi } from '../support/http.ts'
import { testTill } from '../transfers/till.ts'

const db = testDb()
const COUNT = 8
const order = { amount: 50_000, currency: 'INR' }
const url = 'https://shop.example/hooks'

const kinds = [
  'orders',
  'payment_links',
  'payments',
  'invoices',
  'events',
  'webhook_endpoints',
  'webhook_deliveries',
  'api_keys',
  'refunds',
  'payouts',
  'balance_transactions',
] as const
type Kind = (typeof kinds)[number]

type Item = { id: string; created_at: string } & Record<string, unknown>
type List = { object: string; data: Item[]; has_more: boolean }

let call: Awaited<ReturnType<typeof testShop>>['call']
const made: Record<Kind, string[]> = {
  orders: [],
  payment_links: [],
  payments: [],
  invoices: [],
  events: [],
  webhook_endpoints: [],
  webhook_deliveries: [],
  api_keys: [],
  refunds: [],
  payouts: [],
  balance_transactions: [],
}

/** Three objects share each moment, so that pages also end between objects of the same moment. */
const moment = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, Math.floor(n / 3)))

async function list(kind: Kind, query = ''): Promise<List> {
  const { status, body } = await call('GET', `/api/v1/${kind}${query}`)
  expect([status, body.object]).toEqual([200, 'list'])
  return body
}
const idsOf = ({ data }: List) => data.map(({ id }) => id)
const newestFirst = (a: Item, b: Item) =>
  a.created_at === b.created_at ? (a.id < b.id ? 1 : -1) : a.created_at < b.created_at ? 1 : -1

/** Makes COUNT objects of each kind at set moments. The first endpoint gets every order's event. */
beforeAll(async () => {
  const till = await testTill(db)
  call = till.call
  const post = async (path: string, body: object) => {
    const { status, body: answer } = await call('POST', `/api/v1/${path}`, body)
    expect(status).toBe(201)
    return answer.id as string
  }
  const types = ['order.created']
  made.webhook_endpoints.push(await post('webhook_endpoints', { url, event_types: types }))
  for (let n = 1; n < COUNT; n++)
    made.webhook_endpoints.push(
      await post('webhook_endpoints', { url: `${url}/${n}`, event_types: ['order.canceled'] }),
    )
  for (let n = 0; n < COUNT; n++)
    made.orders.push(await post('orders', { ...order, reference: `R-${n}` }))
  for (let n = 0; n < COUNT; n++) made.invoices.push(await post('invoices', order))
  for (let n = 0; n < COUNT; n++) made.payment_links.push(await post('payment_links', order))
  for (let n = 0; n < COUNT; n++) made.payments.push(await post('payments', upi))
  for (let n = 1; n < COUNT; n++) await post('api_keys', {}) // the shop has one already
  const [paid = ''] = made.payments
  await succeed(db, paid)
  for (let n = 0; n < COUNT; n++) {
    made.refunds.push(await till.refund(paid, 1_000))
    made.payouts.push(await till.payOut(1_000))
  }

  const { rows: found } = await db.execute<{ id: string; kind: Kind }>(sql`
    select id, 'events' as kind from events union all
    select id, 'webhook_deliveries' from webhook_deliveries union all
    select id, 'balance_transactions' from balance_transactions union all
    select id, 'api_keys' from api_keys order by id`)
  for (const { id, kind } of found) made[kind].push(id)
  // Triggers refuse a change of what is posted, so they are skipped in this transaction.
  await db.transaction(async (tx) => {
    await tx.execute(sql`set local session_replication_role = replica`)
    for (const kind of kinds)
      for (const [n, id] of made[kind].entries())
        await tx.execute(
          sql`update ${sql.identifier(kind)} set created_at = ${moment(n).toISOString()}
            where id = ${id}`,
        )
  })
})

/**
 * Objects of six kinds emit an event when they are created, and one payment succeeds. That payment,
 * each refund and each payout make one balance transaction.
 */
const lengths: Partial<Record<Kind, number>> = {
  events: 6 * COUNT + 1,
  balance_transactions: 2 * COUNT + 1,
}

describe.each(kinds)('the list of %s', (kind) => {
  const length = () => made[kind].length

  test('holds each object, newest first', async () => {
    const all = await list(kind, '?limit=100')
    expect(length()).toBe(lengths[kind] ?? COUNT)
    expect([...idsOf(all)].sort()).toEqual([...made[kind]].sort())
    expect(idsOf(all)).toEqual([...all.data].sort(newestFirst).map(({ id }) => id))
    expect(all.has_more).toBe(false)
  })

  test('shows each object as a GET of that object does, except for attempts', async () => {
    const { data } = await list(kind, '?limit=2')
    for (const item of data) {
      const { body } = await call('GET', `/api/v1/${kind}/${item.id}`)
      const { attempts: _, ...alone } = body
      expect(item).toStrictEqual(alone)
    }
  })

  test.each([1, 3, 4, 8, 99])(
    'holds each object once when it is read in pages of %i',
    async (limit) => {
      const whole = idsOf(await list(kind, '?limit=100'))
      const read: string[] = []
      for (let more = true; more; ) {
        const cursor = read.length > 0 ? `&starting_after=${read.at(-1)}` : ''
        const page = await list(kind, `?limit=${limit}${cursor}`)
        read.push(...idsOf(page))
        more = page.has_more
        expect(more).toBe(read.length < whole.length)
        expect(page.data).toHaveLength(more ? limit : page.data.length)
        expect(page.data.length).toBeGreaterThan(0)
      }
      expect(read).toEqual(whole)
    },
  )

  test('is empty after its last object', async () => {
    const last = idsOf(await list(kind, '?limit=100')).at(-1)
    expect(await list(kind, `?starting_after=${last}`)).toEqual({
      object: 'list',
      data: [],
      has_more: false,
    })
  })

  test('can be cut by created_after and created_before, which both exclude their moment', async () => {
    const at = moment(3).toISOString()
    const nth = (accept: (n: number) => boolean) => made[kind].filter((_, n) => accept(n)).sort()
    const after = await list(kind, `?limit=100&created_after=${at}`)
    expect(idsOf(after).sort()).toEqual(nth((n) => n >= 6))
    const before = await list(kind, `?limit=100&created_before=${at}`)
    expect(idsOf(before).sort()).toEqual(nth((n) => n < 3))
    const early = encodeURIComponent(
      moment(0).toISOString().replace('T00', 'T05').replace('Z', '+05:00'),
    )
    const both = await list(
      kind,
      `?limit=100&created_after=${early}&created_before=${moment(6).toISOString()}`,
    )
    expect(idsOf(both).sort()).toEqual(nth((n) => n >= 3 && n < 6))
    expect((await list(kind, `?created_after=${moment(99).toISOString()}`)).data).toEqual([])
  })

  test('has at most twenty objects on a page by default and refuses a limit above 100', async () => {
    const { data, has_more } = await list(kind)
    expect([data.length, has_more]).toEqual([Math.min(length(), 20), length() > 20])
    expectRefusal(await call('GET', `/api/v1/${kind}?limit=101`), 400, 'invalid_request', 'limit')
  })
})

test('a page holds twenty objects by default', async () => {
  const shop = await testShop(db)
  for (let n = 0; n < 21; n++) await shop.call('POST', '/api/v1/orders', order)
  const { body } = await shop.call('GET', '/api/v1/orders')
  expect([body.data.length, body.has_more]).toEqual([20, true])
})

test('a list without objects has empty data and no more pages', async () => {
  const shop = await testShop(db)
  for (const kind of kinds.filter((each) => each !== 'api_keys')) {
    const { body } = await shop.call('GET', `/api/v1/${kind}`)
    expect(body).toStrictEqual({ object: 'list', data: [], has_more: false })
  }
})

describe('filters', () => {
  test('select payments by status and by order', async () => {
    const shop = await testShop(db)
    const ids: string[] = []
    const orderReference = 'by-reference'
    const named = { ...order, reference: orderReference }
    const orderId = (await shop.call('POST', '/api/v1/orders', named)).body.id
    for (const change of [{}, {}, { order_id: orderId }])
      ids.push((await shop.call('POST', '/api/v1/payments', { ...upi, ...change })).body.id)
    const [first = '', second = '', third = ''] = ids
    await succeed(db, first)
    await fail(db, third)
    const query = async (text: string) =>
      (await shop.call('GET', `/api/v1/payments?${text}`)).body.data.map(({ id }: Item) => id)
    expect(await query('status=succeeded')).toEqual([first])
    expect(await query('status=pending')).toEqual([second])
    expect(await query('status=failed')).toEqual([third])
    expect(await query('status=canceled')).toEqual([])
    expect(await query(`order_id=${orderId}`)).toEqual([third])
    expect(await query(`order_id=${orderId}&status=succeeded`)).toEqual([])
    expect(await query(`order_id=${orderReference}`)).toEqual([third])
    const unknown = await shop.call('GET', '/api/v1/payments?order_id=ord_404')
    expectRefusal(unknown, 400, 'invalid_request', 'order_id')
  })

  test('select payments by their payment link', async () => {
    const shop = await testShop(db)
    const { body: link } = await shop.call('POST', '/api/v1/payment_links', order)
    const { body: other } = await shop.call('POST', '/api/v1/payment_links', order)
    const source = { method: 'upi', vpa: 'test@upi' }
    const pay = async () => (await shop.call('POST', `/pay/${link.id}`, source)).body.id
    const first = await pay()
    await fail(db, first)
    const second = await pay()
    await shop.call('POST', '/api/v1/payments', upi)
    const query = async (text: string) =>
      (await shop.call('GET', `/api/v1/payments?${text}`)).body.data.map(({ id }: Item) => id)
    expect(await query(`payment_link_id=${link.id}`)).toEqual([second, first])
    expect(await query(`payment_link_id=${link.id}&status=failed`)).toEqual([first])
    expect(await query(`payment_link_id=${other.id}`)).toEqual([])
    const unknown = await shop.call('GET', '/api/v1/payments?payment_link_id=plink_404')
    expectRefusal(unknown, 400, 'invalid_request', 'payment_link_id')
  })

  test('select payment links by status', async () => {
    expect((await list('payment_links', '?status=active')).data).toHaveLength(COUNT)
    expect((await list('payment_links', '?status=paid')).data).toEqual([])
    const bad = await call('GET', '/api/v1/payment_links?status=open')
    expectRefusal(bad, 400, 'invalid_request', 'status')
  })

  test('select orders by status and by reference', async () => {
    expect(idsOf(await list('orders', '?reference=R-3'))).toEqual([made.orders[3]])
    expect(idsOf(await list('orders', '?reference=R-404'))).toEqual([])
    expect((await list('orders', '?status=created')).data).toHaveLength(COUNT)
    expect((await list('orders', '?status=paid')).data).toEqual([])
  })

  test('select events by type', async () => {
    const ofOrders = await list('events', '?type=order.created')
    expect(ofOrders.data.map(({ type }) => type)).toEqual(Array(COUNT).fill('order.created'))
    expect((await list('events', '?type=payment.created')).data).toHaveLength(COUNT)
    expect((await list('events', '?type=payment.failed')).data).toEqual([])
    expect((await list('events', '?type=refund.created')).data).toHaveLength(COUNT)
  })

  test('select deliveries by endpoint, event and status', async () => {
    const [endpoint, idle] = made.webhook_endpoints
    const whole = idsOf(await list('webhook_deliveries'))
    expect(idsOf(await list('webhook_deliveries', `?endpoint_id=${endpoint}`))).toEqual(whole)
    expect(idsOf(await list('webhook_deliveries', `?endpoint_id=${idle}`))).toEqual([])
    const [{ event_id } = { event_id: '' }] = (await list('webhook_deliveries')).data
    const one = await list('webhook_deliveries', `?event_id=${event_id}`)
    expect(idsOf(one)).toEqual([whole[0]])
    expect(idsOf(await list('webhook_deliveries', '?status=pending'))).toEqual(whole)
    expect(idsOf(await list('webhook_deliveries', '?status=delivered'))).toEqual([])
  })

  test('select API keys by status', async () => {
    const [, second = ''] = made.api_keys
    await call('DELETE', `/api/v1/api_keys/${second}`)
    expect(idsOf(await list('api_keys', '?status=revoked'))).toEqual([second])
    const active = await list('api_keys', '?status=active')
    expect(active.data).toHaveLength(COUNT - 1)
  })

  test('select endpoints by status', async () => {
    const [, , third] = made.webhook_endpoints
    await call('POST', `/api/v1/webhook_endpoints/${third}/disable`)
    expect(idsOf(await list('webhook_endpoints', '?status=disabled'))).toEqual([third])
    const enabled = await list('webhook_endpoints', '?status=enabled')
    expect(enabled.data).toHaveLength(COUNT - 1)
  })

  test('stay in force across pages', async () => {
    const query = '?type=order.created&limit=5'
    const first = await list('events', query)
    expect(first.has_more).toBe(true)
    const rest = await list('events', `${query}&starting_after=${idsOf(first).at(-1)}`)
    expect([rest.data.length, rest.has_more]).toEqual([COUNT - 5, false])
    const read = [...first.data, ...rest.data]
    expect(new Set(read.map(({ id }) => id)).size).toBe(COUNT)
    expect(new Set(read.map(({ type }) => type))).toEqual(new Set(['order.created']))
  })
})
