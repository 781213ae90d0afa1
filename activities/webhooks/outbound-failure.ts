/** A failure that we found ourselves. Its message is written for the merchant's delivery log. */
export class OutboundRefusal extends Error {}

/** Node's and OpenSSL's codes for a certificate that is not trusted. */
const CERTIFICATE_REASONS: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in the chain',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate is revoked',
  CERT_UNTRUSTED: 'the certificate is not trusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
  HOSTNAME_MISMATCH: 'the certificate is for another host name',
  UNABLE_TO_GET_ISSUER_CERT: 'an issuer of the certificate is unknown',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'an issuer of the certificate is unknown',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the server does not send the certificate of the issuer',
}
/** Matches every other code of a certificate error. */
const CERTIFICATE = /CERT|SELF_SIGNED|ISSUER|LEAF_SIGNATURE|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH/

export const INVALID_STATUS =
  'The response status is not valid: it must be a number from 100 to 999'
export const IDLE_TIMEOUT = 'The server closed an idle connection (HTTP 408)'
export const PROTOCOL_SWITCHED =
  'The server switched to another protocol (HTTP 101), which the request did not ask for'
const CLOSED = 'Connection closed before an answer'

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: CLOSED,
  ECONNABORTED: CLOSED,
  EPIPE: CLOSED,
  EHOSTUNREACH: 'Host unreachable',
  ENETUNREACH: 'Network unreachable',
  ETIMEDOUT: 'Connection timed out',
  EPROTO: 'TLS handshake failed',
  ERR_INVALID_URL: 'Invalid URL',
  HPE_HEADER_OVERFLOW: 'The response headers are too large',
  HPE_INVALID_STATUS: INVALID_STATUS,
}

export function describeTimeout(timeoutMs: number): string {
  return `Timed out after ${timeoutMs / 1000} s`
}

/**
 * One line for the merchant's delivery log that says why no answer came. Every text is ours: the
 * texts of Node and OpenSSL explain little, and may name an address of our own network.
 */
export function describeFailure(error: unknown, url: string): string {
  if (error instanceof OutboundRefusal) return error.message
  const { code, syscall } = firstError(error)
  const key = String(code ?? '')
  if (key === 'ENOTFOUND') return `Name not found: ${new URL(url).hostname}`
  if (syscall === 'getaddrinfo') return `Name lookup failed: ${new URL(url).hostname}`
  if (REASONS[key]) return REASONS[key]
  if (key.startsWith('ERR_SSL_')) return 'TLS handshake failed'
  if (CERTIFICATE_REASONS[key]) return `TLS certificate: ${CERTIFICATE_REASONS[key]}`
  if (CERTIFICATE.test(key)) return `TLS certificate: the certificate is not trusted (${key})`
  if (key.startsWith('HPE_')) return 'The response is not valid HTTP'
  if (syscall) return `Connection failed (${key})`
  return key ? `No answer (${key})` : 'No answer'
}

/** A host with several addresses fails with one error per address. */
function firstError(error: unknown): NodeJS.ErrnoException {
  const found = error instanceof AggregateError ? error.errors[0] : error
  return (found ?? {}) as NodeJS.ErrnoException
}
