import { randomInt } from 'node:crypto'
import type { FailureCode } from '../../core/lifecycles/payment.ts'
import { brandOf, type Card } from '../../core/money/card.ts'
import type { Db } from '../../db/client.ts'
import type { Charge, Provider } from '../provider.ts'
import { type ChargeRow, type SandboxStore, sandboxStore } from './store.ts'
import { type SandboxOptions, sandboxTransfers, TIMES_DOWN } from './transfers.ts'

type Options = Omit<SandboxOptions, 'store'> & { db: Db }

/** Test cards become these tokens. Any other card that passes Luhn succeeds. */
const tokens: Record<string, string> = {
  '4000000000000002': 'tok_declined',
  '4000000000009995': 'tok_insufficient_funds',
  '4000000000005126': 'tok_refund_returned',
}

/** Charges of these sources fail with these codes. No other source fails. */
const failures: Record<string, FailureCode> = {
  tok_declined: 'card_declined',
  tok_insufficient_funds: 'insufficient_funds',
  'fail@upi': 'upi_declined',
}

/**
 * The sandbox is a provider that needs no account. It decides a charge by its source, after a
 * delay, and keeps its charges in the database, where a crash can't reach them. A token names the
 * behaviour of its test card.
 */
export function sandbox({ db, delay, now }: Options): Provider {
  const store = sandboxStore(db)
  const transfers = sandboxTransfers({ store, delay, now })

  async function retrieve(ref: string): Promise<Charge> {
    const at = await now()
    return toCharge(found(await store.change(ref, (charge) => decided(charge, at)), ref), at)
  }

  /** Makes a change and answers. A 503 makes no change; a lost answer follows a change. */
  async function answer(ref: string, key: string, change: Parameters<typeof store.change>[1]) {
    const charge = await store.change(ref, (before) => {
      if (before.failedKeys.includes(key)) return null
      return isDown(before, key) ? { failedKeys: [...before.failedKeys, key] } : change(before)
    })
    const { source, failedKeys } = found(charge, ref)
    if (failedKeys.includes(key)) throw new Error('Sandbox: HTTP 503 Service Unavailable')
    if (source === 'timeout@upi') throw new Error('Sandbox: the answer was lost')
    return toCharge(found(charge, ref), await now())
  }

  return {
    consistencyWindowMs: 0,

    async createCardToken(card: Card) {
      const token = tokens[card.number] ?? 'tok_succeeds'
      return { token, brand: brandOf(card.number), last4: card.number.slice(-4) }
    },

    async createCharge(request) {
      // Upper and lower case are equal in a UPI address.
      const source = request.source.toLowerCase()
      return { ref: (await store.create({ ...request, source, createdAt: await now() })).id }
    },

    async confirmCharge(ref, key) {
      const at = await now()
      const decidesAt = new Date(at.getTime() + randomInt(delay.minMs, delay.maxMs + 1))
      return answer(ref, key, (charge) => {
        if (charge.status !== 'created') return null
        const sent = { ...charge, ...processing(charge, decidesAt) }
        return { ...sent, ...decided(sent, at) }
      })
    },

    async captureCharge(ref, amount, key) {
      const decidesAt = await now()
      return answer(ref, key, ({ status }) =>
        status === 'authorized' ? { status: 'succeeded', amountCaptured: amount, decidesAt } : null,
      )
    },

    retrieveCharge: retrieve,

    async cancelCharge(ref) {
      const at = await now()
      const open: ChargeRow['status'][] = ['created', 'processing', 'authorized']
      await store.change(ref, (charge) => {
        const undecided = open.includes(decided(charge, at)?.status ?? charge.status)
        return undecided ? { status: 'canceled' } : decided(charge, at)
      })
      return retrieve(ref)
    },

    ...transfers,

    listNews: (since, until) => listNews(store, { retrieve, ...transfers }, since, until),
  }
}

type Retrieve = Pick<Provider, 'retrieveRefund' | 'retrievePayout'> & {
  retrieve: (chargeRef: string) => Promise<Charge>
}

/** Yields the verdict of all that was decided, or came back, from `since` to `until`. */
async function* listNews(
  store: SandboxStore,
  { retrieve, retrieveRefund, retrievePayout }: Retrieve,
  since: Date,
  until: Date,
): ReturnType<Provider['listNews']> {
  const due = await store.findDue(since, until)
  for (const { id: ref, paymentId: id } of due.charges) {
    const found = await retrieve(ref)
    if (found.state === 'decided') yield { object: 'payment', id, verdict: found.verdict }
  }
  for (const { kind, objectId: id } of due.transfers) {
    if (kind === 'refund') {
      const found = await retrieveRefund(id, '')
      if (found.state === 'decided') yield { object: kind, id, verdict: found.verdict }
    } else {
      const found = await retrievePayout(id)
      if (found.state === 'decided') yield { object: kind, id, verdict: found.verdict }
    }
  }
}

function processing({ source }: ChargeRow, decidesAt: Date) {
  return { status: 'processing' as const, decidesAt: source === 'stuck@upi' ? null : decidesAt }
}

/**
 * `down@upi` answers 503 to the first two keys of each operation. A key that got a 503 gets a 503
 * again, as a real provider would answer: only another key is tried anew.
 */
function isDown({ source, failedKeys }: ChargeRow, key: string): boolean {
  if (source !== 'down@upi') return false
  return failedKeys.filter((failed) => operationOf(failed) === operationOf(key)).length < TIMES_DOWN
}

/** A key is `<object id>:<operation>:<attempt>`. */
function operationOf(key: string): string {
  return key.split(':')[1] ?? ''
}

/** Returns the decision after `decidesAt`; null before it, or if the decision was made already. */
function decided({ status, decidesAt, source, captureMethod, amount }: ChargeRow, at: Date) {
  if (status !== 'processing' || !decidesAt || decidesAt > at) return null
  const failureCode = failures[source]
  if (failureCode) return { status: 'failed' as const, failureCode }
  if (captureMethod === 'manual') return { status: 'authorized' as const }
  return { status: 'succeeded' as const, amountCaptured: amount }
}

function toCharge(charge: ChargeRow, at: Date): Charge {
  const { status, failureCode, decidesAt, amountCaptured } = charge
  if (status === 'created') return { state: 'unsent' }
  if (status === 'authorized') return { state: 'authorized' }
  if (status === 'processing')
    return { state: 'processing', checkInMs: decidesAt && decidesAt.getTime() - at.getTime() }
  const captured = status === 'succeeded' && { amountCaptured }
  return { state: 'decided', verdict: { status, failureCode, ...captured } }
}

function found(charge: ChargeRow | null, ref: string): ChargeRow {
  if (!charge) throw new Error(`Sandbox: no such charge: ${ref}`)
  return charge
}
