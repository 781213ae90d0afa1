import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { issueMessage } from './core/issue-message.ts'
import { parseKeys } from './core/secrets.ts'
import { taskQueues } from './temporal/queues.ts'

const flag = z.enum(['true', 'false']).transform((value) => value === 'true')
const list = (value: string) => value.split(',').map((part) => part.trim())

const Range = z
  .string()
  .regex(
    /^\d+(-\d+)?$/,
    'The value must be a number of milliseconds, or a range such as 5000-10000.',
  )
  .transform((text) => {
    const [minMs = 0, maxMs = minMs] = text.split('-').map(Number)
    return { minMs, maxMs }
  })
  .refine(
    ({ minMs, maxMs }) => minMs <= maxMs,
    'The first number must not be greater than the second.',
  )

const EncryptionKeys = z
  .string()
  .transform(parseKeys)
  .refine((keys) => keys.every((key) => key.length === 32), 'Each key must be 32 bytes in base64.')

const Config = z
  .object({
    NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
    LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
    DATABASE_URL: z.url(),
    DATABASE_POOL_MAX: z.coerce.number().int().min(1).default(10),
    TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233'),
    TEMPORAL_NAMESPACE: z.string().default('default'),
    TEMPORAL_TLS: flag.default(false),
    TEMPORAL_API_KEY: z.string().optional(),
    HOST: z.string().default('127.0.0.1'),
    PORT: z.coerce.number().int().min(0).max(65_535).default(8000),
    PUBLIC_URL: z
      .url({
        protocol: /^https?$/,
        error: 'The value must be a URL that begins with http:// or https://.',
      })
      .refine(
        (url) => !/[?#]/.test(url),
        'The URL must not have a query or a fragment: paths are added at its end.',
      )
      .transform((url) => url.replace(/\/+$/, ''))
      .optional(),
    REMIT_ENCRYPTION_KEY: EncryptionKeys,
    RATE_LIMIT_PER_SECOND: z.coerce.number().min(0).default(100),
    FEE_BPS: z.coerce.number().int().min(0).max(10_000).default(0),
    EVENT_RETENTION_DAYS: z.coerce.number().int().min(1).max(36_500).default(90),
    SANDBOX_DELAY_MS: Range.prefault('5000-10000'),
    WORKER_QUEUES: z
      .string()
      .default('payments,webhooks')
      .transform(list)
      .pipe(z.array(z.enum(taskQueues)).min(1)),
    WORKER_HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
    WORKFLOW_BUNDLE: z.string().optional(),
    WEBHOOK_RETRY_INTERVALS_TEST: flag.default(false),
    WEBHOOK_ALLOW_HTTP: flag.default(false),
    WEBHOOK_ALLOW_PRIVATE_NETWORKS: flag.default(false),
    DEV_RECEIVER_SECRET: z.string().optional(),
  })
  .superRefine((config, context) => {
    if (config.NODE_ENV !== 'production') return
    for (const name of developmentOnly) {
      if (!config[name]) continue
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'The variable must not be set in production.',
      })
    }
  })

const developmentOnly = [
  'WEBHOOK_ALLOW_HTTP',
  'WEBHOOK_ALLOW_PRIVATE_NETWORKS',
  'DEV_RECEIVER_SECRET',
] as const

export type Config = z.infer<typeof Config>

/** A process cannot guess these variables, so it requires them in production. */
type Needed = (keyof Config)[]

/** Loads the config for a main.ts, or prints the problem, without a stack, and ends the process. */
export function loadConfigOrExit(needed: Needed = []): Config {
  try {
    return loadConfig(process.env, needed)
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
}

/**
 * Each entry point calls this once, and hands the parts below it the values that they need. Throws
 * an error that names the variables that are missing or wrong. An empty variable counts as not set.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, needed: Needed = []): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = Config.safeParse({ ...set, ...readSecrets(set) }, { error: issueMessage })
  if (!parsed.success) throw new Error(`Invalid environment\n${z.prettifyError(parsed.error)}`)
  const config = parsed.data
  const missing = needed.filter((name) => config[name] === undefined)
  if (config.NODE_ENV === 'production' && missing.length > 0)
    throw new Error(`Invalid environment\n✖ Needed in production: ${missing.join(', ')}`)
  return config
}

/** A container can get these variables as files: `X_FILE` is the path of the file that holds X. */
const secrets = ['DATABASE_URL', 'REMIT_ENCRYPTION_KEY', 'TEMPORAL_API_KEY'] as const

/** Returns each secret that is set, in a variable or a file. Throws if a secret is set in both. */
export function readSecrets(
  env: NodeJS.ProcessEnv,
): Partial<Record<(typeof secrets)[number], string>> {
  const given = secrets.map((name) => [name, readSecret(env, name)])
  return Object.fromEntries(given.filter(([, value]) => value))
}

function readSecret(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const file = env[`${name}_FILE`]
  if (!file) return env[name]
  if (env[name]) throw new Error(`Invalid environment\n✖ Both ${name} and ${name}_FILE are set`)
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`Invalid environment\n✖ ${name}_FILE: ${file} can't be read (${code})`)
  }
}
