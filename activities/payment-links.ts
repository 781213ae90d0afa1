import type { Db } from '../db/client.ts'
import { claimRow } from '../db/lifecycle-steps.ts'
import { closeLink, type LinkRecorded } from '../db/payment-links/steps.ts'
import { paymentLinks } from '../db/payments/schema.ts'
import type { Now } from './now.ts'

export type { LinkRecorded }

/** A link as its workflow finds it. `expiresInMs` is null if the link never expires. */
export type LinkFound = LinkRecorded & { expiresInMs: number | null }

/** A repeated call finds its work done and returns the first result again. */
export function paymentLinkActivities({ db, now }: { db: Db; now: Now }) {
  return {
    async takeUpLink(linkId: string): Promise<LinkFound> {
      const { status, paymentId, expiresAt } = await claimRow(db, paymentLinks, linkId)
      const leftMs = expiresAt && expiresAt.getTime() - (await now()).getTime()
      const expiresInMs = leftMs === null ? null : Math.max(leftMs, 0)
      return { status, paymentId, expiresInMs, deliveries: [] }
    },

    async closeLink(linkId: string, to: 'expired' | 'canceled'): Promise<LinkRecorded> {
      return closeLink(db, linkId, to, await now())
    },
  }
}
