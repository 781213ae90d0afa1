import { passesLuhn } from './money/card.ts'

const HIDDEN = '[hidden]'
const DEPTH_MAX = 5

/** Fields whose value is hidden whatever it is. Our own log lines have none of them. */
const secretNames =
  /secret|password|passwd|authorization|cookie|token|signature|(api|encryption).?key|^(number|card|cvc|cvv|pan|vpa|body|params|parameters|detail)$/i

/** Left as they are, though digits of theirs might pass for a card's: UUIDs, and ids of ours. */
const ids =
  /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[a-z]{2,5}_(?:[0-9a-z]{26}|[0-9a-f]{32})\b/
/** In one piece, or in the groups in which cards are embossed. */
const cardLike =
  /(?<!\d)(?:\d{12,19}|\d{4}(?:[ -]\d{4}){2,3}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})(?!\d)/
const idsOrCards = new RegExp(`${ids.source}|${cardLike.source}`, 'g')

/** Who starts with these has the secret of an endpoint, of an API key, of a user of a URL. */
const whsec = /whsec_[\w+/=-]+/g
const apiSecret = /\bsecret_(?!key_required\b)[\w-]{6,}/g
const bearer = /\b(Bearer|Basic) +[^\s"',]+/gi
const urlPassword = /(\/\/[^\s:/@]*):[^\s/"]*@/g

/** A UPI address, plain or in a URL, and any mail address too. A masked one has `*` before its `@`. */
const vpaLike = /(?<![\w.-])[\w.-]{1,255}(?:@|%40)[A-Za-z][A-Za-z0-9.-]{1,63}/g

/** They could end a line and begin one that we never wrote, or play with a terminal. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/**
 * The net under our logs: what must not be in them does not come this far, and if it does, in the
 * words of a provider's or a database's error, it ends here. It leaves one line.
 */
export function scrub(text: string): string {
  return withoutSecrets(text).replace(invisible, escaped)
}

/** A stack keeps its lines. */
export function scrubStack(text: string): string {
  return withoutSecrets(text).replace(invisible, (found) =>
    found === '\n' ? found : escaped(found),
  )
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}

function withoutSecrets(text: string): string {
  return text
    .replace(whsec, `whsec_${HIDDEN}`)
    .replace(apiSecret, `secret_${HIDDEN}`)
    .replace(bearer, `$1 ${HIDDEN}`)
    .replace(urlPassword, `$1:${HIDDEN}@`)
    .replace(idsOrCards, (found) => (passesLuhn(found.replace(/[ -]/g, '')) ? '[card]' : found))
    .replace(vpaLike, '[vpa]')
}

/** A value for the log: every text in it scrubbed, and hidden what is named like a secret. */
export function scrubbed(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return scrub(value)
  if (typeof value === 'number' || typeof value === 'bigint') {
    return scrub(`${value}`) === `${value}` ? value : scrub(`${value}`)
  }
  if (typeof value !== 'object' || value === null) return value
  if (depth === DEPTH_MAX) return '[…]'
  if (Array.isArray(value)) return value.map((item) => scrubbed(item, depth + 1))
  if (value instanceof Date) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      secretNames.test(name) ? HIDDEN : scrubbed(item, depth + 1),
    ]),
  )
}
