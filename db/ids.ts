import { uuidv7obj } from 'uuidv7'
import { type LifecycleName, lifecycleNames, lifecycles } from '../core/lifecycles/index.ts'

type LifecycleObject = (typeof lifecycles)[LifecycleName]['object']

function lifecyclePrefixes() {
  const all = lifecycleNames.map((name) => lifecycles[name])
  return Object.fromEntries(all.map(({ object, idPrefix }) => [object, idPrefix])) as Record<
    LifecycleObject,
    string
  >
}

const prefixes = {
  ...lifecyclePrefixes(),
  merchant: 'mer',
  apiKey: 'ak',
  invoice: 'inv',
  topup: 'topup',
  command: 'cmd',
  lease: 'lease',
  event: 'evt',
  endpoint: 'we',
  delivery: 'whd',
  attempt: 'att',
  balanceTransaction: 'txn',
  sandboxCharge: 'sbc',
  sandboxTransfer: 'sbt',
} as const

/** Makes a TypeID: a prefix that names the resource, then a UUIDv7, so that ids sort by time. */
export function newId(resource: keyof typeof prefixes): string {
  return `${prefixes[resource]}_${base32(uuidv7obj().toHex())}`
}

/** Returns true if a merchant's own name for something could be taken for one of our ids. */
export function looksLikeId(text: string): boolean {
  return /^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(text)
}

/** Crockford's digits leave out i, l, o and u, which JavaScript's own base 32 has. */
function base32(hex: string): string {
  const digits = BigInt(`0x${hex}`).toString(32).padStart(26, '0')
  return digits.replace(/./g, (digit) =>
    '0123456789abcdefghjkmnpqrstvwxyz'.charAt(parseInt(digit, 32)),
  )
}
