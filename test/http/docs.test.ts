import type { Page } from 'playwright-core'
import { testApp } from '../support/app.ts'
import { pageTest, testBrowser } from '../support/browser.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { testServer } from '../support/server.ts'

const db = testDb()
const { app } = testApp(db)
const server = testServer(app)
const open = testBrowser()

/** Opens the docs page, waits until it is rendered, and records each request that it makes. */
async function openDocs() {
  const { page, problems } = await open('about:blank')
  const requested: string[] = []
  page.on('request', (request) => requested.push(request.url()))
  await page.goto(`${server.url}/docs`)
  await page.locator('.opblock').first().waitFor()
  return { page, problems, requested }
}

async function operationIds(): Promise<string[]> {
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { operationId: string }>>
  }
  const items = Object.values(document.paths).flatMap((path) => Object.values(path))
  return items.map(({ operationId }) => operationId)
}

test('the files of /docs come from our server, may load nothing foreign, and may not be framed', async () => {
  const files = ['', '/page.js', '/page.css', '/swagger-ui.css', '/swagger-ui-bundle.js']
  for (const file of [...files, '/favicon-32x32.png']) {
    const response = await fetch(`${server.url}/docs${file}`)
    expect([file, response.status]).toEqual([file, 200])
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'self'; img-src 'self' data:;")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/unsafe|http|\*/)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  }
  for (const file of ['/package.json', '/..%2fpackage.json', '/%2e%2e/package.json', '/index.html'])
    expect([file, (await fetch(`${server.url}/docs${file}`)).status]).toEqual([file, 404])
})

pageTest(
  'every operation is shown, nothing goes wrong, and nothing comes from elsewhere',
  async () => {
    const { page, problems, requested } = await openDocs()
    const shown = await page.locator('.opblock').evaluateAll((all) => all.map(({ id }) => id))
    for (const id of await operationIds())
      expect(shown.filter((each) => each.endsWith(`-${id}`))).toHaveLength(1)
    expect(await page.locator('.info').innerText()).toContain('Idempotency-Key')
    expect(problems).toEqual([])
    expect(
      requested.filter((url) => !url.startsWith(server.url) && !url.startsWith('data:')),
    ).toEqual([])
    expect(requested).toContain(`${server.url}/openapi.json`)
  },
)

pageTest(
  'an operation can be tried out with the secret, typed where the dialog begins',
  async () => {
    const { secret } = await addMerchant(db)
    const { page, problems } = await openDocs()
    await authorize(page, secret)
    const read = await execute(page, 'retrieveAccount')
    expect(await read.locator('.response-col_status').first().innerText()).toContain('200')
    const made = await execute(page, 'createPayment')
    expect(await made.locator('.response-col_status').first().innerText()).toContain('201')
    expect(await made.innerText()).toContain('"status": "pending"')
    expect(problems).toEqual([])
  },
)

async function authorize(page: Page, secret: string): Promise<void> {
  await page.locator('.auth-wrapper .authorize').first().click()
  expect(await page.locator('.auth-container input').count()).toBe(1)
  await page.keyboard.type(secret)
  await page.keyboard.press('Enter')
  await page.locator('.close-modal').click()
}

/** Executes an operation and returns the part of the page that shows the answer. */
async function execute(page: Page, operationId: string) {
  const operation = page.locator(`[id$=-${operationId}]`)
  await operation.locator('.opblock-summary-control').click()
  await operation.locator('.execute').click()
  return operation.locator('.live-responses-table tbody')
}

pageTest('on a phone nothing is cut off', async () => {
  const { page } = await openDocs()
  await page.setViewportSize({ width: 390, height: 844 })
  const operation = page.locator('[id$=-resendWebhookDelivery]')
  await operation.locator('.opblock-summary-control').click()
  await operation.locator('.response').first().waitFor()
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
})
