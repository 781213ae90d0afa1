import ipaddr from 'ipaddr.js'

export type OutboundPolicy = { allowHttp: boolean; allowPrivateNetworks: boolean }

const MAX_URL_CHARS = 2048
/** RFC 1035, section 2.3.4, allows 255 bytes on the wire: a name of 253 characters. */
const MAX_LABEL_CHARS = 63
const MAX_NAME_CHARS = 253
/** Letters, digits and hyphens are from RFC 1123, section 2.1; real names also have underscores. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/

/** IANA allocates public IPv6 addresses only from this block. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3')

/** Azure answers every virtual machine's platform requests at this otherwise public address. */
const AZURE_PLATFORM = '168.63.129.16'

/**
 * These names never leave a machine or its network: RFC 6761, 6762, 7686, 8375, 9476, and ICANN's
 * `.internal`.
 */
const PRIVATE_NAME = /(^|\.)(localhost|localdomain|local|internal|home\.arpa|onion|invalid|alt)$/

/**
 * Returns whether the whole internet may reach this address. Only the spelling of a resolver is
 * accepted, not `127.1` or octal. A form that carries an IPv4 address inside an IPv6 address
 * (mapped, NAT64, 6to4, Teredo) is refused too, because a gateway could unwrap it.
 */
export function isPublicAddress(ip: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(ip)) {
    return ip !== AZURE_PLATFORM && ipaddr.IPv4.parse(ip).range() === 'unicast'
  }
  if (!ipaddr.IPv6.isValid(ip)) return false
  const address = ipaddr.IPv6.parse(ip)
  return address.match(GLOBAL_V6) && address.range() === 'unicast'
}

/**
 * Returns null, or a sentence for the merchant that says why events cannot go there. This check is
 * a courtesy at the API's edge: a name may resolve to anything later, so
 * `activities/webhooks/outbound-connect.ts` checks again the address that it connects to.
 */
export function checkWebhookUrl(url: string, policy: OutboundPolicy): string | null {
  if (url.length > MAX_URL_CHARS) return 'The URL must not be longer than 2,048 characters.'
  // The URL parser drops or trims these, so the text we would store is not the URL we would call.
  if (/[\s\p{Cc}\p{Cf}\p{DI}]/u.test(url))
    return 'The URL must not contain spaces, control characters or invisible characters.'
  if (!URL.canParse(url)) return 'The URL is not valid.'
  const { protocol, username, password, hostname, port } = new URL(url)
  if (protocol !== 'https:' && !(protocol === 'http:' && policy.allowHttp)) {
    return `The URL must start with https://${policy.allowHttp ? ' or http://' : ''}.`
  }
  if (!/^https?:\/\/[^/\\?#%]+(?:[/?#]|$)/i.test(url))
    return 'The URL must have two slashes and a plain host name after its scheme, as in https://shop.example/webhooks.'
  if (username || password || /^https?:\/\/[^/?#]*@/i.test(url))
    return 'The URL must not contain a user name or password.'
  if (url.includes('#')) return 'The URL must not contain a fragment (#).'
  if (port === '0') return "The URL's port must be from 1 to 65535."
  return checkHost(hostname, policy)
}

/** Takes a host as `URL` normalises it: lower case, IPv4 in four decimals, IPv6 in brackets. */
function checkHost(hostname: string, { allowPrivateNetworks }: OutboundPolicy): string | null {
  const literal = hostname.replace(/^\[|\]$/g, '')
  if (ipaddr.isValid(literal)) {
    const isAllowed = allowPrivateNetworks || isPublicAddress(literal)
    return isAllowed ? null : `The URL's host ${literal} is not a public address.`
  }
  const name = hostname.replace(/\.$/, '') // one trailing dot is the root's
  return checkName(name) ?? (allowPrivateNetworks ? null : checkPublicName(name))
}

/** Refuses a name that no resolver can find, because events could never arrive there. */
function checkName(name: string): string | null {
  if (name.length > MAX_NAME_CHARS) {
    return `The URL's host must not be longer than ${MAX_NAME_CHARS} characters.`
  }
  const labels = name.split('.')
  if (labels.includes(''))
    return "The URL's host must not have an empty part before or after a dot."
  if (labels.some((label) => label.length > MAX_LABEL_CHARS)) {
    return `Each part of the URL's host must not be longer than ${MAX_LABEL_CHARS} characters.`
  }
  if (labels.every((label) => LABEL.test(label))) return null
  return "Each part of the URL's host may only have letters, digits, underscores, and hyphens that are neither its first nor its last character."
}

function checkPublicName(name: string): string | null {
  const isPublicName = name.includes('.') && !PRIVATE_NAME.test(name)
  return isPublicName ? null : `The URL's host ${name} is not a public name.`
}
