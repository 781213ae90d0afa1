import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { newWebhookSecret } from '../../core/webhooks/signature.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { cutOffs, hangUp, post, signed } from './hostile-webhooks.ts'

const webhook = signed(newWebhookSecret(), 'evt_1')
const endpoint = testEndpoint()

async function expectToServe(url: string): Promise<void> {
  expect(await post(url, webhook)).toBe(200)
  for (const [, cutOff] of cutOffs) {
    await hangUp(url, webhook, cutOff)
    expect(await post(url, webhook)).toBe(200)
  }
}

test("the tests' endpoint keeps serving after requests that are cut off", async () => {
  await expectToServe(endpoint.url)
  expect(endpoint.requests).toHaveLength(1 + cutOffs.length)
})

/** Each server runs in a separate process, because an unhandled rejection would end the process. */
test.each([
  ["the demo's server", 'demo/servers.ts', 'startFailingServer([])'],
  ["the benchmark's server", 'bench/remit.ts', 'startMerchant(() => {})'],
])('%s keeps serving after requests that are cut off', async (_, file, call) => {
  const code = `import * as servers from './scripts/${file}'\nconsole.log(await servers.${call})`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', code]
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [url] = await once(server.stdout, 'data')
    await expectToServe(`${url}`.trim())
  } finally {
    server.kill()
  }
})
