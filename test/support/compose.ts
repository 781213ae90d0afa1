import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

type Service = {
  image: string
  build?: string
  init?: boolean
  user?: string
  restart?: string
  command?: string[]
  entrypoint?: string[]
  environment?: Record<string, string | number>
  secrets?: string[]
  volumes?: string[]
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  stop_grace_period?: string
  read_only?: boolean
  cap_drop?: string[]
}

type Compose = {
  services: Record<string, Service>
  secrets: Record<string, { file: string }>
  volumes: Record<string, unknown>
}

export const composeText = readFileSync('docker-compose.yml', 'utf8')
export const compose: Compose = parse(composeText, { merge: true })
export const dockerfile = readFileSync('Dockerfile', 'utf8').replaceAll(/ *\\\n */g, ' ')

export function serviceOf(name: string): Service {
  const service = compose.services[name]
  if (!service) throw new Error(`No such service: ${name}`)
  return service
}

/**
 * Returns the lines of the Dockerfile that begin with this instruction, without the instruction.
 */
export function instructions(name: string): string[] {
  return [...dockerfile.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest = '']) => rest)
}

/** Returns the variables that the image sets for all of its processes. */
export function imageEnv(): Record<string, string> {
  const pairs = instructions('ENV').flatMap((line) => line.split(/ +/))
  return Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string]))
}
