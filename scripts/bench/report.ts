import { median, percentile } from './load.ts'
import type { Side } from './sides.ts'

type Measured = Side & { historyEvents: number }
type Line = [what: string, of: (side: Measured) => number, target?: string]

const lines: Line[] = [
  ['throughput, payments/s', ({ throughput }) => median(throughput), '≥ 0.8'],
  ['latency at 5/s, p50 ms', ({ latencies }) => percentile(latencies, 50), '≤ 1.5'],
  ['latency at 5/s, p95 ms', ({ latencies }) => percentile(latencies, 95)],
  ['latency at 5/s, p99 ms', ({ latencies }) => percentile(latencies, 99)],
  ['history events a payment', ({ historyEvents }) => historyEvents, '≤ 46 events'],
]

export function toText(control: Measured, remit: Measured): string {
  const cpu = Object.keys(remit.cpuSeconds).map((name): Line => {
    return [`CPU s per 1,000: ${name}`, ({ cpuSeconds }) => cpuSeconds[name] ?? Number.NaN]
  })
  const total = ({ cpuSeconds }: Side) => Object.values(cpuSeconds).reduce((sum, s) => sum + s, 0)
  const rows = [...lines, ...cpu, ['CPU s per 1,000: all', total] as Line].map(
    ([what, of, target = '']) => {
      const ratio = of(remit) / of(control)
      return row(what, show(of(control), 1), show(of(remit), 1), show(ratio, 2), target)
    },
  )
  const ratios = remit.throughput.map((value, round) => value / (control.throughput[round] ?? 0))
  return [
    row('', 'control', 'Remit', 'ratio', 'target'),
    ...rows,
    '',
    `throughput ratio, round by round: ${ratios.map((ratio) => show(ratio, 2)).join(', ')}`,
  ].join('\n')
}

function show(value: number, digits: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(digits)
}

function row(what: string, ...cells: string[]): string {
  return what.padEnd(30) + cells.map((cell) => cell.padStart(13)).join('')
}
