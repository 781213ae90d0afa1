import { migrateDb } from '../db/migrate.ts'

const url = process.env.DATABASE_URL
if (!url) throw new Error('Set DATABASE_URL to the database to migrate.')
await migrateDb(url)
console.log('The schema is up to date.')
