import ipaddr from 'ipaddr.js'

export type OutboundPolicy = { allowHttp: boolean; allowPrivateNetworks: boolean }

const MAX_URL_CHARS = 2048

/** IANA gives out public IPv6 addresses from this block alone. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3')

/** Azure answers every virtual machine's platform requests at this otherwise public address. */
const AZURE_PLATFORM = '168.63.129.16'

/** Names that never leave a machine or its network: RFC 6761, 6762, 8375 and ICANN's .internal. */
const PRIVATE_NAME = /(^|\.)(localhost|localdomain|local|internal|home\.arpa)$/

/**
 * Whether the whole internet may reach this address. It takes addresses as a resolver writes them;
 * any other spelling (`127.1`, octal) is refused, and so is every form that carries an IPv4 address
 * inside an IPv6 one (mapped, NAT64, 6to4, Teredo), because a gateway could unwrap it.
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
 * Null, or a sentence for the merchant that says why events can't go there. It is a courtesy at the
 * API's edge: a name may resolve to anything later, so `activities/outbound.ts` checks again the
 * address it connects to.
 */
export function checkWebhookUrl(url: string, policy: OutboundPolicy): string | null {
  if (url.length > MAX_URL_CHARS) return 'The URL must not be longer than 2,048 characters.'
  // The URL parser drops or trims these, so the text we would store is not the URL we would call.
  if (/[\s\p{Cc}]/u.test(url)) return 'The URL must not contain spaces or control characters.'
  if (!URL.canParse(url)) return 'The URL is not valid.'
  const { protocol, username, password, hostname } = new URL(url)
  if (protocol !== 'https:' && !(protocol === 'http:' && policy.allowHttp)) {
    return `The URL must start with https://${policy.allowHttp ? ' or http://' : ''}.`
  }
  if (username || password) return 'The URL must not contain a user name or password.'
  if (url.includes('#')) return 'The URL must not contain a fragment (#).'
  return policy.allowPrivateNetworks ? null : checkHost(hostname)
}

/** Takes a host as `URL` normalises it: lower case, IPv4 in four decimals, IPv6 in brackets. */
function checkHost(hostname: string): string | null {
  const literal = hostname.replace(/^\[|\]$/g, '')
  if (ipaddr.isValid(literal)) {
    return isPublicAddress(literal) ? null : `The URL's host ${literal} is not a public address.`
  }
  const name = hostname.replace(/\.$/, '')
  const isPublicName = name.includes('.') && !PRIVATE_NAME.test(name)
  return isPublicName ? null : `The URL's host ${name} is not a public name.`
}
