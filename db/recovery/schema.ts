import { pgTable, text, timestamp } from 'drizzle-orm/pg-core'

/** How far the news of each provider have been read. */
export const providerNews = pgTable('provider_news', {
  provider: text().primaryKey(),
  readUntil: timestamp({ withTimezone: true }).notNull(),
})
