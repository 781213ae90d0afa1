import { setTimeout } from 'node:timers/promises'
import { tryPort } from '../tools/processes.ts'

type Port = {
  variable: string
  port: number
  also?: string // another way out if the port is taken
}

const defaults = { PORT: 8000, TEMPORAL_PORT: 7233, TEMPORAL_UI_PORT: 8233 }

export function portOf(variable: keyof typeof defaults): number {
  const port = Number(process.env[variable] || defaults[variable])
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new Error(`${variable} is ${process.env[variable]}, which is no port.`)
}

/** Throws an error that names the way out if a port is still taken after `patienceMs`. */
export async function checkPorts(ports: Port[], patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs
  for (const { variable, port, also = '' } of ports) {
    while (await isTaken(port)) {
      if (Date.now() > deadline) {
        const wayOut = `Stop what uses it, or run ${variable}=${port + 1} npm start`
        throw new Error(`Port ${port} is taken. ${wayOut}${also}`)
      }
      await setTimeout(100)
    }
  }
}

async function isTaken(port: number): Promise<boolean> {
  try {
    await tryPort(port)
    return false
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return true
    throw error
  }
}
