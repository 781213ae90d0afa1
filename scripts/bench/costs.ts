import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100 // USER_HZ is the same on every Linux
const MB = 1024

/** Costs are counted on Linux only. Other systems have no /proc, so every cost is `NaN` there. */
const canCount = process.platform === 'linux'

type Stat = { pid: number; parent: number; command: string; cpuSeconds: number }

/** Reads the costs of a process. The CPU seconds include ended children, which Postgres has. */
function statOf(pid: number): Stat {
  const [, command = '', rest = ''] = /\((.*)\) (.*)/.exec(read(`${pid}/stat`)) ?? []
  const fields = rest.split(' ').map(Number)
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0)
  return { pid, parent: fields[1] ?? 0, command, cpuSeconds: ticks / TICKS_PER_SECOND }
}

export function cpuSecondsOf(pid: number): number {
  return canCount ? statOf(pid).cpuSeconds : Number.NaN
}

/** Sums all processes with the name `command` that this process has started, however indirectly. */
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

/** Returns the most memory that the process has ever had, in MB. */
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
    return '' // the process has ended meanwhile
  }
}
