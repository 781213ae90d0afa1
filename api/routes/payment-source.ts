import { z } from '@hono/zod-openapi'
import { AppError } from '../../core/errors.ts'
import { paymentMethods } from '../../core/lifecycles/payment.ts'
import { withinLimit } from '../../core/limit.ts'
import {
  type Card,
  type CardToken,
  findCvcProblem,
  findNumberProblem,
  isExpired,
} from '../../core/money/card.ts'
import type { Source } from '../../db/payments/payments.ts'
import { DEFAULT_PROVIDER, type Providers, providerFor } from '../../providers/index.ts'
import { Text, Vpa } from '../http/fields.ts'

const CARD_EXCHANGE_TIMEOUT_MS = 5_000

const CardInput = z
  .strictObject({
    number: z
      .string()
      .transform((number) => number.replace(/[ -]/g, ''))
      .superRefine((number, context) => {
        const problem = findNumberProblem(number)
        if (problem) context.addIssue(problem)
      })
      .openapi({
        type: 'string',
        description: "The card's brand decides how many digits the number has",
        example: '4242424242424242',
      }),
    exp_month: z.int().min(1).max(12).openapi({ example: 12 }),
    exp_year: z.int().min(2000).max(2100).openapi({ example: 2034 }),
    cvc: z
      .string()
      .regex(/^\d{3,4}$/, 'A cvc has 3 or 4 digits. Send it as text, without spaces.')
      .openapi({ description: '4 digits for amex, 3 for every other brand', example: '123' }),
    name: Text.optional(),
  })
  .refine((card) => !isExpired(card, new Date()), {
    path: ['exp_year'],
    error: 'The card has expired.',
  })
  .superRefine((card, context) => {
    const problem = findCvcProblem(card)
    if (problem) context.addIssue({ code: 'custom', path: ['cvc'], message: problem })
  })

/**
 * These fields say how a payer pays. `checkSource` checks that each method comes with its own
 * field.
 */
export const sourceFields = {
  method: z.enum(paymentMethods),
  vpa: Vpa.optional().openapi({ example: 'test@upi' }),
  card: CardInput.optional(),
}

type SourceInput = {
  method: 'upi' | 'card'
  vpa?: string | undefined
  card?: z.output<typeof CardInput> | undefined
}

export function checkSource({ method, ...input }: SourceInput, context: z.RefinementCtx): void {
  const source = { upi: 'vpa', card: 'card' } as const
  for (const [owner, field] of Object.entries(source) as ['upi' | 'card', 'vpa' | 'card'][]) {
    const given = input[field] !== undefined
    if (given === (owner === method)) continue
    const message = given
      ? `The field belongs to the method ${owner}, and the method is ${method}.`
      : `The method ${method} needs this field.`
    context.addIssue({ code: 'custom', path: [field], message })
  }
}

/**
 * Returns the fields that Remit stores: for a card, the token, the brand and the last four digits.
 */
export function toSource({ method, vpa }: SourceInput, token: CardToken | undefined): Source {
  return {
    method,
    vpa: vpa ?? null,
    cardToken: token?.token ?? null,
    cardBrand: token?.brand ?? null,
    cardLast4: token?.last4 ?? null,
    provider: DEFAULT_PROVIDER,
  }
}

/**
 * Exchanges a card for a token. This is the API's only call to a provider, and the card number goes
 * no further.
 */
export async function exchangeCard(providers: Providers, card: Card): Promise<CardToken> {
  const signal = AbortSignal.timeout(CARD_EXCHANGE_TIMEOUT_MS)
  const provider = providerFor(providers, DEFAULT_PROVIDER)
  try {
    const exchanging = provider.createCardToken(card, signal)
    return await withinLimit(CARD_EXCHANGE_TIMEOUT_MS, exchanging)
  } catch {
    // The error has no cause: a provider's message may contain the card number, and would be
    // logged.
    const message = 'The card could not be passed on. Nothing was changed.'
    throw new AppError('unavailable', message, { headers: { 'Retry-After': '5' } })
  }
}
