import { raw } from 'hono/html'
import type { PropsWithChildren } from 'hono/jsx'

type Props = PropsWithChildren<{ title: string; stylesheet: string; refreshSeconds?: number }>

export function Layout({ title, stylesheet, refreshSeconds, children }: Props) {
  return (
    <>
      {raw('<!doctype html>')}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width" />
          {refreshSeconds && <meta http-equiv="refresh" content={String(refreshSeconds)} />}
          <title>{title}</title>
          <link rel="stylesheet" href={stylesheet} />
        </head>
        <body>
          <h1>{title}</h1>
          {children}
        </body>
      </html>
    </>
  )
}
