import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking']
const names = ['chromium', 'chromium-browser', 'google-chrome']

/** Returns CHROMIUM, or the first browser on the PATH. npm has no browser to install. */
function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  return [process.env.CHROMIUM ?? '', ...candidates].find((path) => path && existsSync(path))
}

const executablePath = findChromium()

/** Tests what a page shows. Jest reports the test as skipped on a machine without the browser. */
export const pageTest = executablePath ? test : test.skip

/**
 * Starts a real browser. The returned function opens a page and lists its problems: errors, and
 * blocked content.
 */
export function testBrowser() {
  let browser: Browser | undefined
  beforeAll(async () => {
    if (executablePath) browser = await chromium.launch({ executablePath, args })
  })
  afterAll(() => browser?.close())

  return async (url: string): Promise<{ page: Page; problems: string[] }> => {
    if (!browser) throw new Error('There is no browser')
    const page = await browser.newPage()
    const problems: string[] = []
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(url)
    return { page, problems }
  }
}
