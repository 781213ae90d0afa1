import { Context } from '@temporalio/activity'
import type { Db } from '../db/client.ts'
import { askToCancel } from '../db/payments/commands.ts'
import { findPaymentOf } from '../db/payments/payments.ts'
import { commandUpdate, paymentStart } from '../temporal/starts.ts'
import { sendUpdate } from '../temporal/update.ts'
import type { Now } from './now.ts'
import { untilEnded } from './provider/provider-calls.ts'

/** Contains the activities for payables: orders and payment links. */
export function payableActivities({ db, now }: { db: Db; now: Now }) {
  return {
    /**
     * Returns true when no payment for the payable is open any more. If `toCancel` is true, an open
     * payment gets the same `cancel` command that a merchant gives. The provider's verdict decides.
     */
    async awaitPaymentEnd(payableId: string, toCancel: boolean): Promise<true> {
      return untilEnded<true>(async () => {
        const payment = await findPaymentOf(db, payableId)
        if (!payment || payment.status === 'succeeded') return true
        const command = toCancel ? await askToCancel(db, payment, await now()) : null
        if (command) {
          const { client } = Context.current()
          await sendUpdate(client, paymentStart(payment, []), commandUpdate(command))
        }
        return null
      })
    },
  }
}
