import { Layout } from './layout.tsx'

/** `standard` and `hmac`: whether the two signatures are good. */
export type Received = { at: Date; id: string; body: string; standard: boolean; hmac: boolean }

export function ReceiverPage({ received }: { received: Received[] }) {
  return (
    <Layout title="Webhook receiver" stylesheet="/dev/receiver/style.css" refreshSeconds={5}>
      <p>
        The demo shop's own server: the last webhooks it got, newest first. This page renews itself.
      </p>
      {received.length === 0 ? (
        <p>Nothing yet. Post a payment: its webhooks arrive here.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>Received</th>
              <th>Event</th>
              <th>Signatures</th>
            </tr>
          </thead>
          <tbody>{received.map(Row)}</tbody>
        </table>
      )}
    </Layout>
  )
}

function Row({ at, id, body, standard, hmac }: Received, row: number) {
  return (
    <tr>
      <td>{at.toISOString().slice(11, 23)} UTC</td>
      <td>
        <details open={row === 0}>
          <summary>
            <strong>{field(body, 'type')}</strong> <code>{id}</code>
          </summary>
          <pre>{pretty(body)}</pre>
        </details>
      </td>
      <td>
        <Signature name="webhook-signature" good={standard} />
        <br />
        <Signature name="x-webhook-signature" good={hmac} />
      </td>
    </tr>
  )
}

function Signature({ name, good }: { name: string; good: boolean }) {
  return (
    <span class={good ? 'good' : 'bad'}>
      {good ? '✓' : '✗'} {name}
    </span>
  )
}

function pretty(body: string): string {
  const parsed = parse(body)
  return parsed === null ? body : JSON.stringify(parsed, null, 2)
}

function field(body: string, name: string): string {
  return String(parse(body)?.[name] ?? 'unreadable')
}

function parse(body: string): Record<string, unknown> | null {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}
