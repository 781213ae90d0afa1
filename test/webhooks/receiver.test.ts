import { newWebhookSecret, signatureHeaders } from '../../core/webhooks/signature.ts'
import { testApp } from '../support/app.ts'
import { pageTest, testBrowser } from '../support/browser.ts'
import { testDb } from '../support/db.ts'
import { keptLog } from '../support/log.ts'
import { testServer } from '../support/server.ts'
import * as hostile from './hostile-webhooks.ts'

const db = testDb()
const open = testBrowser()
const secret = newWebhookSecret()
const { log, lines } = keptLog()
const server = testServer(testApp(db, { receiverSecret: secret, log }).app)
let url: string
beforeAll(() => {
  url = `${server.url}/dev/receiver`
})

function post(body: string, signedWith: string, path = '') {
  const sentAt = new Date()
  const headers = signatureHeaders({ eventId: 'evt_1', body, secret: signedWith, sentAt })
  return fetch(url + path, { method: 'POST', headers, body })
}

test('the receiver answers by the signatures, or with the status in its path', async () => {
  expect((await post('{"type":"payment.created"}', secret)).status).toBe(200)
  const forged = await post('{"type":"payment.succeeded"}', newWebhookSecret())
  expect(forged.status).toBe(400)
  expect(await forged.json()).toEqual({ verified: false })
  expect((await post('{}', secret, '/503')).status).toBe(503)
})

const ERROR = 50 // pino's number for the level

async function expectToServe(): Promise<void> {
  expect(await hostile.post(url, hostile.signed(secret, 'evt_right'))).toBe(200)
  expect(lines.filter(({ level }) => level >= ERROR)).toEqual([])
}

test.each(hostile.forgeries)('the receiver answers 400 to %s', async (_, forge) => {
  expect(await hostile.post(url, forge(hostile.signed(secret, 'evt_forged')))).toBe(400)
  await expectToServe()
})

test.each(hostile.staleWebhooks)('the receiver answers 400 to a webhook %s', async (_, stale) => {
  expect(await hostile.post(url, stale(secret))).toBe(400)
  await expectToServe()
})

test.each(hostile.cutOffs)('the receiver keeps serving after %s', async (_, cutOff) => {
  await hostile.hangUp(url, hostile.signed(secret, 'evt_cut_off'), cutOff)
  await expectToServe()
})

test('there is no receiver without a receiver secret, as in production', async () => {
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
