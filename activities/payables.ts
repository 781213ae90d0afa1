import { Context } from '@temporalio/activity'
import type { Db } from '../db/client.ts'
import { askToCancel } from '../db/payments/commands.ts'
import { findPaymentOf } from '../db/payments/payments.ts'
import { commandUpdate, paymentStart } from '../temporal/starts.ts'
import { sendUpdate } from '../temporal/update.ts'
import type { Now } from './now.ts'
import { untilEnded } from './provider/provider-calls.ts'

/** For what can be paid for: orders and payment links. */
export function payableActivities({ db, now }: { db: Db; now: Now }) {
  return {
    /**
     * True once no payment for it is open any more. With `toCancel` an open one is told to cancel, by
     * the command that its merchant has; its provider's last word decides.
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
