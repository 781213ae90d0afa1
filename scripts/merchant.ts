import { parseArgs } from 'node:util'
import { openDb } from '../db/client.ts'
import { insertMerchant, newKeyPair } from '../db/merchants/merchants.ts'
import { statePath } from './start/state.ts'
import { findPostgres } from './tools/postgres.ts'

const NAME_MAX = 500
const USAGE = 'Say what it is called: npm run merchant -- --name "Acme Books"'

try {
  await addMerchant(readName())
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

function readName(): string {
  const { values } = parseArgs({ options: { name: { type: 'string' } } })
  const name = values.name?.trim() ?? ''
  if (name === '') throw new Error(USAGE)
  if (name.length > NAME_MAX) throw new Error(`A name has at most ${NAME_MAX} characters.`)
  return name
}

/** Makes a merchant in the API's database. The merchant's secret is printed, and kept nowhere. */
async function addMerchant(name: string): Promise<void> {
  const url = process.env.DATABASE_URL || (await findPostgres(statePath('postgres')))
  if (!url) throw new Error('Set DATABASE_URL, or start Remit first: npm start')
  const keys = newKeyPair()
  const db = openDb(url, { poolMax: 1, statementTimeoutMs: 10_000 })
  try {
    const id = await db.transaction((tx) => insertMerchant(tx, name, keys, new Date()))
    console.log(told({ id, name, ...keys }))
  } catch (error) {
    throw new Error(explain(error))
  } finally {
    await db.$client.end()
  }
}

type Made = { id: string; name: string; key: string; secret: string }

function told({ id, name, key, secret }: Made): string {
  return `
Merchant      ${name}
id            ${id}
X-Api-Key     ${key}
X-Api-Secret  ${secret}

The secret is shown only now. Only its hash is stored.`
}

/**
 * Returns the part of Postgres's error that helps, and never the query, which holds the key pair.
 */
function explain(error: unknown): string {
  const cause = (error as Error).cause ?? error
  const { code, message } = cause as Error & { code?: string }
  const NO_TABLE = '42P01'
  if (code === NO_TABLE) return 'The database has no schema yet: npm run db:migrate'
  return `The database took no merchant: ${message || code}`
}
