import { pgTable, text, timestamp } from 'drizzle-orm/pg-core'

/** This table holds the time up to which each provider's news has been read. */
export const providerNews = pgTable('provider_news', {
  provider: text().primaryKey(),
  readUntil: timestamp({ withTimezone: true }).notNull(),
})
