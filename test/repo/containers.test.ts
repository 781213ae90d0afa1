import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { devServerArgs } from '../../scripts/tools/temporal.ts'
import {
  compose,
  composeText,
  dockerfile,
  imageEnv,
  instructions,
  serviceOf,
} from '../support/compose.ts'

const services = Object.entries(compose.services)
const ours = ['api', 'worker', 'migrate']
const once = ['migrate', 'temporal-schema', 'temporal-namespace']
const longRunning = services.filter(([name]) => !once.includes(name))

/** Matches an image with an exact version, never with a tag that moves. */
const pinned = /^[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?$/

test.each(services)('the image of %s is pinned', (_, { image }) => {
  expect(image).toMatch(pinned)
})

test('each stage of the Dockerfile is built from the same pinned image', () => {
  const from = instructions('FROM').map((line) => line.split(' ')[0])
  expect(from.length).toBeGreaterThan(1)
  for (const image of from) expect(image).toMatch(pinned)
  expect(new Set(from).size).toBe(1)
  expect(composeText + dockerfile).not.toContain('latest')
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const name of ours) expect(serviceOf(name).image).toBe(`remit:${version}`)
})

test('the image runs as the user node, in exec form, with its workflows bundled', () => {
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
  expect(last.match(/^USER (.*)$/m)?.[1]).toBe('node')
  expect(last.indexOf('USER node')).toBeLessThan(last.indexOf('CMD'))
  expect(last).toMatch(/^CMD \["node", "--import", "tsx", "api\/main\.ts"\]$/m)
  expect(instructions('RUN')).toEqual(
    expect.arrayContaining(['npm ci --omit=dev --ignore-scripts', 'npm run build:workflows']),
  )
  expect(imageEnv()).toMatchObject({
    NODE_ENV: 'production',
    WORKFLOW_BUNDLE: '/app/build/workflows.js', // the script writes here, under the WORKDIR
  })
  expect(instructions('WORKDIR')).toEqual(['/app', '/app'])
})

test.each(ours)('%s is read-only, has no capabilities and gets its signals', (name) => {
  const service = serviceOf(name)
  expect(service).toMatchObject({ init: true, read_only: true, cap_drop: ['ALL'] })
  expect(service.command?.slice(0, 3)).toEqual(['node', '--import', 'tsx'])
  expect(statSync(service.command?.[3] ?? '').isFile()).toBe(true)
})

test('the API and the worker are given more time to stop than they need', () => {
  const seconds = (text = '0s') => Number.parseInt(text, 10) * (text.endsWith('m') ? 60 : 1)
  const [apiMs] = readFileSync('api/main.ts', 'utf8').match(/(?<=STOP_LIMIT_MS = )[\d_]+/) ?? []
  const [grace] = readFileSync('worker/worker.ts', 'utf8').match(/(?<=GRACE = ')\d+/) ?? []
  expect(Number(apiMs?.replace('_', ''))).toBeGreaterThan(0)
  expect(Number(grace)).toBeGreaterThan(0)
  expect(seconds(serviceOf('api').stop_grace_period) * 1000).toBeGreaterThan(
    Number(apiMs?.replace('_', '')),
  )
  expect(seconds(serviceOf('worker').stop_grace_period)).toBeGreaterThan(Number(grace))
})

/** Knows Node's variable, and each `X_FILE`, which config.ts reads in place of the variable X. */
const known = (name: string) =>
  name === 'UV_THREADPOOL_SIZE' ||
  new RegExp(`^    ${name.replace(/_FILE$/, '')}:`, 'm').test(readFileSync('config.ts', 'utf8'))

test('each variable that our services are given is one of config.ts', () => {
  const given = ours.flatMap((name) => Object.keys(serviceOf(name).environment ?? {}))
  const all = [...given, ...Object.keys(imageEnv())]
  expect(all.length).toBeGreaterThan(10)
  expect(all.filter((name) => !known(name))).toEqual([])
})

test.each(longRunning)(
  '%s is started again after it ends, and its health is checked',
  (_, service) => {
    expect(service.restart).toBe('unless-stopped')
    expect(service.healthcheck?.test[0]).toBe('CMD')
    expect(service.healthcheck?.test.length).toBeGreaterThan(1)
    for (const word of service.healthcheck?.test ?? []) expect(word).toEqual(expect.any(String))
  },
)

test('each service waits until the services that it needs have completed or are healthy', () => {
  const waits = services.flatMap(([name, { depends_on = {} }]) =>
    Object.entries(depends_on).map(([on, { condition }]) => ({ name, on, condition })),
  )
  for (const { on, condition } of waits)
    expect({ on, condition }).toEqual({
      on,
      condition: once.includes(on) ? 'service_completed_successfully' : 'service_healthy',
    })
  const edges = waits.map(({ name, on }) => `${name} < ${on}`)
  expect(edges).toEqual(
    expect.arrayContaining([
      'migrate < postgres',
      'api < migrate',
      'worker < migrate',
      'worker < temporal-namespace',
      'temporal-namespace < temporal',
      'temporal < temporal-schema',
      'temporal-schema < temporal-postgres',
    ]),
  )
  expect(edges).not.toContain('api < temporal') // the API takes payments without Temporal
})

test('a secret is a file that only the services that need it get, and no variable holds one', () => {
  for (const [name, { file }] of Object.entries(compose.secrets))
    expect(file).toBe(`./deploy/secrets/${name}`)
  for (const [, { secrets = [], environment = {}, entrypoint = [] }] of services) {
    const used = JSON.stringify([environment, entrypoint]).match(/\/run\/secrets\/\w+/g) ?? []
    expect(used.map((path) => path.split('/').at(-1)).sort()).toEqual([...secrets].sort())
    const { PUBLIC_URL: _, ...rest } = environment // a URL that is no secret
    const plain = Object.entries(rest).filter(([name]) => /PASSWORD|PWD|KEY|URL/.test(name))
    for (const [name, value] of plain) {
      expect(name).toMatch(/_FILE$/)
      expect(value).toMatch(/^\/run\/secrets\//)
    }
  }
  expect(readFileSync('.gitignore', 'utf8')).toContain('deploy/secrets/')
  expect(readFileSync('.dockerignore', 'utf8').split('\n')).toContain('deploy')
  // No service gets the folder of the secrets.
  const mounted = services.flatMap(([, { volumes = [] }]) => volumes)
  for (const volume of mounted.filter((each) => each.startsWith('.')))
    expect(volume).toBe('./deploy/temporal:/deploy:ro')
})

test('make-secrets.sh makes each secret once, and all of them differ', () => {
  const folder = mkdtempSync(join(tmpdir(), 'remit-secrets-'))
  cpSync('deploy/make-secrets.sh', join(folder, 'make-secrets.sh'))
  const make = () => {
    execFileSync('sh', [join(folder, 'make-secrets.sh')])
    const names = readdirSync(join(folder, 'secrets')).sort()
    return Object.fromEntries(
      names.map((name) => [name, readFileSync(join(folder, 'secrets', name), 'utf8')]),
    )
  }
  const made = make()
  expect(make()).toEqual(made)
  expect(Object.keys(made)).toEqual(Object.keys(compose.secrets).sort())
  expect(new Set(Object.values(made)).size).toBe(4)
  expect(Buffer.from(made.encryption_key ?? '', 'base64')).toHaveLength(32)
  const { username, password, host, pathname } = new URL(made.database_url ?? '')
  const postgres = serviceOf('postgres').environment
  expect({ username, password, host, pathname }).toEqual({
    username: postgres?.POSTGRES_USER,
    password: made.postgres_password,
    host: 'postgres:5432',
    pathname: `/${postgres?.POSTGRES_DB}`,
  })
  expect(password).toMatch(/^[0-9a-f]{48}$/)
  expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700)
  rmSync(folder, { recursive: true })
})

test('only the API and the UI are published, by default to this machine alone', () => {
  const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]))
  expect(published).toEqual([
    ['api', `\${BIND_ADDRESS:-127.0.0.1}:8000:8000`],
    ['temporal-ui', '127.0.0.1:8080:8080'],
  ])
})

test('Temporal is set up like the one that npm start runs, but with 512 history shards', () => {
  const { environment } = serviceOf('temporal')
  expect(environment?.NUM_HISTORY_SHARDS).toBe(512)
  const path = String(environment?.DYNAMIC_CONFIG_FILE_PATH).replace('/deploy', 'deploy/temporal')
  const values = parse(readFileSync(path, 'utf8')) as Record<string, { value: number }[]>
  const flags = Object.entries(values).map(([name, [first]]) => `${name}=${first?.value}`)
  expect(devServerArgs).toEqual(expect.arrayContaining(flags))
  expect(flags).toHaveLength(3)
  for (const name of ['temporal-schema', 'temporal-namespace']) {
    const script = serviceOf(name).entrypoint?.[1]?.replace('/deploy', 'deploy/temporal') ?? ''
    expect(readFileSync(script, 'utf8')).toMatch(/^#!\/bin\/sh\n(#.*\n)+set -eu\n/)
  }
})
