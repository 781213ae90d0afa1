import { newWebhookSecret, signatureHeaders } from '../core/signature.ts'
import { testApp } from './app.ts'
import { pageTest, testBrowser } from './browser.ts'
import { testDb } from './db.ts'
import { testServer } from './server.ts'

const db = testDb()
const open = testBrowser()
const secret = newWebhookSecret()
const server = testServer(testApp(db, { receiverSecret: secret }).app)
let url: string
beforeAll(() => {
  url = `${server.url}/dev/receiver`
})

function post(body: string, signedWith: string, path = '') {
  const sentAt = new Date()
  const headers = signatureHeaders({ eventId: 'evt_1', body, secret: signedWith, sentAt })
  return fetch(url + path, { method: 'POST', headers, body })
}

test('the receiver answers by whether both signatures are good, or as its path says', async () => {
  expect((await post('{"type":"payment.created"}', secret)).status).toBe(200)
  const forged = await post('{"type":"payment.succeeded"}', newWebhookSecret())
  expect(forged.status).toBe(400)
  expect(await forged.json()).toEqual({ verified: false })
  expect((await post('{}', secret, '/503')).status).toBe(503)
})

test('without its secret, as in production, there is no receiver', async () => {
  const { app } = testApp(db)
  expect((await app.request('/dev/receiver')).status).toBe(404)
})

pageTest('the page shows the last webhooks and their signatures, and runs nothing', async () => {
  await post('{"type":"payment.succeeded","data":"<script>alert(1)</script>"}', secret)
  await post('{"type":"<img src=x onerror=alert(1)>"}', newWebhookSecret())
  const { page, problems } = await open(url)
  const rows = page.locator('tbody tr')
  expect(await rows.nth(0).locator('strong').innerText()).toBe('<img src=x onerror=alert(1)>')
  expect(await rows.nth(0).locator('.bad').allInnerTexts()).toEqual([
    '✗ webhook-signature',
    '✗ x-webhook-signature',
  ])
  expect(await rows.nth(1).locator('.good').allInnerTexts()).toEqual([
    '✓ webhook-signature',
    '✓ x-webhook-signature',
  ])
  await rows.nth(1).locator('a').click()
  const opened = rows.nth(1).locator('pre')
  expect(await opened.innerText()).toContain('<script>alert(1)</script>')
  expect(problems).toEqual([])
})
