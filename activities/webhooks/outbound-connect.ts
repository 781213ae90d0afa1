import dns from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { isPublicAddress, type OutboundPolicy } from '../../core/webhooks/public-address.ts'
import { OutboundRefusal } from './outbound-failure.ts'

export type ConnectOptions = OutboundPolicy & {
  /** Stands in for the system's resolver in tests. */
  lookup?: net.LookupFunction
}

export type Agents = { http: http.Agent; https: https.Agent }

// Node also closes an idle connection one second before a shorter `Keep-Alive: timeout=` ends.
const KEEP_ALIVE_MS = 4_000
// Node's own 250 ms gives up on every address of a far-away host that has several.
const ADDRESS_ATTEMPT_MS = 1_000

/**
 * Connects to public addresses only, unless private ones are allowed. A name's addresses are
 * checked in `lookup`, so the address that was checked is the address that is dialled. Node never
 * calls `lookup` for an address literal: `refuseTarget` checks those.
 */
export function createAgents(
  options: ConnectOptions,
  { keepAlive }: { keepAlive: boolean },
): Agents {
  const { allowPrivateNetworks } = options
  const lookup = laterThanCall(options.lookup ?? dns.lookup)
  const shared = {
    keepAlive,
    timeout: KEEP_ALIVE_MS, // ends idle connections only: nothing listens for it during a request
    lookup: allowPrivateNetworks ? lookup : publicOnly(lookup),
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  }
  const plain = new http.Agent(shared)
  // `http.Agent` keeps the `net.connect` of Node's start. A lookup per call lets a test replace it.
  Object.assign(plain, { createConnection: (to: net.NetConnectOpts) => net.connect(to) })
  return { http: plain, https: new https.Agent(shared) }
}

/** Throws if a webhook must not be sent to this URL, whatever its name resolves to. */
export function refuseTarget({ protocol, hostname }: URL, policy: OutboundPolicy): void {
  if (protocol !== 'https:' && protocol !== 'http:') {
    throw new OutboundRefusal('Invalid URL protocol: the URL must start with http:// or https://')
  }
  if (protocol !== 'https:' && !policy.allowHttp) {
    throw new OutboundRefusal('Blocked: only https is allowed')
  }
  const host = hostname.replace(/^\[|\]$/g, '')
  if (!policy.allowPrivateNetworks && net.isIP(host) && !isPublicAddress(host)) {
    throw new OutboundRefusal(`Blocked: ${host} is not a public address`)
  }
}

/**
 * Calls `done` on the next tick. If a lookup answered synchronously, the connection could fail
 * before the request has its error listener.
 */
function laterThanCall(lookup: net.LookupFunction): net.LookupFunction {
  return (hostname, options, done) =>
    lookup(hostname, options, (...found) => process.nextTick(done, ...found))
}

/** One private address among public ones is enough to refuse: the connection may try them all. */
function publicOnly(lookup: net.LookupFunction): net.LookupFunction {
  return (hostname, options, done) =>
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, [])
      const list = typeof found === 'string' ? [{ address: found, family: net.isIP(found) }] : found
      const [first] = list
      if (!first || !list.every(({ address }) => isPublicAddress(address))) {
        // The message omits the address, so that merchants learn no addresses of our private
        // network.
        const reason = `${hostname} does not resolve to public addresses only`
        return done(new OutboundRefusal(`Blocked: ${reason}`), [])
      }
      options.all ? done(null, list) : done(null, first.address, first.family)
    })
}
