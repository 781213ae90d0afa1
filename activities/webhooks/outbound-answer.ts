import type { IncomingMessage } from 'node:http'

const KEPT_HEADERS_MAX = 50
const KEPT_HEADERS_MAX_BYTES = 8 * 1024

/** Reads the parts of an answer that the attempt log keeps. */
export async function readAnswer(response: IncomingMessage, maxBytes: number) {
  const headers = valuesByName(response.rawHeaders)
  return {
    httpStatus: response.statusCode ?? null,
    retryAfter: headers.get('retry-after')?.[0] ?? null,
    responseHeaders: keepHeaders(headers),
    responseBody: await readPrefix(response, maxBytes),
  }
}

/** Node's own `headers` loses some repeated headers, and one that is called `__proto__`. */
function valuesByName(rawHeaders: string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>()
  for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
    const name = (rawHeaders[n] ?? '').toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[n + 1] ?? ''])
  }
  return headers
}

function keepHeaders(headers: Map<string, string[]>): Record<string, string> {
  let bytes = 0
  const kept = [...headers]
    .slice(0, KEPT_HEADERS_MAX)
    .map(([name, values]) => [name, storable(values.join(', '))] as const)
    .filter(([name, value]) => {
      bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
      return bytes <= KEPT_HEADERS_MAX_BYTES
    })
  return Object.fromEntries(kept)
}

/** Leaving the loop, at the cap or at an error, also drops the rest of the body. */
async function readPrefix(body: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= maxBytes) break
    }
  } catch {
    // The status alone decides the outcome. If the body breaks off or stalls, keep what has come.
  }
  const prefix = Buffer.concat(chunks).subarray(0, maxBytes)
  // Streaming leaves out a character that the cap has cut in two.
  return storable(new TextDecoder().decode(prefix, { stream: bytes > maxBytes }))
}

/** Postgres text can't hold a NUL. */
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}
