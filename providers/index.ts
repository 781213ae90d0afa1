import type { Provider } from './provider.ts'
import { sandbox } from './sandbox/charges.ts'
import { SANDBOX, type SandboxStore } from './sandbox/types.ts'

export type Providers = Record<string, Provider>

/** The provider of new payments. */
export const DEFAULT_PROVIDER: string = SANDBOX

type ProviderDeps = {
  sandboxStore: SandboxStore
  sandboxDelay: { minMs: number; maxMs: number }
  now: () => Date | Promise<Date>
}

export function createProviders({ sandboxStore, sandboxDelay, now }: ProviderDeps): Providers {
  return { sandbox: sandbox({ store: sandboxStore, delay: sandboxDelay, now }) }
}

export function providerFor(all: Providers, name: string): Provider {
  const provider = all[name]
  if (!provider) throw new Error(`No such provider: ${name}`)
  return provider
}
