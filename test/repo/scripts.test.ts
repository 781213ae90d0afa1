import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { cached } from '../../scripts/tools/cache.ts'
import { commandOf, waitUntilReady } from '../../scripts/tools/processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'remit-scripts-'))
const { REMIT_CACHE } = process.env

beforeAll(() => {
  process.env.REMIT_CACHE = join(folder, 'cache')
})
afterAll(() => {
  if (REMIT_CACHE === undefined) delete process.env.REMIT_CACHE
  else process.env.REMIT_CACHE = REMIT_CACHE
  rmSync(folder, { recursive: true })
})

test('two builds of the same tool at once both return the build that was complete first', async () => {
  const build = (text: string, ms: number) =>
    cached('tool', async (to) => {
      await setTimeout(ms)
      writeFileSync(join(to, 'it'), text)
    })
  const [slow, fast] = await Promise.all([build('slow', 200), build('fast', 20)])
  expect(slow).toBe(fast)
  expect(readFileSync(join(slow, 'it'), 'utf8')).toBe('fast')
  expect(readdirSync(join(folder, 'cache'))).toHaveLength(1)
})

test('a build that fails leaves nothing that looks finished', async () => {
  const build = async (to: string) => {
    writeFileSync(join(to, 'half'), '')
    throw new Error('no network')
  }
  await expect(cached('broken', build)).rejects.toThrow('no network')
  expect(readdirSync(join(folder, 'cache')).filter((name) => /broken/.test(name))).toEqual([])
})

test('a guarded process ends with the process that started it, even after kill -9', async () => {
  const pidFile = join(folder, 'pid')
  const logFile = join(folder, 'log')
  const command = ['sh', '-c', `echo $$ > ${pidFile}; exec sleep 60`]
  const parent = spawn(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '-e',
    `
    import { spawnGuarded } from './scripts/tools/processes.ts'
    spawnGuarded(${JSON.stringify(command)}, { logFile: ${JSON.stringify(logFile)} })
  `,
  ])
  const isRunning = () => commandOf(Number(readFileSync(pidFile, 'utf8'))).includes('sleep 60')
  const until = (running: boolean) =>
    waitUntilReady({ name: 'sleep', limitMs: 20_000 }, async () => {
      if (isRunning() !== running) throw new Error(`running: ${!running}`)
    })
  await until(true)
  parent.kill('SIGKILL')
  await until(false)
})
