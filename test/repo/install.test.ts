import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'

type Entry = Record<string, unknown>
type Packages = Record<string, Entry>

const forHere = { os: [process.platform], cpu: [process.arch] }
const locked: Packages = {
  '': { name: 'shop', version: '0.0.0' },
  'node_modules/paid': { version: '1.2.3', integrity: 'sha512-paid' },
  'node_modules/paid/node_modules/nested': { version: '0.9.0', integrity: 'sha512-nested' },
  'node_modules/@scope/tested': { version: '4.0.0', integrity: 'sha512-tested', dev: true },
  'node_modules/both': { version: '2.0.0', integrity: 'sha512-both', devOptional: true },
  'node_modules/native': { version: '1.0.0', integrity: 'sha512-n', optional: true, ...forHere },
  'node_modules/other': { version: '1.0.0', integrity: 'sha512-o', optional: true, os: ['beos'] },
  'node_modules/of-other': { version: '1.0.0', integrity: 'sha512-oo', optional: true },
  'node_modules/musl': { version: '1.0.0', optional: true, ...forHere, libc: ['neither'] },
}
const leftOut = ['', 'node_modules/other', 'node_modules/of-other', 'node_modules/musl']

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'remit-install-'))
  for (const file of ['install.mjs', 'installed.mjs', 'run.mjs'])
    cpSync(join('scripts/tools', file), join(root, 'scripts/tools', file))
  write('package.json', { type: 'module' })
  write('package-lock.json', { lockfileVersion: 3, packages: locked })
  installAll()
  write('bin/npm', NPM)
  chmodSync(join(root, 'bin/npm'), 0o755)
  write('right.json', readFileSync(join(root, HIDDEN), 'utf8'))
})
afterEach(() => rmSync(root, { recursive: true }))

const HIDDEN = 'node_modules/.package-lock.json'

/** This script stands for npm: it notes its arguments, then writes the hidden lockfile. */
const NPM = `#!/bin/sh
echo "$@" >> calls
[ ! -e ${HIDDEN} ] || echo 'a hidden lockfile was there' >> calls
[ ! -e broken ] || exit 1
sleep 0.2
cp right.json ${HIDDEN}
`

function write(path: string, content: string | object): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  const written = typeof content === 'string' ? content : JSON.stringify(content)
  writeFileSync(join(root, path), written)
}

/** Writes what npm leaves in node_modules after a right install. */
function installAll(): void {
  const entries = Object.entries(locked).filter(([path]) => !leftOut.includes(path))
  for (const [path, { version }] of entries) write(`${path}/package.json`, { version })
  write(HIDDEN, { lockfileVersion: 3, packages: Object.fromEntries(entries) })
}

/** Changes the entries of a lockfile in place. */
function changeEntries(lockfile: string, change: (packages: Packages) => void): void {
  const content = JSON.parse(readFileSync(join(root, lockfile), 'utf8'))
  change(content.packages)
  write(lockfile, content)
}

/** Runs the first step of npm start. Resolves to its exit code and each call of npm. */
async function install() {
  const { npm_execpath: _, ...env } = process.env
  const PATH = `${join(root, 'bin')}:${env.PATH}`
  const code = "await (await import('./scripts/tools/install.mjs')).install()"
  const args = ['--input-type=module', '--eval', code]
  const child = spawn(process.execPath, args, { cwd: root, env: { ...env, PATH } })
  const [[exitCode], printed] = await Promise.all([once(child, 'exit'), text(child.stdout)])
  const calls = existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8') : ''
  return { exitCode, printed, calls: calls.trim().split('\n').filter(Boolean) }
}

test('npm ci does not run if the installed packages are right', async () => {
  expect(await install()).toEqual({ exitCode: 0, printed: '', calls: [] })
})

test('the packages that npm installed in this checkout match the lockfile', () => {
  const code = "console.log((await import('./scripts/tools/installed.mjs')).findDifference('.'))"
  const args = ['--input-type=module', '--eval', code]
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('undefined\n')
})

const remove = (path: string) => rmSync(join(root, path), { recursive: true })
const forget = (path: string) => changeEntries(HIDDEN, (packages) => delete packages[path])

const wrongInstalls: Record<string, () => void> = {
  'no node_modules': () => remove('node_modules'),
  'no hidden lockfile, as after an npm ci that was killed': () => remove(HIDDEN),
  'half a hidden lockfile': () => write(HIDDEN, '{"packages": {"node_modules/pa'),
  'a hidden lockfile that lists nothing': () => write(HIDDEN, { packages: {} }),
  'a lockfile that asks for another version': () =>
    changeEntries('package-lock.json', (packages) => {
      packages['node_modules/paid'] = { version: '1.2.4', integrity: 'sha512-newer' }
    }),
  'a lockfile that asks for other bytes of the same version': () =>
    changeEntries('package-lock.json', (packages) => {
      packages['node_modules/paid'] = { version: '1.2.3', integrity: 'sha512-republished' }
    }),
  'a lockfile that asks for one more package': () =>
    changeEntries('package-lock.json', (packages) => {
      packages['node_modules/more'] = { version: '1.0.0', integrity: 'sha512-more' }
    }),
  'no development packages, as after --omit=dev': () => forget('node_modules/@scope/tested'),
  'no package that is both for development and optional': () => forget('node_modules/both'),
  'no native package of this machine, as after --omit=optional': () =>
    forget('node_modules/native'),
  'a package that was removed by hand': () => remove('node_modules/paid'),
  'a nested package that was removed by hand': () => remove('node_modules/paid/node_modules'),
  'a package that was emptied by hand': () => remove('node_modules/@scope/tested/package.json'),
  'another version, installed by npm': () => {
    write('node_modules/paid/package.json', { version: '1.1.0' })
    changeEntries(HIDDEN, (packages) => {
      packages['node_modules/paid'] = { version: '1.1.0', integrity: 'sha512-older' }
    })
  },
  'another version, left by an npm install that was killed': () =>
    write('node_modules/paid/package.json', { version: '1.1.0' }),
  'a package that the lockfile does not list': () => {
    write('node_modules/added/package.json', { version: '1.0.0' })
    changeEntries(HIDDEN, (packages) => {
      packages['node_modules/added'] = { version: '1.0.0', integrity: 'sha512-added' }
    })
  },
}

test.each(Object.entries(wrongInstalls))('npm ci runs once after %s', async (_, spoil) => {
  spoil()
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  const { exitCode, printed, calls } = await install()
  expect({ exitCode, calls }).toEqual({ exitCode: 0, calls: [expect.stringMatching(/^ci /)] })
  expect(calls[0]).toContain('--include=dev --include=optional')
  expect(printed).toMatch(/^Installing packages with npm ci: node_modules\S* is not as in /)
})

test('two starts at once run npm ci once', async () => {
  remove(HIDDEN)
  const both = await Promise.all([install(), install()])
  expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0])
  expect(both.at(-1)?.calls).toHaveLength(1)
})

test('an npm ci that fails ends the start with exit code 1, and the next start runs it again', async () => {
  forget('node_modules/@scope/tested')
  write('broken', '')
  expect((await install()).exitCode).toBe(1)
  remove('broken')
  expect((await install()).calls).toHaveLength(2)
  expect((await install()).calls).toHaveLength(2)
})
