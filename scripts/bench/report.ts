import { median, percentile } from './load.ts'
import type { Side } from './sides.ts'

type Measured = Side & { historyEvents: number }
type Line = [what: string, rounds: (side: Measured) => number[], target?: string]

const latency = (percent: number) => (side: Measured) =>
  side.latencies.map((ms) => percentile(ms, percent))

const lines: Line[] = [
  ['throughput, payments/s', ({ throughput }) => throughput, '≥ 0.8'],
  ['latency at 5/s, p50 ms', latency(50), '≤ 1.5'],
  ['latency at 5/s, p95 ms', latency(95)],
  ['latency at 5/s, p99 ms', latency(99)],
  ['history events a payment', ({ historyEvents }) => [historyEvents], '≤ 46 events'],
]

/**
 * Each number is the median of the rounds. A ratio is the median of the rounds' ratios, because a
 * disturbance of a round is likely to have hit both sides.
 */
export function toText(control: Measured, remit: Measured): string {
  const cpu = Object.keys(remit.cpuSeconds).map((name): Line => {
    return [`CPU s per 1,000: ${name}`, ({ cpuSeconds }) => [cpuSeconds[name] ?? Number.NaN]]
  })
  const all: Line = [
    'CPU s per 1,000: all',
    ({ cpuSeconds }) => [Object.values(cpuSeconds).reduce((sum, seconds) => sum + seconds, 0)],
  ]
  const rows = [...lines, ...cpu, all].map(([what, rounds, target = '']) => {
    const [ours, theirs] = [rounds(control), rounds(remit)]
    const ratios = theirs.map((value, round) => value / (ours[round] ?? Number.NaN))
    const each = ratios.length > 1 ? ratios.map((ratio) => show(ratio, 2)).join(' ') : ''
    const medians = [show(median(ours), 1), show(median(theirs), 1), show(median(ratios), 2)]
    return `${row(what, ...medians, target)}   ${each}`.trimEnd()
  })
  return [row('', 'control', 'Remit', 'ratio', 'target', 'each round'), ...rows].join('\n')
}

function show(value: number, digits: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(digits)
}

function row(what: string, ...cells: string[]): string {
  return what.padEnd(30) + cells.map((cell) => cell.padStart(13)).join('')
}
