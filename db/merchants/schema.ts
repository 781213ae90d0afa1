import { index, pgTable, text, unique } from 'drizzle-orm/pg-core'
import { createdAt, metadata, newestFirst, time } from '../columns.ts'

export const merchantId = () =>
  text()
    .notNull()
    .references(() => merchants.id)

export const merchants = pgTable('merchants', {
  id: text().primaryKey(), // mer_…
  name: text().notNull(),
  metadata: metadata(),
  createdAt: createdAt(),
  updatedAt: createdAt(),
})

export const apiKeys = pgTable(
  'api_keys',
  {
    id: text().primaryKey(), // ak_…
    merchantId: merchantId(),
    key: text().notNull(), // publishable
    secretHash: text().notNull(), // SHA-256; the secret is random, so no salt is needed
    name: text(),
    lastUsedAt: time(), // accurate to one minute
    revokedAt: time(),
    createdAt: createdAt(),
  },
  (t) => [
    unique('api_keys_key_key').on(t.key),
    unique('api_keys_secret_hash_key').on(t.secretHash),
    index('api_keys_list_idx').on(t.merchantId, ...newestFirst(t)),
  ],
)
