import { and, eq, isNotNull, isNull } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import { sha256 } from '../../core/secrets.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { listRows, type Page } from '../lists.ts'
import { getterOf } from '../rows.ts'
import { type KeyPair, lockMerchant } from './merchants.ts'
import { apiKeys } from './schema.ts'

export const apiKeyStatuses = ['active', 'revoked'] as const
type Status = (typeof apiKeyStatuses)[number]
type ApiKeyRow = typeof apiKeys.$inferSelect

/** Each active key has its own rate limit, so the number of active keys has a limit too. */
const ACTIVE_MAX = 100

/**
 * Returns a key as the API shows it. The secret is shown only once, in the response that creates
 * the key.
 */
export function toApiKey(row: ApiKeyRow) {
  return {
    id: row.id,
    object: 'api_key' as const,
    name: row.name,
    key: row.key,
    last_used_at: row.lastUsedAt?.toISOString() ?? null,
    revoked_at: row.revokedAt?.toISOString() ?? null,
    created_at: row.createdAt.toISOString(),
  }
}

type NewApiKey = KeyPair & { merchantId: string; name: string | null }

/** Inserts a key. Throws AppError when the merchant has `ACTIVE_MAX` active keys already. */
export async function insertApiKey(tx: Tx, values: NewApiKey, now: Date): Promise<ApiKeyRow> {
  const { merchantId, name, key, secret } = values
  await lockMerchant(tx, merchantId)
  if ((await tx.$count(apiKeys, activeOf(merchantId))) >= ACTIVE_MAX) {
    const message = `There are ${ACTIVE_MAX} active API keys already. Revoke one first.`
    throw new AppError('api_key_limit_reached', message)
  }
  const rows = await tx
    .insert(apiKeys)
    .values({
      id: newId('apiKey'),
      merchantId,
      name,
      key,
      secretHash: sha256(secret),
      createdAt: now,
    })
    .returning()
  return rows[0] as ApiKeyRow
}

export const getApiKey = getterOf(apiKeys, 'API key')

type Filter = Page & { status?: Status | undefined }

export function listApiKeys(db: Db, merchantId: string, { status, ...page }: Filter) {
  const conditions = { active: isNull(apiKeys.revokedAt), revoked: isNotNull(apiKeys.revokedAt) }
  return listRows(db, apiKeys, merchantId, page, [status && conditions[status]])
}

/**
 * Revokes a key at once and for good. A key that is revoked already stays as it is. Throws AppError
 * for the last active key, because nobody could create another key without it. The lock keeps two
 * requests from revoking the last two keys at the same moment.
 */
export async function revokeApiKey(tx: Tx, merchantId: string, id: string, now: Date) {
  await lockMerchant(tx, merchantId)
  const { revokedAt } = await getApiKey(tx, merchantId, id)
  if (revokedAt) return
  if ((await tx.$count(apiKeys, activeOf(merchantId))) <= 1) {
    const message = 'This is the last active API key. Make another one first, and use that.'
    throw new AppError('last_api_key', message)
  }
  await tx.update(apiKeys).set({ revokedAt: now }).where(eq(apiKeys.id, id))
}

function activeOf(merchantId: string) {
  return and(eq(apiKeys.merchantId, merchantId), isNull(apiKeys.revokedAt))
}
