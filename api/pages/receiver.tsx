import { Layout } from './layout.tsx'

/** `standard` and `hmac` say whether the two signatures are good. */
export type Received = { at: Date; id: string; body: string; standard: boolean; hmac: boolean }

type Props = { received: Received[]; opened: string | undefined }

const HERE = '/dev/receiver'
const REFRESH_SECONDS = 5

/**
 * `opened` is the id of the event whose body is shown. Without an id, the page shows the newest
 * event and refreshes itself.
 */
export function ReceiverPage({ received, opened }: Props) {
  const refresh = opened ? {} : { refreshSeconds: REFRESH_SECONDS }
  return (
    <Layout title="Webhook receiver" stylesheet={`${HERE}/style.css`} {...refresh}>
      <p>
        The demo shop's own server: the last webhooks it got, newest first.{' '}
        {opened ? <a href={HERE}>Show the newest again</a> : 'This page renews itself.'}
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
          <tbody>
            {received.map((each, row) => (
              <Row {...each} open={opened ? each.id === opened : row === 0} />
            ))}
          </tbody>
        </table>
      )}
    </Layout>
  )
}

function Row({ at, id, body, standard, hmac, open }: Received & { open: boolean }) {
  return (
    <tr>
      <td>{at.toISOString().slice(11, 23)} UTC</td>
      <td>
        <strong>{field(body, 'type')}</strong>{' '}
        <a href={`${HERE}?event=${encodeURIComponent(id)}`}>
          <code>{id}</code>
        </a>
        {open && <pre>{pretty(body)}</pre>}
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
