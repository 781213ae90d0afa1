import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking']
const names = ['chromium', 'chromium-browser', 'google-chrome']

/** CHROMIUM, or the first that is on the PATH; npm has none to install. */
function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  return [process.env.CHROMIUM ?? '', ...candidates].find((path) => path && existsSync(path))
}

const executablePath = findChromium()

/** A test of what a page shows. Skipped, and said to be, on a machine without the browser. */
export const pageTest = executablePath ? test : test.skip

/** A real browser. `open` gives a page, and what went wrong on it: errors, and blocked content. */
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
