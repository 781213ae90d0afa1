import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { newRouter } from '../http/router.ts'
import { DocsPage } from '../pages/docs.tsx'

const ROOT = '/docs'

/** The page loads from this server only, sends to this server only, and runs only files of ours. */
const POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
].join('; ')

const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))

const types = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' }

/** The page loads these files of Swagger UI. */
const files = {
  'swagger-ui.css': types.css,
  'swagger-ui-bundle.js': types.js,
  'favicon-32x32.png': 'image/png',
}

/** Serves the API's document as a page, where readers can try out each operation. */
export function docsRoutes() {
  const routes = newRouter()
  routes.use(async (c, next) => {
    await next()
    c.header('Content-Security-Policy', POLICY)
    c.header('X-Content-Type-Options', 'nosniff')
    c.header('Referrer-Policy', 'no-referrer')
  })
  routes.get('/', (c) => c.html(<DocsPage root={ROOT} />))
  routes.get('/page.css', (c) => c.body(STYLE, 200, { 'Content-Type': types.css }))
  routes.get('/page.js', (c) => c.body(SCRIPT, 200, { 'Content-Type': types.js }))
  for (const [file, type] of Object.entries(files)) {
    const headers = { 'Content-Type': type, 'Cache-Control': 'public, max-age=3600' }
    routes.get(`/${file}`, async (c) =>
      c.body(new Uint8Array(await readFile(join(folder, file))), 200, headers),
    )
  }
  return routes
}

/**
 * The page has two logins, and this script leaves only the login with a single box, `bearer`. The
 * dialog focuses its last box. With both logins, a reader who looks for "the secret" would type the
 * secret into half of the other login.
 */
const SCRIPT = `
const operationsOf = ({ paths }) => Object.values(paths).flatMap((path) => Object.values(path))

function withBearerAlone(document) {
  document.components.securitySchemes = { bearer: document.components.securitySchemes.bearer }
  for (const operation of operationsOf(document)) operation.security = [{ bearer: [] }]
  return document
}

const onceParsed = (update) => (document) => update(withBearerAlone(document))

SwaggerUIBundle({
  plugins: [{ statePlugins: { spec: { wrapActions: { updateJsonSpec: onceParsed } } } }],
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

/**
 * Hides Swagger UI's column of OpenAPI links. Only code generators need the column, and a phone
 * cuts it off.
 */
const STYLE = `
body { margin: 0 }
.swagger-ui .response-col_links { display: none }
.swagger-ui .markdown, .swagger-ui .highlight-code { overflow-wrap: anywhere }
@media (max-width: 40rem) {
  .swagger-ui .wrapper { padding: 0 10px }
  .swagger-ui .opblock-section { overflow-x: auto }
}
`
