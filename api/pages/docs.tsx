import { raw } from 'hono/html'

export function DocsPage({ root }: { root: string }) {
  return (
    <>
      {raw('<!doctype html>')}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width" />
          <title>Remit API</title>
          <link rel="icon" type="image/png" href={`${root}/favicon-32x32.png`} />
          <link rel="stylesheet" href={`${root}/swagger-ui.css`} />
          <link rel="stylesheet" href={`${root}/page.css`} />
        </head>
        <body>
          <div id="docs" />
          <noscript>
            This page needs JavaScript. <a href="/openapi.json">The same as JSON</a>
          </noscript>
          <script src={`${root}/swagger-ui-bundle.js`} />
          <script src={`${root}/page.js`} />
        </body>
      </html>
    </>
  )
}
