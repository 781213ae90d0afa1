import { sql } from 'drizzle-orm'
import type { Tx } from '../../db/client.ts'
import { findLastPaymentOf } from '../../db/payment-links/pay.ts'
import { findPaymentOf } from '../../db/payments/payments.ts'
import { dropEvents, dropKeys, oldestEvent } from '../../db/recovery/prune.ts'
import { findTakenUp, sweptKinds, takeStranded } from '../../db/recovery/sweep.ts'
import { answerCommand } from '../../db/requests/commands.ts'
import { releaseKey } from '../../db/requests/idempotency.ts'
import { commands } from '../../db/requests/schema.ts'
import { asDb } from '../recovery/pruning.ts'
import { testDb } from '../support/db.ts'
import { upi } from '../support/http.ts'
import { COPIES, expectIndex, testPlans } from '../support/plans.ts'
import { testTill } from '../transfers/till.ts'

const db = testDb()
const { watched, copy, plansOf } = testPlans(db)

let call: Awaited<ReturnType<typeof testTill>>['call']
const ids = {
  endpoint: '',
  event: '',
  payment: '',
  order: '',
  link: '',
  ofOrder: '',
  ofLink: '',
  paid: '',
  refund: '',
  topup: '',
}

beforeAll(async () => {
  const till = await testTill(watched)
  call = till.call
  const post = async (path: string, body: object) =>
    (await call('POST', `/api/v1/${path}`, body)).body.id as string
  ids.endpoint = await post('webhook_endpoints', { url: 'https://shop.example/hooks' })
  ids.order = await post('orders', { amount: 50_000, currency: 'INR' })
  ids.payment = await post('payments', upi)
  const { body } = await call('GET', '/api/v1/webhook_deliveries?limit=1')
  ids.event = body.data[0].event_id
  const invoice = await post('invoices', { amount: 50_000, currency: 'INR' })
  const half = (one: string, other: string) => `case when n % 2 = 0 then ${one} else ${other} end`
  const status = (one: string, other: string) => `'status', ${half(`'${one}'`, `'${other}'`)}`
  const owed = `'number', n + 1, 'amount_paid', ${half('0', '50000')}`
  await copy('invoices', invoice, `${status('sent', 'paid')}, ${owed}`)
  const told = { event_id: 'bank', invoice_id: 1, amount: 1 }
  const kept = (await call('POST', '/webhooks/payments', told)).body.id as string
  const applied = `'applied_at', ${half('null', 'row.created_at')}, 'next_sweep_at', null`
  const bank = `'event_id', row.event_id || n, 'invoice_id', row.invoice_id || n + 1`
  await copy('inbound_events', kept, `${status('pending', 'applied')}, ${applied}, ${bank}`)
  const swept = `'next_sweep_at', ${half('null', 'row.next_sweep_at')}`
  const reason = `'cancellation_reason', ${half('null', "'requested'")}`
  await copy('orders', ids.order, `${status('created', 'canceled')}, ${reason}, ${swept}`)
  ids.link = await post('payment_links', { amount: 50_000, currency: 'INR' })
  await copy('payment_links', ids.link, `${status('active', 'expired')}, ${swept}`)
  const captured = `'amount_captured', ${half('0', '50000')}, 'next_sweep_at', null`
  await copy('payments', ids.payment, `${status('pending', 'succeeded')}, ${captured}`)
  const { body: ofLink } = await call('POST', `/pay/${ids.link}`, { method: 'upi', vpa: 'a@upi' })
  ids.ofLink = ofLink.id
  ids.ofOrder = await post('payments', { ...upi, order_id: ids.order })
  // All copies are failed payments: half of the same order or link, half of others.
  const failed = `'status', 'failed', 'failure_code', 'expired', 'next_sweep_at', null`
  const another = (column: string) =>
    `'${column}', row.${column} || ${half("''", 'n::text')}, ${failed}`
  await copy('payments', ids.ofLink, another('payment_link_id'))
  await copy('payments', ids.ofOrder, another('order_id'))
  const type = `'type', ${half(`'payment.created'`, `'order.paid'`)}`
  await copy('events', ids.event, `${type}, 'resource_id', 'x' || n`)
  await copy('webhook_endpoints', ids.endpoint, status('enabled', 'disabled'))
  const target = `'endpoint_id', row.endpoint_id || case when n % 8 = 0 then '' else n::text end`
  const rest = `'next_sweep_at', null, 'event_id', row.event_id || n, ${target}`
  await copy('webhook_deliveries', body.data[0].id, `${status('pending', 'delivered')}, ${rest}`)
  ids.topup = await till.topUp(10_000)
  ids.paid = await till.paid()
  ids.refund = await till.refund(ids.paid, 1_000)
  const payout = await till.payOut(1_000)
  const newest = (await call('GET', '/api/v1/balance_transactions?limit=1')).body.data[0].id
  const ofPayment = `'payment_id', row.payment_id || case when n % 8 = 0 then '' else n::text end`
  const failure = `'failure_code', ${half('null', "'declined'")}, 'next_sweep_at', null`
  await copy('refunds', ids.refund, `${status('pending', 'failed')}, ${failure}, ${ofPayment}`)
  await copy('payouts', payout, `${status('pending', 'failed')}, ${failure}`)
  const booked = `'type', ${half(`'payout'`, `'payment'`)}, 'source_id', row.source_id || n`
  await copy('balance_transactions', newest, booked)
  await db.execute(sql`analyze`)
})

const lists: [path: string, index: string][] = [
  ['payments', 'payments_list_idx'],
  ['payments?status=pending', 'payments_status_idx'],
  ['orders', 'orders_list_idx'],
  ['orders?status=created', 'orders_status_idx'],
  ['invoices', 'invoices_list_idx'],
  ['invoices?status=sent', 'invoices_status_idx'],
  ['payments?payment_link_id=:link', 'payments_link_idx'],
  ['payments?order_id=:order', 'payments_order_idx'],
  ['payment_links', 'payment_links_list_idx'],
  ['payment_links?status=active', 'payment_links_status_idx'],
  ['events', 'events_list_idx'],
  ['events?type=payment.created', 'events_type_idx'],
  ['webhook_deliveries', 'webhook_deliveries_list_idx'],
  ['webhook_deliveries?status=pending', 'webhook_deliveries_status_idx'],
  ['webhook_deliveries?endpoint_id=:endpoint', 'webhook_deliveries_endpoint_idx'],
  ['webhook_endpoints', 'webhook_endpoints_list_idx'],
  ['api_keys', 'api_keys_list_idx'],
  ['refunds', 'refunds_list_idx'],
  ['refunds?status=pending', 'refunds_status_idx'],
  ['refunds?payment_id=:paid', 'refunds_payment_idx'],
  ['payments/:paid/refunds', 'refunds_payment_idx'],
  ['payouts', 'payouts_list_idx'],
  ['payouts?status=pending', 'payouts_status_idx'],
  ['balance_transactions', 'balance_transactions_list_idx'],
]

test.each(lists)('the list %s is read in the order of the index %s', async (path, index) => {
  const plans = await plansOf(async () => {
    const real = path.replace(
      /:(endpoint|paid|order|link)/,
      (_, name: keyof typeof ids) => ids[name],
    )
    const { status } = await call('GET', `/api/v1/${real}`)
    expect(status).toBe(200)
  }, /order by .* desc/)
  expect(plans).toHaveLength(1)
  expectIndex(plans, index)
})

test.each([
  ['payments?starting_after=:payment', 'payments_list_idx'],
  ['payments?created_before=2020-01-01T00:00:00Z', 'payments_list_idx'],
  ['payments?status=pending&created_after=2020-01-01T00:00:00Z', 'payments_status_idx'],
])('the filtered list %s is read in the order of its index', async (path, index) => {
  const real = path.replace(':payment', ids.payment)
  expectIndex(await plansOf(() => call('GET', `/api/v1/${real}`), /order by .* desc/), index)
})

test('the rows that the sweep looks for are found by the sweep indexes, in their order', async () => {
  const longAfter = new Date(Date.now() + 3_600_000)
  const plans = await plansOf(() => takeStranded(watched, longAfter, 100), /^\s*with due/)
  const lifecycles = ['payments', 'refunds', 'payouts', 'inbound_events', 'orders', 'payment_links']
  const tables = ['commands', ...lifecycles, 'webhook_deliveries']
  expect(plans).toHaveLength(tables.length)
  for (const [n, table] of tables.entries()) expectIndex([plans[n] ?? []], `${table}_sweep_idx`)
})

test('the open command of a resource, and the key of a request, are found by their indexes', async () => {
  await call('POST', `/api/v1/payments/${ids.payment}/cancel`, {}, { 'idempotency-key': 'k' })
  const [{ merchantId, id } = { merchantId: '', id: '' }] = await db.select().from(commands)
  const other = `'status', 'done', 'next_sweep_at', null, 'resource_id', row.resource_id || n`
  await copy('commands', id, other)
  await db.execute(sql`insert into idempotency_keys select (jsonb_populate_record(row,
    jsonb_build_object('key', row.key || n))).* from idempotency_keys row, generate_series(1, ${COPIES}) n`)
  await db.execute(sql`analyze`)
  const scope = { merchantId, method: 'POST', path: '/api/v1/payments', key: 'k7' }
  const releasing = () => releaseKey(watched, { ...scope, fingerprints: [] }, 'lea_1')
  expectIndex(
    await plansOf(releasing, /^delete from "idempotency_keys"/),
    'idempotency_keys_merchant_id_method_path_key_pk',
  )
  const outcome = { done: 'cancel' as const, amount: 0, ofAmount: 50_000 }
  const answering = () =>
    watched.transaction((tx) => answerCommand(tx, ids.payment, outcome, new Date()))
  expectIndex(await plansOf(answering, /^update "commands"/), 'commands_open_key')
})

const tables: Partial<Record<(typeof sweptKinds)[number], string>> = {
  paymentLinks: 'payment_links',
  inboundEvents: 'inbound_events',
  deliveries: 'webhook_deliveries',
}

test.each(sweptKinds)(
  'open %s that a workflow has claimed are found by their index',
  async (kind) => {
    const page = { after: '', before: new Date(), limit: 100 }
    const plans = await plansOf(() => findTakenUp(watched, kind, page), /order by id limit/)
    expectIndex(plans, `${tables[kind] ?? kind}_open_idx`)
  },
)

test('the payment of an order or a link is found by the indexes of both', async () => {
  for (const [payable, payment] of [
    [ids.order, ids.ofOrder],
    [ids.link, ids.ofLink],
  ] as const) {
    const finding = async () => expect((await findPaymentOf(watched, payable))?.id).toBe(payment)
    const plans = await plansOf(finding, /^select .* from "payments"/)
    expectIndex(plans, 'payments_open_order_key')
    expectIndex(plans, 'payments_open_link_key')
  }
})

test('the last payment of a link is found by the index of payments of links', async () => {
  const finding = async () =>
    expect((await findLastPaymentOf(watched, ids.link))?.id).toBe(ids.ofLink)
  expectIndex(await plansOf(finding, /^select .* from "payments"/), 'payments_link_idx')
})

test('the recent failed payments of a link are counted by the index of payments of links', async () => {
  await db.execute(sql`update payments set status = 'failed', failure_code = 'expired'
    where id = ${ids.ofLink}`)
  const pay = () => call('POST', `/pay/${ids.link}`, { method: 'upi', vpa: 'a@upi' })
  const plans = await plansOf(pay, /^select count\(\*\)/)
  expect(plans).toHaveLength(1)
  expectIndex(plans, 'payments_link_idx')
})

test('an order and a link are locked by their key', async () => {
  const cancel = (path: string) => () => call('POST', `/api/v1/${path}/cancel`)
  const locking = /^select .* for no key update/
  expectIndex(await plansOf(cancel(`orders/${ids.order}`), locking), 'orders_pkey')
  expectIndex(await plansOf(cancel(`payment_links/${ids.link}`), locking), 'payment_links_pkey')
})

test('the transactions of one source and their postings are found by their indexes', async () => {
  const query = `/api/v1/balance_transactions?source=${ids.refund}`
  const plans = await plansOf(() => call('GET', query), /^select .* from "(balance|ledger_p)/)
  const [transactions = [], postings = []] = plans
  const used = transactions.map((node) => node['Index Name'])
  expect(used).toContain('balance_transactions_source_key')
  expect(used).not.toContain('balance_transactions_list_idx')
  const nodes = postings.map((node) => node['Node Type'])
  expect(nodes).not.toContain('Seq Scan')
  expect(postings.map((node) => node['Index Name'])).toContain(
    'ledger_postings_transaction_id_account_pk',
  )
})

test('an invoice is found by its number, and a repeated inbound event by its event id', async () => {
  const byNumber = await plansOf(() => call('GET', '/api/v1/invoices?number=7'), /order by .* desc/)
  expect(byNumber.flat().map((node) => node['Index Name'])).toContain('invoices_number_key')
  const told = { event_id: 'bank', invoice_id: 1, amount: 1 }
  const repeat = () => call('POST', '/webhooks-sync/payments', told)
  const found = await plansOf(repeat, /^(select .* from|update) "(invoices|inbound_events)"/)
  const indexes = [
    'invoices_number_key',
    'inbound_events_event_key',
    'invoices_pkey', // the invoice is read again
    'inbound_events_pkey', // the pending event is applied
    'invoices_pkey', // the invoice is locked
    'invoices_pkey', // the invoice is paid
    'inbound_events_pkey', // the emitted event is noted
  ]
  expect(found).toHaveLength(indexes.length)
  for (const [n, index] of indexes.entries()) expectIndex([found[n] ?? []], index)
})

describe('Pruning', () => {
  const batch = { before: new Date(), after: oldestEvent, limit: 100 }
  const tables = ['events', 'webhook_deliveries', 'webhook_attempts']

  beforeAll(async () => {
    await db.execute(sql`update webhook_deliveries set created_at = created_at - interval '1 day'`)
    await db.execute(sql`update webhook_deliveries set updated_at = created_at`)
    await db.execute(sql`insert into webhook_attempts (id, delivery_id, run_id, attempt, url,
        request_headers, body_sha256, created_at)
      select 'att_' || id, id, 'run', 1, '', '{}', '', created_at from webhook_deliveries`)
    await db.execute(sql`analyze`)
  })

  test('the events to drop, their deliveries and their attempts are found by indexes', async () => {
    const dropping = () => dropEvents(watched, batch)
    const used = async (like: RegExp) => {
      const nodes = (await plansOf(dropping, like)).flat()
      expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan')
      return new Set(nodes.map((node) => node['Index Name']))
    }
    expect(await used(/^\s*select id, created_at::text/)).toContain('events_created_idx')
    expect(await used(/^\s*select distinct event_id/)).toContain('webhook_deliveries_event_idx')
    const ofAttempts = await used(/^delete from "webhook_attempts"/)
    expect(ofAttempts).toContain('webhook_attempts_delivery_idx')
    expect(ofAttempts).toContain('webhook_deliveries_event_idx')
    const ofDeliveries = await used(/^delete from "webhook_deliveries"/)
    expect(ofDeliveries).toContain('webhook_deliveries_event_idx')
    expect(await used(/^delete from "events"/)).toContain('events_pkey')
  })

  test('the keys to drop are found by indexes, in the order of their age', async () => {
    const plans = await plansOf(() => dropKeys(watched, new Date(), 100), /with expired as/)
    expectIndex(plans, 'idempotency_keys_created_idx')
    expectIndex(plans, 'idempotency_keys_merchant_id_method_path_key_pk')
  })

  test('the rows that could still refer to a dropped event are found without a table scan', async () => {
    // Postgres counts a transaction's scans, including the scans for foreign key checks.
    const scans = async (tx: Tx) => {
      const { rows } = await tx.execute<{ name: string; count: number }>(sql`
        select relname as name, seq_scan::int as count from pg_stat_xact_user_tables
        where relname in ${tables} order by 1`)
      return rows
    }
    await db.transaction(async (tx) => {
      await tx.execute(sql`set local enable_seqscan = off`)
      const before = await scans(tx)
      expect(before).toHaveLength(tables.length)
      const dropped = await dropEvents(asDb(tx), { ...batch, limit: 500 })
      expect(Math.min(dropped.events, dropped.deliveries, dropped.attempts)).toBeGreaterThan(10)
      expect(await scans(tx)).toEqual(before)
    })
  })
})
