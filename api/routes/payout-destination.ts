import { z } from '@hono/zod-openapi'
import {
  findAccountNumberProblem,
  findBankCodeProblem,
  withoutIbanLabel,
  withoutSeparators,
} from '../../core/money/bank-account.ts'
import { Vpa } from '../http/fields.ts'

export const MaskedDestination = z.discriminatedUnion('type', [
  z.object({ type: z.literal('vpa'), vpa: z.string().openapi({ example: 'se***@upi' }) }),
  z.object({
    type: z.literal('bank_account'),
    account_number: z.string().openapi({ example: '***6789' }),
    bank_code: z.string(),
    holder_name: z.string().openapi({ example: 'A*** R***' }),
  }),
])

/**
 * Returns a pattern for `count` letters and digits, with spaces and hyphens anywhere among them.
 */
function patternOf(count: string): string {
  return `^[ -]*([A-Za-z0-9][ -]*)${count}$`
}

export const Destination = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('vpa'),
    vpa: Vpa.openapi({ example: 'seller@upi' }),
  }),
  z.strictObject({
    type: z.literal('bank_account'),
    account_number: z
      .string()
      .transform((number) => withoutIbanLabel(withoutSeparators(number)))
      .refine(
        (number) => /^[A-Za-z0-9]{6,34}$/.test(number),
        'Send an account number or IBAN of 6 to 34 letters and digits. Spaces and hyphens are ignored.',
      )
      .transform((number) => number.toUpperCase())
      .superRefine((number, context) => {
        const problem = findAccountNumberProblem(number)
        if (problem) context.addIssue(problem)
      })
      .openapi({ type: 'string', pattern: patternOf('{6,38}'), example: '000123456789' }),
    bank_code: z
      .string()
      .transform(withoutSeparators)
      .refine(
        (code) => /^[A-Za-z0-9]{4,11}$/.test(code),
        'Send an IFSC, BIC, routing number or sort code of 4 to 11 letters and digits. Spaces and hyphens are ignored.',
      )
      .transform((code) => code.toUpperCase())
      .openapi({
        type: 'string',
        pattern: patternOf('{4,11}'),
        description: 'An IFSC, BIC, routing number, sort code or another national code',
        example: 'HDFC0000123',
      }),
    holder_name: z
      .string()
      .trim()
      .normalize('NFC')
      .min(1)
      .max(140)
      .regex(/^\P{Cc}*$/u, 'The name must not have control characters.')
      .openapi({ type: 'string', example: 'Asha Rao' }),
  }),
])

type Input = { currency: string; destination: z.output<typeof Destination> }

export function checkBankCode({ currency, destination }: Input, context: z.RefinementCtx): void {
  if (destination.type !== 'bank_account') return
  const message = findBankCodeProblem(destination.bank_code, currency)
  const path = ['destination', 'bank_code']
  if (message) context.addIssue({ code: 'custom', path, message })
}
