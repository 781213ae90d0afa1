import { and, eq, isNull } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { Db, Tx } from '../client.ts'
import { equals, listRows, type Page } from '../lists.ts'
import { lockMerchant } from '../merchants/merchants.ts'
import { firstRow } from '../rows.ts'
import { skipDeliveries } from './deliveries.ts'
import { insertEvent } from './events.ts'
import { endpoints } from './schema.ts'

export type EndpointRow = typeof endpoints.$inferSelect
type NewEndpoint = Pick<
  EndpointRow,
  'id' | 'merchantId' | 'url' | 'description' | 'eventTypes' | 'retrySchedule' | 'secret'
>
type Change = Partial<Pick<EndpointRow, 'url' | 'description' | 'eventTypes' | 'retrySchedule'>>

/**
 * Returns an endpoint as the API and its events show it. The secret is shown only once, in the
 * response that creates the endpoint.
 */
export function toEndpoint(row: EndpointRow) {
  return {
    id: row.id,
    object: 'webhook_endpoint' as const,
    url: row.url,
    description: row.description,
    event_types: row.eventTypes,
    retry_schedule: row.retrySchedule,
    status: row.status,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/** Returns the part of a cipher's context that binds the secret of an endpoint to its row. */
export function secretContext(endpointId: string): string {
  return `webhook_endpoints.secret/${endpointId}`
}

/** Each event starts a workflow per endpoint, and a parent workflow may have 2,000 children. */
const ENDPOINTS_MAX = 100

/** Inserts an endpoint. Throws AppError when the merchant has `ENDPOINTS_MAX` endpoints already. */
export async function insertEndpoint(tx: Tx, values: NewEndpoint, now: Date) {
  const { merchantId } = values
  await lockMerchant(tx, merchantId)
  const theirs = and(eq(endpoints.merchantId, merchantId), isNull(endpoints.deletedAt))
  if ((await tx.$count(endpoints, theirs)) >= ENDPOINTS_MAX) {
    const message = `There are ${ENDPOINTS_MAX} webhook endpoints already. Delete one first.`
    throw new AppError('endpoint_limit_reached', message)
  }
  const rows = await tx
    .insert(endpoints)
    .values({ ...values, createdAt: now, updatedAt: now })
    .returning()
  return rows[0] as EndpointRow
}

function ownedBy(merchantId: string, id: string) {
  return and(
    eq(endpoints.id, id),
    eq(endpoints.merchantId, merchantId),
    isNull(endpoints.deletedAt),
  )
}

function found(rows: EndpointRow[], id: string): EndpointRow {
  return firstRow(rows, 'webhook endpoint', id)
}

export async function getEndpoint(db: Db, merchantId: string, id: string): Promise<EndpointRow> {
  return found(await db.select().from(endpoints).where(ownedBy(merchantId, id)), id)
}

type Filter = Page & { status?: EndpointRow['status'] | undefined }

export function listEndpoints(db: Db, merchantId: string, { status, ...page }: Filter) {
  const filters = [isNull(endpoints.deletedAt), equals(endpoints.status, status)]
  return listRows(db, endpoints, merchantId, page, filters)
}

export async function updateEndpoint(
  db: Db | Tx,
  merchantId: string,
  id: string,
  change: Change & { status?: 'enabled' },
  now: Date,
): Promise<EndpointRow> {
  const rows = await db
    .update(endpoints)
    .set({ ...change, updatedAt: now })
    .where(ownedBy(merchantId, id))
    .returning()
  return found(rows, id)
}

/**
 * Disables an endpoint, and skips its pending deliveries for good. After the endpoint is enabled
 * again, it gets only new events.
 */
export async function disableEndpoint(
  tx: Tx,
  merchantId: string,
  id: string,
  now: Date,
): Promise<EndpointRow> {
  const rows = await tx
    .update(endpoints)
    .set({ status: 'disabled', updatedAt: now })
    .where(ownedBy(merchantId, id))
    .returning()
  await skipDeliveries(tx, found(rows, id).id, now)
  return found(rows, id)
}

/** Deletes an endpoint. The row stays, because deliveries refer to it, but its secret is erased. */
export async function deleteEndpoint(
  tx: Tx,
  merchantId: string,
  id: string,
  now: Date,
): Promise<void> {
  const rows = await tx
    .update(endpoints)
    .set({ deletedAt: now, secret: null, status: 'disabled', updatedAt: now })
    .where(ownedBy(merchantId, id))
    .returning()
  await skipDeliveries(tx, found(rows, id).id, now)
}

/**
 * Locks an endpoint that answered 410, which means that the endpoint wants no more. Returns null if
 * the URL of the endpoint has changed since, because then the old URL gave that answer.
 */
export async function lockGoneEndpoint(tx: Tx, { id, url }: { id: string; url: string }) {
  const isIt = and(eq(endpoints.id, id), eq(endpoints.url, url))
  const [row] = await tx.select().from(endpoints).where(isIt).for('no key update')
  return row ?? null
}

/**
 * Disables an endpoint that is gone. Returns the emitted event, or null if the endpoint was
 * disabled already.
 */
export async function disableGoneEndpoint(tx: Tx, { id, status }: EndpointRow, now: Date) {
  if (status === 'disabled') return null
  const [row] = await tx
    .update(endpoints)
    .set({ status: 'disabled', updatedAt: now })
    .where(eq(endpoints.id, id))
    .returning()
  if (!row) return null
  await skipDeliveries(tx, id, now)
  const { merchantId } = row
  const event = { type: 'webhook_endpoint.disabled' as const, merchantId, object: toEndpoint(row) }
  return insertEvent(tx, event, now)
}
