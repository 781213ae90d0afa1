import type { Client } from '@temporalio/client'
import { cpuSecondsOf, cpuSecondsOfCommand } from './costs.ts'
import { measureLatency, measureThroughput, type Pay } from './load.ts'

/** The two sides are the control and Remit. A side holds the measurements of all rounds. */
export type Side = {
  pay: Pay
  workflowTypes: string[]
  pids: Record<string, number> // the processes that only this side uses
  throughput: number[] // payments/s, one value per round
  latencies: number[][] // ms, a list per round
  cpuSeconds: Record<string, number> // per 1,000 payments, by process, over all rounds
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

/** Returns the history events per payment, with the events of the payment's deliveries. */
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
