import type { RefundVerdict } from '../core/lifecycles/refund.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import type { Db } from '../db/client.ts'
import {
  claimRow,
  clearNews,
  findRow,
  markNeedsAttention,
  setProviderRef,
} from '../db/lifecycle-steps.ts'
import { payments } from '../db/payments/schema.ts'
import type { RefundRow } from '../db/refunds/refunds.ts'
import { refunds } from '../db/refunds/schema.ts'
import { recordedRefund, settleRefund } from '../db/refunds/steps.ts'
import { type Providers, providerFor } from '../providers/index.ts'
import type { ProviderRefund } from '../providers/provider.ts'
import type { Now } from './now.ts'
import { untilAnswered } from './provider/provider-calls.ts'
import { known, sendTransfer } from './provider/send-transfer.ts'

type Deps = { db: Db; providers: Providers; now: Now }

/** The state of a refund. A verdict is recorded already; status "pending" means no verdict yet. */
type RefundProgress = RefundSettled | { status: 'pending'; checkInMs: number | null }
export type RefundSettled = RefundVerdict & { deliveries: Delivery[] }

/**
 * An activity that asks the provider records the answer at once. A repeated call finds the answer
 * recorded and returns the first result again.
 */
export function refundActivities(deps: Deps) {
  const { db, now } = deps
  return {
    /** Sends a refund, or looks for a late success or late failure if the refund has ended. */
    async sendRefund(refundId: string): Promise<RefundProgress> {
      const refund = await claimRow(db, refunds, refundId)
      if (refund.status === 'pending') return record(deps, refund, await send(deps, refund))
      const progress = await record(deps, refund, await look(deps, refund))
      await clearNews(db, refunds, refundId)
      return progress
    },

    async pollRefund(refundId: string, checkInMs: number | null): Promise<RefundSettled> {
      return untilAnswered(checkInMs, async () => {
        const refund = await findRow(db, refunds, refundId)
        const progress = await record(deps, refund, await look(deps, refund))
        return progress.status === 'pending' ? null : progress
      })
    },

    /**
     * Records an operator's verdict. If the provider answers with a verdict, that verdict is
     * recorded instead.
     */
    async settleRefund(refundId: string, verdict: RefundVerdict): Promise<RefundSettled> {
      const refund = await findRow(db, refunds, refundId)
      const found = await look(deps, refund).catch(() => null)
      const said = found?.state === 'decided' ? await record(deps, refund, found) : null
      if (said && said.status !== 'pending') return said
      return toSettled(await settleRefund(db, refundId, { ...verdict, ref: null }, await now()))
    },

    async parkRefund(refundId: string): Promise<void> {
      const { paymentId } = await findRow(db, refunds, refundId)
      await markNeedsAttention(db, payments, paymentId, await now())
    },
  }
}

async function send(deps: Deps, refund: RefundRow): Promise<ProviderRefund> {
  const { db, now } = deps
  const { id: refundId, amount, currency } = refund
  const { provider, chargeRef } = await chargeOf(deps, refund)
  return sendTransfer<ProviderRefund>({
    db,
    table: refunds,
    row: refund,
    operation: 'refund',
    provider,
    now,
    look: () => look(deps, refund),
    send: (key) => provider.createRefund({ key, refundId, chargeRef, amount, currency }),
  })
}

async function look(deps: Deps, refund: RefundRow): Promise<ProviderRefund> {
  const { provider, chargeRef } = await chargeOf(deps, refund)
  return known(refund, await provider.retrieveRefund(refund.id, chargeRef))
}

async function chargeOf(deps: Deps, { id, paymentId, provider }: RefundRow) {
  const { db } = deps
  const { providerRef: chargeRef } = await findRow(db, payments, paymentId)
  if (!chargeRef) throw new Error(`Refund ${id} is of a payment that was never charged`)
  return { provider: providerFor(deps.providers, provider), chargeRef }
}

async function record(
  deps: Deps,
  refund: RefundRow,
  found: ProviderRefund,
): Promise<RefundProgress> {
  const { db, now } = deps
  const { id, status, providerRef } = refund
  if (found.state === 'decided') {
    const { verdict, ref } = found
    return toSettled(await settleRefund(db, id, { ...verdict, ref }, await now()))
  }
  if (status !== 'pending') return toSettled(await recordedRefund(db, id))
  if (found.state === 'unsent') return { status, checkInMs: null }
  if (!providerRef) await setProviderRef(db, refunds, id, found.ref)
  return { status, checkInMs: found.checkInMs }
}

function toSettled({ status, ...rest }: Awaited<ReturnType<typeof settleRefund>>): RefundSettled {
  if (status === 'pending') throw new Error('Not settled')
  return { status, ...rest }
}
