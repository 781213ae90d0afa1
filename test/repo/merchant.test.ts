import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDb } from '../../db/client.ts'
import { migrateDb } from '../../db/migrate.ts'
import { startPostgres } from '../../scripts/tools/postgres.ts'
import { callAs, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { rowCounts, tableTexts } from '../support/http.ts'

const db = testDb()
const folder = mkdtempSync(join(tmpdir(), 'remit-merchant-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Ended = { code: number; stdout: string; stderr: string }

function run(args: string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const all = ['--import', 'tsx', 'scripts/merchant.ts', ...args]
  const places = { REMIT_STATE: join(folder, 'state'), REMIT_CACHE: join(folder, 'cache') }
  const options = { env: { ...process.env, DATABASE_URL: '', ...places, ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, all, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

function pairIn(stdout: string) {
  const find = (pattern: RegExp) => pattern.exec(stdout)?.[0] ?? ''
  const [id, key] = [find(/mer_\w{26}/), find(/key_[\w-]{32}/)]
  return { id, key, secret: find(/secret_[\w-]{32}/) }
}

test('npm run merchant adds a merchant whose keys work, and stores no secret', async () => {
  const { code, stdout } = await run(['--name', 'চা ঘর & Co'], { DATABASE_URL: db.url })
  expect(code).toBe(0)
  const merchant = pairIn(stdout)
  const { status, body } = await callAs(testApp(db).app, merchant)('GET', '/api/v1/account')
  expect([status, body.id, body.name]).toEqual([200, merchant.id, 'চা ঘর & Co'])
  expect(JSON.stringify(await tableTexts(db))).not.toContain(merchant.secret)
})

test.each([
  ['nothing', []],
  ['an empty name', ['--name', ' ']],
  ['a name of 501', ['--name', 'x'.repeat(501)]],
  ['an option that it has not', ['--nome', 'x']],
  ['a name without its option', ['x']],
])('npm run merchant given %s exits with code 1 and says what is wrong', async (_, args) => {
  const before = await rowCounts(db)
  const { code, stdout, stderr } = await run(args, { DATABASE_URL: db.url })
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(/--name|name has at most|Unknown option|Unexpected argument/)
  expect(await rowCounts(db)).toEqual(before)
})

test('npm run merchant without a database says what to do, and prints no keys', async () => {
  const none = await run(['--name', 'Acme'], {})
  expect([none.code, none.stdout]).toEqual([1, ''])
  expect(none.stderr).toBe('Set DATABASE_URL, or start Remit first: npm start\n')
  const away = await run(['--name', 'Acme'], { DATABASE_URL: 'postgres://a:hunter2@127.0.0.1:1/x' })
  expect([away.code, away.stdout]).toEqual([1, ''])
  expect(away.stderr).toMatch(/^The database took no merchant: .*ECONNREFUSED/)
  expect(away.stderr).not.toMatch(/hunter2|insert|secret_/)
  const empty = await run(['--name', 'Acme'], { DATABASE_URL: new URL('/postgres', db.url).href })
  expect([empty.code, empty.stderr]).toEqual([
    1,
    'The database has no schema yet: npm run db:migrate\n',
  ])
})

test('npm run merchant finds the Postgres that npm start has started', async () => {
  mkdirSync(join(folder, 'state'))
  chmodSync(folder, 0o755) // root's Postgres runs as nobody
  const { REMIT_CACHE } = process.env
  process.env.REMIT_CACHE = join(folder, 'cache')
  const postgres = await startPostgres({ dataDir: join(folder, 'state', 'postgres') })
  try {
    await migrateDb(postgres.url)
    const { code, stdout } = await run(['--name', 'Acme'], {})
    expect(code).toBe(0)
    const own = openDb(postgres.url, { statementTimeoutMs: 5_000 })
    const call = callAs(testApp(own).app, pairIn(stdout))
    expect((await call('GET', '/api/v1/account')).body.name).toBe('Acme')
    await own.$client.end()
  } finally {
    await postgres.stop()
    if (REMIT_CACHE === undefined) delete process.env.REMIT_CACHE
    else process.env.REMIT_CACHE = REMIT_CACHE
  }
  expect((await run(['--name', 'Acme'], {})).code).toBe(1)
})
