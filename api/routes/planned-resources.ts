import { z } from '@hono/zod-openapi'
import { Amount, Timestamp } from '../http/fields.ts'

/**
 * The resources in this file have events in the catalog and no routes yet. Each schema moves to the
 * file of its routes when the resource gets routes.
 */
const currency = z.string()
const money = { amount: Amount, currency }
const times = { created_at: Timestamp, updated_at: Timestamp }

export const Dispute = z.object({
  id: z.string(),
  object: z.literal('dispute'),
  payment_id: z.string(),
  status: z.enum(['needs_response', 'under_review', 'won', 'lost']),
  ...money,
  evidence: z
    .object({
      text: z.string().nullable(),
      files: z.array(z.object({ name: z.string(), url: z.string() })),
    })
    .nullable(),
  ...times,
})

export const Subscription = z.object({
  id: z.string(),
  object: z.literal('subscription'),
  status: z.enum(['trialing', 'active', 'past_due', 'canceled']),
  ...money,
  interval: z.enum(['day', 'week', 'month', 'year']),
  interval_count: z.int(),
  description: z.string().nullable(),
  ...times,
})
