import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { loadConfig } from '../../config.ts'

const folder = mkdtempSync(join(tmpdir(), 'remit-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

const key = Buffer.alloc(32, 1).toString('base64')
const env = { DATABASE_URL: 'postgres://remit@localhost/remit', REMIT_ENCRYPTION_KEY: key }

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test('a secret may come from a file, with or without a line break at the end', () => {
  const config = loadConfig({
    DATABASE_URL_FILE: file('url', 'postgres://remit:hunter2@db/remit\n'),
    REMIT_ENCRYPTION_KEY: '', // an empty variable counts as not set
    REMIT_ENCRYPTION_KEY_FILE: file('key', `${key}\r\n`),
    TEMPORAL_API_KEY_FILE: file('api', 'a key'),
  })
  expect(config).toMatchObject({
    DATABASE_URL: 'postgres://remit:hunter2@db/remit',
    REMIT_ENCRYPTION_KEY: [Buffer.alloc(32, 1)],
    TEMPORAL_API_KEY: 'a key',
  })
})

test.each([
  ['given twice', { ...env, DATABASE_URL_FILE: 'x' }, /Both DATABASE_URL and DATABASE_URL_FILE/],
  ['not there', { ...env, TEMPORAL_API_KEY_FILE: '/no/such' }, /TEMPORAL_API_KEY_FILE.*ENOENT/],
  ['empty', { ...env, DATABASE_URL: '', DATABASE_URL_FILE: file('empty', '\n') }, /DATABASE_URL/],
  [
    'no key',
    { ...env, REMIT_ENCRYPTION_KEY: '', REMIT_ENCRYPTION_KEY_FILE: file('k', 'c2hvcnQ=') },
    /32 bytes/,
  ],
])('a secret that is %s stops the process', (_, given, message) => {
  expect(() => loadConfig(given)).toThrow(message)
})

test.each([
  ['PORT', 'abc', 'The value must be a number.'],
  ['PORT', '70000', 'The number must be at most 65535.'],
  ['NODE_ENV', 'prod', 'The value must be one of "development", "test", "production".'],
  ['DATABASE_URL', 'nonsense', 'The value must be a URL.'],
  ['PUBLIC_URL', 'https://a.example?x', 'The URL must not have a query'],
  [
    'PUBLIC_URL',
    'ftp://a.example',
    'The value must be a URL that begins with http:// or https://.',
  ],
  ['SANDBOX_DELAY_MS', 'soon', 'The value must be a number of milliseconds, or a range'],
])('loadConfig refuses %s=%s with a sentence that says the rule', (name, value, rule) => {
  const load = () => loadConfig({ ...env, [name]: value })
  expect(load).toThrow(rule)
  expect(load).toThrow(`at ${name}`)
})

test('EVENT_RETENTION_DAYS is a whole number of days, 90 by default', () => {
  expect(loadConfig(env).EVENT_RETENTION_DAYS).toBe(90)
  expect(loadConfig({ ...env, EVENT_RETENTION_DAYS: '1' }).EVENT_RETENTION_DAYS).toBe(1)
  for (const value of ['0', '-1', '1.5', '90d', '36501'])
    expect(() => loadConfig({ ...env, EVENT_RETENTION_DAYS: value })).toThrow(
      'EVENT_RETENTION_DAYS',
    )
})

test('each variable that names the file of a secret is documented', () => {
  const documented = readFileSync('docs/configuration.md', 'utf8')
  for (const name of ['DATABASE_URL_FILE', 'REMIT_ENCRYPTION_KEY_FILE', 'TEMPORAL_API_KEY_FILE'])
    expect(documented).toContain(`\`${name}\``)
})

test('a variable for development only is refused in production', () => {
  const production = { ...env, NODE_ENV: 'production' }
  expect(loadConfig(production).NODE_ENV).toBe('production')
  for (const name of ['WEBHOOK_ALLOW_HTTP', 'WEBHOOK_ALLOW_PRIVATE_NETWORKS'])
    expect(() => loadConfig({ ...production, [name]: 'true' })).toThrow(name)
})

test('a variable that one process needs in production is not required of other processes', () => {
  const production = { ...env, NODE_ENV: 'production' }
  expect(() => loadConfig(production, ['PUBLIC_URL'])).toThrow(/production.*PUBLIC_URL/)
  expect(() => loadConfig({ ...production, PUBLIC_URL: '' }, ['PUBLIC_URL'])).toThrow('PUBLIC_URL')
  expect(loadConfig({ ...production, PUBLIC_URL: 'https://pay.example' }, ['PUBLIC_URL'])).toEqual(
    expect.objectContaining({ PUBLIC_URL: 'https://pay.example' }),
  )
  expect(loadConfig(env, ['PUBLIC_URL']).PUBLIC_URL).toBeUndefined()
  expect(loadConfig(production).PUBLIC_URL).toBeUndefined()
})

test('the API in production exits with code 1 and says that it needs PUBLIC_URL', async () => {
  const { PATH } = process.env
  const args = ['--import', 'tsx', 'api/main.ts']
  const child = spawn(process.execPath, args, { env: { PATH, ...env, NODE_ENV: 'production' } })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  expect([code, said.trim()]).toEqual([
    1,
    'Invalid environment\n✖ Needed in production: PUBLIC_URL',
  ])
})

test.each([
  ['https://pay.example/', 'https://pay.example'],
  ['http://localhost:8000', 'http://localhost:8000'],
  ['https://shop.example/remit//', 'https://shop.example/remit'],
])('a public URL may be %s', (given, taken) => {
  expect(loadConfig({ ...env, PUBLIC_URL: given }).PUBLIC_URL).toBe(taken)
})

test.each([
  'pay.example',
  'ftp://pay.example',
  'https://pay.example/?a=1',
  'https://pay.example/#a',
])('a public URL cannot be %s', (given) => {
  expect(() => loadConfig({ ...env, PUBLIC_URL: given })).toThrow('PUBLIC_URL')
})
