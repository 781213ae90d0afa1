import { z } from '@hono/zod-openapi'
import { paymentLifecycle } from '../../core/lifecycles/payment.ts'
import { linkLifecycle } from '../../core/lifecycles/payment-link.ts'
import { isExpired, type PaymentLinkRow } from '../../db/payment-links/payment-links.ts'
import { type PaymentRow, toPayment } from '../../db/payments/payments.ts'
import { Amount, Timestamp } from '../http/fields.ts'

/**
 * Payers see these fields of a payment link. Payers see no other field of its merchant or its
 * payments.
 */
export const PublicPaymentLink = z
  .object({
    id: z.string().openapi({ example: 'plink_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payment_link'),
    status: z.enum(linkLifecycle.statuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    url: z.string(),
    description: z.string().nullable(),
    expires_at: Timestamp.nullable(),
    merchant: z.object({ name: z.string() }),
    last_payment: z
      .object({
        id: z.string(),
        status: z.enum(paymentLifecycle.statuses),
        failure_message: z.string().nullable(),
      })
      .nullable()
      .openapi({ description: 'The newest payment at the link' }),
  })
  .openapi('PublicPaymentLink')

export function toPublicLink(
  link: PaymentLinkRow,
  merchantName: string,
  lastPayment: PaymentRow | undefined,
) {
  const hasOpenPayment = lastPayment?.status === 'pending' || lastPayment?.status === 'authorized'
  // A link past its time is shown as expired before its workflow has recorded that.
  const isOver = link.status === 'active' && !hasOpenPayment && isExpired(link, new Date())
  return {
    id: link.id,
    object: 'payment_link' as const,
    amount: link.amount,
    currency: link.currency,
    url: link.url,
    description: link.description,
    status: isOver ? ('expired' as const) : link.status,
    expires_at: link.expiresAt?.toISOString() ?? null,
    merchant: { name: merchantName },
    last_payment: lastPayment ? toLastPayment(lastPayment) : null,
  }
}

function toLastPayment(row: PaymentRow) {
  const { id, status, failure_message } = toPayment(row)
  return { id, status, failure_message }
}
