import type { InboundEventStatus } from '../core/lifecycles/invoice.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import type { Db } from '../db/client.ts'
import { applyInboundEvent } from '../db/invoices/inbound-events.ts'
import type { Now } from './now.ts'

type Deps = { db: Db; now: Now }
type Applied = { status: InboundEventStatus; deliveries: Delivery[] }

export function inboundEventActivities({ db, now }: Deps) {
  return {
    /** A repeated call finds the event applied and returns the same deliveries again. */
    async applyInboundEvent(id: string): Promise<Applied> {
      return applyInboundEvent(db, id, await now())
    },
  }
}
