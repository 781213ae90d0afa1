import { Connection } from '@temporalio/client'
import { searchAttributeNames } from '../../temporal/search-attributes.ts'
import { type Running, spawnGuarded, tryConnect, waitUntilReady } from './processes.ts'

/**
 * Our dev server gets these arguments in addition to the SDK's own. By default, the server looks
 * for new steps of workflows only 20 times a second, so each step waits up to 50 ms. By default,
 * the server also gives an activity to any worker that polls, not directly to the worker that has
 * scheduled it.
 */
export const devServerArgs = [
  ...['--dynamic-config-value', 'system.enableActivityEagerExecution=true'],
  ...['transfer', 'timer'].flatMap((queue) => [
    '--dynamic-config-value',
    `history.${queue}ProcessorMaxPollRPS=2000`,
  ]),
  ...searchAttributeNames.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
]

/** State in a file is slow without these pragmas: 3 payments/s instead of 24. */
const pragmas = ['journal_mode=wal', 'synchronous=normal']

type Options = {
  cli: string
  logFile: string
  port: number
  uiPort?: number // without this, there is no web UI
  dbFilename?: string // without this, the server forgets everything when it stops
}

export async function startDevServer(options: Options): Promise<Running & { address: string }> {
  const { cli, logFile, port } = options
  const command = [cli, 'server', 'start-dev', ...serverArgs(options), ...devServerArgs]
  const running = spawnGuarded(command, { logFile })
  const address = `127.0.0.1:${port}`
  await waitUntilReady({ name: 'Temporal', process: running, logFile }, () => askTemporal(port))
  return { ...running, address }
}

function serverArgs({ port, uiPort, dbFilename }: Options): string[] {
  const ui = uiPort ? ['--ui-port', `${uiPort}`] : ['--headless']
  const db = dbFilename ? ['--db-filename', dbFilename] : []
  const sqlite = dbFilename ? pragmas.flatMap((pragma) => ['--sqlite-pragma', pragma]) : []
  return ['--ip', '127.0.0.1', '--port', `${port}`, '--log-level', 'error', ...ui, ...db, ...sqlite]
}

/**
 * Makes a request, because the server listens before it can serve. Connects without gRPC first,
 * because gRPC waits a second after a refused connection.
 */
async function askTemporal(port: number): Promise<void> {
  await tryConnect('127.0.0.1', port)
  const connection = await Connection.connect({ address: `127.0.0.1:${port}` })
  try {
    await connection.withDeadline(Date.now() + 5_000, () =>
      connection.workflowService.describeNamespace({ namespace: 'default' }),
    )
  } finally {
    await connection.close()
  }
}
