const MAX_CHARS = 200

/** What OpenSSL's names for a certificate it doesn't trust have in common. */
const CERTIFICATE = /CERT|SELF_SIGNED|ISSUER|LEAF_SIGNATURE|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH/

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection closed before an answer',
  EPIPE: 'Connection closed before an answer',
  UND_ERR_SOCKET: 'Connection closed before an answer',
  EHOSTUNREACH: 'Host unreachable',
  ENETUNREACH: 'Network unreachable',
  ETIMEDOUT: 'Connection timed out',
  EPROTO: 'TLS handshake failed',
  UND_ERR_HEADERS_OVERFLOW: 'The response headers are too large',
}

/** One line for the merchant's delivery log on why no answer came; never a stack. */
export function describeFailure(error: unknown, url: string, timeoutMs: number): string {
  const { name = '', code, syscall, message = '' } = error as NodeJS.ErrnoException
  const key = String(code ?? '')
  if (name === 'TimeoutError' || key === 'UND_ERR_CONNECT_TIMEOUT') {
    return `Timed out after ${timeoutMs / 1000} s`
  }
  if (key === 'ENOTFOUND') return `Name not found: ${new URL(url).hostname}`
  if (syscall === 'getaddrinfo') return `Name lookup failed: ${new URL(url).hostname}`
  if (CERTIFICATE.test(key)) return `TLS certificate: ${firstLine(message)}`
  if (key.startsWith('ERR_SSL_')) return 'TLS handshake failed'
  if (name === 'HTTPParserError') return 'The response is not valid HTTP'
  if (REASONS[key]) return REASONS[key]
  // The system's own text names the address a name resolved to, and ours.
  return syscall ? `Connection failed (${key})` : firstLine(message) || 'No answer'
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').slice(0, MAX_CHARS)
}
