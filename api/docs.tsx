import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { DocsPage } from './pages/docs.tsx'
import { newRouter } from './router.ts'

const ROOT = '/docs'

/** Nothing comes from elsewhere, goes elsewhere, or runs that is not a file of ours. */
const POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
].join('; ')

const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))

/** Those of Swagger UI's files that the page loads. */
const types: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

/** The API's document as a page to read, where each operation can be tried out. */
export function docsRoutes() {
  return newRouter()
    .use(async (c, next) => {
      await next()
      c.header('Content-Security-Policy', POLICY)
      c.header('X-Content-Type-Options', 'nosniff')
      c.header('Referrer-Policy', 'no-referrer')
    })
    .get('/', (c) => c.html(<DocsPage root={ROOT} />))
    .get('/page.css', (c) => c.body(STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' }))
    .get('/page.js', (c) =>
      c.body(SCRIPT, 200, { 'Content-Type': 'text/javascript; charset=utf-8' }),
    )
    .get(`/:file{${Object.keys(types).join('|').replaceAll('.', '\\.')}}`, async (c) => {
      const file = c.req.param('file')
      const headers = {
        'Content-Type': types[file] ?? '',
        'Cache-Control': 'public, max-age=3600',
      }
      return c.body(new Uint8Array(await readFile(join(folder, file))), 200, headers)
    })
}

const SCRIPT = `
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
})
`

const STYLE = `
body { margin: 0 }
.swagger-ui .response-col_links { display: none }
.swagger-ui .markdown, .swagger-ui .highlight-code { overflow-wrap: anywhere }
@media (max-width: 40rem) {
  .swagger-ui .wrapper { padding: 0 10px }
  .swagger-ui .opblock-section { overflow-x: auto }
}
`
