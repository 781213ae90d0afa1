import { z } from '@hono/zod-openapi'
import { AppError } from '../../core/errors.ts'
import { isCurrency, MAX_AMOUNT } from '../../core/money/money.ts'
import { vpaPattern } from '../../core/money/vpa.ts'

export const Amount = z.int().positive().max(MAX_AMOUNT).openapi({
  description: 'In minor units of the currency: 50000 INR is ₹500.00',
  example: 50000,
})

const CURRENCY_RULE =
  'Send the ISO 4217 code of a currency in use, such as "INR". Funds, metals and withdrawn currencies are refused.'

/** Any case is accepted; answers have upper case. */
export const Currency = z
  .string()
  .regex(/^[A-Za-z]{3}$/, CURRENCY_RULE)
  .transform((code) => code.toUpperCase())
  .refine(isCurrency, CURRENCY_RULE)
  .openapi({
    type: 'string',
    pattern: '^[A-Za-z]{3}$',
    description: 'The ISO 4217 code of a currency in use, in any case',
    example: 'INR',
  })

const METADATA_PAIRS_MAX = 50

export const Metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine(
    (pairs) => Object.keys(pairs).length <= METADATA_PAIRS_MAX,
    'The object must have at most 50 pairs.',
  )
  .openapi({
    description: 'Names have 1 to 40 characters, values at most 500',
    maxProperties: METADATA_PAIRS_MAX,
    example: {},
  })

export const Vpa = z
  .string()
  .regex(vpaPattern, 'The value must be a UPI address, such as asha@upi.')

export const Text = z.string().min(1).max(500)
export const Timestamp = z.iso.datetime().openapi({ example: '2026-01-31T09:30:00.000Z' })

/**
 * Matches white space, control and format characters, and characters that Unicode says to ignore.
 */
const INVISIBLE_END = /^[\s\p{Cc}\p{Cf}\p{DI}\u2800]|[\s\p{Cc}\p{Cf}\p{DI}\u2800]$/u
/** Matches the selector that styles the character before it as an emoji: ❤ becomes ❤️. */
const EMOJI_STYLE = /(\p{Extended_Pictographic})[\ufe0e\ufe0f]$/u

/**
 * An `OwnName` is a merchant's own name for an object, such as an order's reference. Names are
 * compared in Unicode NFC, and must not begin or end with a character that a reader cannot see.
 */
export const OwnName = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !INVISIBLE_END.test(text.replace(EMOJI_STYLE, '$1')), {
    error:
      'The text must not begin or end with white space or with a character that is not visible.',
  })
  .transform((text) => text.normalize('NFC'))
  .openapi({ type: 'string', minLength: 1, maxLength: 255 })

/**
 * Filters a list by an id or a name. An empty filter is refused, because it is a slip and would
 * list everything.
 */
export const Id = z.string().min(1).max(255)

/** Filters a list by a name that a merchant gave. Such names are stored in NFC. */
export const NameFilter = Id.transform((text) => text.normalize('NFC')).openapi({
  type: 'string',
  minLength: 1,
  maxLength: 255,
})

/** Accepts a time with any offset, if Postgres can hold the time. */
function timeOf(text: z.ZodISODateTime) {
  return text
    .refine((time) => {
      const year = new Date(time).getUTCFullYear()
      return year >= 1 && year <= 9999
    }, 'The year must be from 1 to 9999.')
    .transform((time) => new Date(time))
    .openapi({ type: 'string', format: 'date-time', example: '2026-12-31T09:30:00.000Z' })
}

/** `toFuture` checks that this time is in the future. */
export const FutureTime = timeOf(z.iso.datetime({ offset: true }))

/** A plus sign that is not encoded means a space in a URL, so an offset loses its sign. */
const TimeInUrl = timeOf(
  z.iso.datetime({
    offset: true,
    error: ({ input }) =>
      /\d \d\d:?\d\d$/.test(String(input))
        ? 'A "+" in a URL means a space. Send the "+" of the offset as %2B.'
        : undefined,
  }),
)

const FUTURE_MAX_MS = 5 * 365 * 24 * 60 * 60_000

/**
 * Throws `AppError` if `time` is not in the future. The schema cannot check this, because a repeat
 * of the request may come after `time`, and must get the first answer again.
 */
export function toFuture(param: string, time: Date | undefined, now: Date): Date | null {
  if (time === undefined) return null
  const inMs = time.getTime() - now.getTime()
  if (inMs > 0 && inMs <= FUTURE_MAX_MS) return time
  const rule = inMs > 0 ? 'at most 5 years ahead' : 'in the future'
  const message = `${param}: The time must be ${rule}.`
  throw new AppError('invalid_request', message, { param })
}

/** Every list takes these query parameters. Each resource adds its own filters. */
export const ListQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, 'The limit must be a number from 1 to 100.')
    .default('20')
    .transform(Number)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  starting_after: Id.optional().openapi({ description: 'The id that the page begins after' }),
  created_after: TimeInUrl.optional(),
  created_before: TimeInUrl.optional(),
})

/** Returns the page that a list's query names, as the functions in `db` take it. */
export function toPage(query: z.infer<typeof ListQuery>) {
  return {
    limit: query.limit,
    startingAfter: query.starting_after,
    createdAfter: query.created_after,
    createdBefore: query.created_before,
  }
}

export function listOf<T extends z.ZodType>(schema: T) {
  return z.object({ object: z.literal('list'), data: z.array(schema), has_more: z.boolean() })
}

/** Returns the schema of the answer for a deleted object. */
export function deletedOf<const Name extends string>(object: Name) {
  return z.object({ id: z.string(), object: z.literal(object), deleted: z.literal(true) })
}

/** Returns a list as the API shows it. Lists are newest first. */
export function toListBody<Row, Shown>(
  { data, hasMore }: { data: Row[]; hasMore: boolean },
  show: (row: Row) => Shown,
) {
  return { object: 'list' as const, data: data.map((row) => show(row)), has_more: hasMore }
}
