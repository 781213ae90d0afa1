import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { newWebhookSecret } from '../../core/webhooks/signature.ts'
import { tryConnect, tryPort, waitUntilReady } from '../../scripts/tools/processes.ts'
import { until } from '../support/stack.ts'
import {
  cutOffs,
  forgeries,
  hangUp,
  notEvents,
  post,
  rightBody,
  signed,
  staleWebhooks,
} from './hostile-webhooks.ts'

const secret = newWebhookSecret()
const PORT = 4242 // the port in the quickstart, replaced here by a free one

type Fence = { page: string; language: string; code: string }

const docs = readdirSync('docs', { recursive: true, encoding: 'utf8' })
const pages = ['README.md', ...docs.map((name) => `docs/${name}`)]
const fences = pages.filter((page) => page.endsWith('.md')).flatMap(fencesOf)

function fencesOf(page: string): Fence[] {
  const found = readFileSync(page, 'utf8').matchAll(/^ *```([^\n]*)\n(.*?)^ *```$/gms)
  return [...found].map(([, language = '', code = '']) => ({ page, language, code }))
}

/** Wraps a snippet in a server such as a merchant would write. */
function serverAround(snippet: string, isVerified: string): string {
  const [imports, code] = [snippet.match(/^import .*$/gm), snippet.replace(/^import .*$/gm, '')]
  return `
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
${imports?.join('\n')}

const secret = process.env.WEBHOOK_SECRET
createServer(async (request, response) => {
  const rawBody = await buffer(request).catch(() => null)
  if (!rawBody) return response.destroy()
  ${code}
  response.writeHead(${isVerified} ? 200 : 400).end()
}).listen(${PORT})`
}

/** `runs` lists the samples in the order of the pages. A new sample needs an entry here. */
const runs = [
  { name: "the quickstart's handler", page: 'docs/quickstart.md', wrap: (code: string) => code },
  {
    name: 'the sample with Standard Webhooks',
    page: 'docs/webhooks.md',
    wrap: (code: string) => serverAround(code, 'event'),
  },
  {
    name: 'the sample with HMAC-SHA256',
    page: 'docs/webhooks.md',
    wrap: (code: string) => serverAround(code, 'isOurs'),
  },
]
const samples = fences.filter(({ language }) => language === 'js')

test('every sample in README.md and docs is run by a test', () => {
  expect(samples.map(({ page }) => page)).toEqual(runs.map(({ page }) => page))
  const languages = new Set(fences.map(({ language }) => language))
  // `test/repo/change-a-workflow.test.ts` runs the files that the `ts` fences show.
  expect([...languages].sort()).toEqual(['', 'js', 'json', 'sh', 'ts'])
})

describe.each(runs.map((run, index) => [run.name, run, samples[index]?.code ?? ''] as const))(
  '%s',
  (name, { wrap }, code) => {
    const server = testSample(() => wrap(code))
    const [isHandler, isHmac] = [name.includes('handler'), name.includes('HMAC')]

    /** The process that got the hostile request must still be the process that answers. */
    async function expectToServe(): Promise<void> {
      expect(await post(server.url, signed(secret, `evt_${++sent}`))).toBe(200)
      expect(server.child?.exitCode).toBeNull()
    }
    let sent = 0

    test.each(forgeries)(`${name} answers 400 to %s and keeps serving`, async (_, forge) => {
      expect(await post(server.url, forge(signed(secret, 'evt_forged')))).toBe(400)
      await expectToServe()
    })

    test(`${name} keeps serving after a signature that is sent twice`, async () => {
      const { headers, body } = signed(secret, 'evt_twice')
      const twice = Object.entries(headers).map(([header, value]) => [
        header,
        header.endsWith('signature') ? [value, value] : value,
      ])
      const status = await post(server.url, { headers: Object.fromEntries(twice), body })
      expect(status).toBe(isHmac ? 400 : 200) // Standard Webhooks takes a list of signatures
      await expectToServe()
    })

    test.each(staleWebhooks)(`${name} keeps serving after a webhook %s`, async (_, stale) => {
      expect(await post(server.url, stale(secret))).toBe(isHmac ? 200 : 400)
      await expectToServe()
    })

    test.each(notEvents)(`${name} keeps serving after the signed body '%s'`, async (body) => {
      const status = await post(server.url, signed(secret, 'evt_1', body))
      expect(isHandler ? [400] : [200, 400]).toContain(status)
      await expectToServe()
    })

    test.each(cutOffs)(`${name} keeps serving after %s`, async (_, cutOff) => {
      await hangUp(server.url, signed(secret, 'evt_cut_off'), cutOff)
      await expectToServe()
    })

    if (isHandler)
      test(`${name} does the work once for an event that comes twice`, async () => {
        const test = JSON.stringify({ ...JSON.parse(rightBody('evt_test')), test: true })
        for (const webhook of [signed(secret, 'evt_test', test), ...twice('evt_same')])
          expect(await post(server.url, webhook)).toBe(200)
        await expectToServe()
        const last = `payment.succeeded pay_of_evt_${sent}`
        const lines = await until(async () => server.lines.includes(last) && server.lines, last)
        expect(lines.filter((line) => /evt_(same|test|forged|late|cut_off)/.test(line))).toEqual([
          'payment.succeeded pay_of_evt_same',
        ])
      })
  },
)

function twice(id: string) {
  return [signed(secret, id), signed(secret, id)]
}

/**
 * Runs a sample as a merchant does: saved as handler.mjs, beside the packages that the sample
 * imports.
 */
function testSample(code: () => string) {
  const sample = { url: '', lines: [] as string[], child: undefined as ChildProcess | undefined }
  const folder = mkdtempSync(join(tmpdir(), 'remit-sample-'))

  beforeAll(async () => {
    const port = await tryPort(0)
    sample.url = `http://127.0.0.1:${port}/`
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    writeFileSync(join(folder, 'handler.mjs'), code().replaceAll(`${PORT}`, `${port}`))
    const env = { ...process.env, WEBHOOK_SECRET: secret }
    const stdio = ['ignore', 'pipe', 'inherit'] as const
    sample.child = spawn(process.execPath, ['handler.mjs'], { cwd: folder, env, stdio: [...stdio] })
    sample.child.stdout?.on('data', (data) => {
      sample.lines.push(...`${data}`.trim().split('\n'))
    })
    await waitUntilReady({ name: 'The sample', limitMs: 20_000 }, () =>
      tryConnect('127.0.0.1', port),
    )
  })
  afterAll(async () => {
    sample.child?.kill()
    rmSync(folder, { recursive: true })
  })
  return sample
}
