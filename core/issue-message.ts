import type { z } from 'zod'

type Issue = z.core.$ZodRawIssue

/** The message for a missing value. The caller adds the name of the field. */
export const MISSING = 'The value is missing.'

const LISTED_VALUES_MAX = 12

/**
 * One sentence that says which rule of a schema an input breaks. zod's own words name its types and
 * its patterns ("Invalid key in record"), which tells a caller nothing. A schema that needs other
 * words gives them itself.
 */
export function issueMessage(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? MISSING : typeMessage(String(issue.expected))
    case 'invalid_value':
      return issue.input === undefined ? MISSING : valuesMessage(issue.values)
    case 'invalid_union':
      return unionMessage(issue)
    case 'too_small':
      return sizeMessage(issue, 'least', Number(issue.minimum))
    case 'too_big':
      return sizeMessage(issue, 'most', Number(issue.maximum))
    case 'invalid_format':
      return formats[String(issue.format)] ?? 'The text has the wrong format.'
    case 'invalid_key':
      return `The name is not allowed. ${issue.issues[0]?.message ?? ''}`.trim()
    case 'unrecognized_keys':
      return `These names are not known: ${issue.keys.join(', ')}.`
    default:
      return 'The value is not allowed.'
  }
}

const types: Record<string, string> = {
  string: 'a string',
  int: 'an integer, without a fraction',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
}

function typeMessage(expected: string): string {
  return `The value must be ${types[expected] ?? expected}.`
}

function valuesMessage(values: readonly unknown[]): string {
  if (values.length > LISTED_VALUES_MAX)
    return `The value must be one of the ${values.length} that the documentation lists.`
  const listed = values.map((value) => JSON.stringify(value))
  return listed.length === 1
    ? `The value must be ${listed[0]}.`
    : `The value must be one of ${listed.join(', ')}.`
}

/** A discriminated union fails at its discriminator, so the message lists that field's values. */
function unionMessage(issue: Issue & { code: 'invalid_union' }): string {
  const { discriminator, options, input } = issue as Issue & Record<string, unknown>
  if (typeof discriminator !== 'string')
    return 'The value has none of the forms that the documentation lists.'
  const given = (input as Record<string, unknown> | null)?.[discriminator]
  return given === undefined ? MISSING : valuesMessage(Array.isArray(options) ? options : [])
}

function sizeMessage(issue: Issue, bound: 'least' | 'most', limit: number): string {
  const { origin, input } = issue as Issue & { origin?: string }
  if (origin === 'string' || origin === 'array') {
    const { length } = input as string | unknown[]
    const unit = origin === 'string' ? 'character' : 'item'
    const what = origin === 'string' ? 'text' : 'list'
    if (length === 0) return `The ${what} must not be empty.`
    return `The ${what} has ${count(length, unit)}. At ${bound} ${limit} are allowed.`
  }
  if (bound === 'least' && !(issue as { inclusive?: boolean }).inclusive)
    return `The number must be more than ${limit}.`
  return `The number must be at ${bound} ${limit}.`
}

function count(number: number, unit: string): string {
  return `${number} ${unit}${number === 1 ? '' : 's'}`
}

const formats: Record<string, string> = {
  datetime: 'The value must be a time in ISO 8601 with its offset, such as "2026-01-31T09:30:00Z".',
  url: 'The value must be a URL.',
}
