import type { Client } from '@temporalio/client'
import { cpuSecondsOf, cpuSecondsOfCommand } from './costs.ts'
import { measureLatency, measureThroughput, type Pay } from './load.ts'

/** One of the two that are compared, and what was measured of it, in as many rounds. */
export type Side = {
  pay: Pay
  workflowTypes: string[]
  pids: Record<string, number> // of the processes that are its own
  throughput: number[] // payments/s, one per round
  latencies: number[][] // ms, a list per round
  cpuSeconds: Record<string, number> // per 1,000 payments, by process, of all rounds
}

export function newSide(side: Pick<Side, 'pay' | 'workflowTypes' | 'pids'>): Side {
  return { ...side, throughput: [], latencies: [], cpuSeconds: {} }
}

type Round = {
  payments: number
  inFlight: number
  timed: number
  perSecond: number
  rounds: number
}

export async function measureRound(side: Side, round: Round): Promise<void> {
  const before = cpuSecondsBy(side)
  side.throughput.push(await measureThroughput(side.pay, round.payments, round.inFlight))
  for (const [name, after] of Object.entries(cpuSecondsBy(side))) {
    const perThousand = (1000 * (after - (before[name] ?? 0))) / round.payments / round.rounds
    side.cpuSeconds[name] = (side.cpuSeconds[name] ?? 0) + perThousand
  }
  side.latencies.push(await measureLatency(side.pay, round.timed, round.perSecond))
}

function cpuSecondsBy({ pids }: Side): Record<string, number> {
  const own = Object.entries(pids).map(([name, pid]) => [name, cpuSecondsOf(pid)])
  const shared = ['temporal', 'postgres'].map((name) => [name, cpuSecondsOfCommand(name)])
  return Object.fromEntries([...own, ...shared, ['bench', cpuSecondsOf(process.pid)]])
}

/** History events per payment, those of its deliveries included. */
export async function historyEventsPer(client: Client, { workflowTypes }: Side): Promise<number> {
  let events = 0
  let payments = 0
  const types = workflowTypes.map((type) => `'${type}'`).join(', ')
  for await (const { type, historyLength } of client.workflow.list({
    query: `WorkflowType IN (${types}) AND ExecutionStatus = 'Completed'`,
  })) {
    events += historyLength
    if (type === workflowTypes[0]) payments++
  }
  return events / payments
}
