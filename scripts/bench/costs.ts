import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100 // USER_HZ, on every Linux that there is
const MB = 1024

/** What processes have used, as Linux counts it. Elsewhere there is no /proc, and nothing is said. */
const canCount = process.platform === 'linux'

type Stat = { pid: number; parent: number; command: string; cpuSeconds: number }

/** Of a process and, for Postgres, of those of its children that have ended. */
function statOf(pid: number): Stat {
  const [, command = '', rest = ''] = /\((.*)\) (.*)/.exec(read(`${pid}/stat`)) ?? []
  const fields = rest.split(' ').map(Number)
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0)
  return { pid, parent: fields[1] ?? 0, command, cpuSeconds: ticks / TICKS_PER_SECOND }
}

export function cpuSecondsOf(pid: number): number {
  return canCount ? statOf(pid).cpuSeconds : Number.NaN
}

/** Of all processes of that name that this one has started, however indirectly. */
export function cpuSecondsOfCommand(command: string): number {
  if (!canCount) return Number.NaN
  const stats = readdirSync('/proc')
    .filter(Number)
    .map((pid) => statOf(Number(pid)))
  const byPid = new Map(stats.map((stat) => [stat.pid, stat]))
  const isOurs = (stat: Stat | undefined): boolean =>
    stat !== undefined && (stat.pid === process.pid || isOurs(byPid.get(stat.parent)))
  return stats
    .filter((stat) => stat.command === command && isOurs(stat))
    .reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
}

/** The most memory that the process has ever had, in MB. */
export function peakMbOf(pid: number): number {
  return memoryOf(pid, 'VmHWM')
}

export function memoryMbOf(pid: number): number {
  return memoryOf(pid, 'VmRSS')
}

function memoryOf(pid: number, name: 'VmHWM' | 'VmRSS'): number {
  if (!canCount) return Number.NaN
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(read(`${pid}/status`))?.[1]) / MB
}

function read(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return '' // it has ended meanwhile
  }
}
