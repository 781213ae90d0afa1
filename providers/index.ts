import { SANDBOX } from '../core/sandbox.ts'
import type { Db } from '../db/client.ts'
import type { Provider } from './provider.ts'
import { sandbox } from './sandbox/charges.ts'

export type Providers = Record<string, Provider>

/** New payments and payouts use this provider. */
export const DEFAULT_PROVIDER: string = SANDBOX

type ProviderDeps = {
  db: Db
  sandboxDelay: { minMs: number; maxMs: number }
  now: () => Date | Promise<Date>
}

export function createProviders({ db, sandboxDelay, now }: ProviderDeps): Providers {
  return { sandbox: sandbox({ db, delay: sandboxDelay, now }) }
}

export function providerFor(all: Providers, name: string): Provider {
  const provider = all[name]
  if (!provider) throw new Error(`No such provider: ${name}`)
  return provider
}
