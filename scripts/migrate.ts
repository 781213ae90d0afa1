import { readSecrets } from '../config.ts'
import { migrateDb } from '../db/migrate.ts'

const { DATABASE_URL: url } = readSecrets(process.env)
if (!url) throw new Error('Set DATABASE_URL, or DATABASE_URL_FILE, to the database to migrate.')
await migrateDb(url)
console.log('The schema is up to date.')
