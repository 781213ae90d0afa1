import { ActivityFailure, TimeoutFailure } from '@temporalio/common'
import {
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import type { Charged } from '../activities/payments.ts'
import type { Delivery } from '../core/delivery.ts'
import {
  type FailureCode,
  failureMessages,
  type PaymentStatus,
  type PaymentVerdict,
  paymentVerdicts,
  type Verdict,
} from '../core/payment.ts'
import { startDeliveries } from './start-deliveries.ts'

const SETTLEMENT_WINDOW_MS = 7 * 24 * 60 * 60_000

const options = {
  startToCloseTimeout: '30 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
} as const

const { pollCharge, settlePayment, parkPayment } = proxyActivities<Activities>(options)

/** A provider that can't be reached must not keep a payment, and its order, open for ever. */
const { chargePayment } = proxyActivities<Activities>({
  ...options,
  scheduleToCloseTimeout: SETTLEMENT_WINDOW_MS,
})
const { cancelCharge } = proxyActivities<Activities>({
  ...options,
  scheduleToCloseTimeout: '1 hour',
})

/** The provider's own webhook has brought the verdict. A failure may say why. */
export const chargeSettled = defineSignal<[PaymentVerdict, FailureCode?]>('chargeSettled')

export type PaymentState = {
  stage: 'charging' | 'waiting' | 'canceling' | 'parked' | 'settling' | 'done'
  status: PaymentStatus
}
export const state = defineQuery<PaymentState>('state')

/** `created` are the deliveries of the event that the payment was committed with. */
export async function processPayment(
  paymentId: string,
  created: Delivery[],
): Promise<PaymentStatus> {
  let told = null as Verdict | null
  let now: PaymentState = { stage: 'charging', status: 'pending' }
  const waiting = new CancellationScope()
  const enter = (stage: PaymentState['stage'], details: string) => {
    now = { ...now, stage }
    setCurrentDetails(details)
  }
  setHandler(state, () => now)
  setHandler(chargeSettled, (status, failureCode) => {
    told ??= toVerdict(status, failureCode)
    if (told) waiting.cancel()
  })

  /** The provider's webhook, the window's end and an operator's Cancel all end the wait, no more. */
  async function verdictOf(charged: Charged | null): Promise<Verdict> {
    if (charged && 'verdict' in charged) return charged.verdict
    enter('waiting', waitingDetails())
    const checkInMs = charged?.checkInMs ?? null
    const polled = await ask(waiting, () => pollUntilWindowEnds(paymentId, checkInMs))
    return told ?? polled ?? lastWord()
  }

  /** Undecided, only the provider knows: canceling the charge returns its last word. */
  async function lastWord(): Promise<Verdict> {
    enter('canceling', '**Canceling** at the provider, whose last word decides.')
    const canceled = await askUnlessTold(() => cancel(paymentId))
    if (told ?? canceled) return (told ?? canceled) as Verdict
    await parkPayment(paymentId)
    enter('parked', '**Parked**: the provider does not decide. An operator has to find out.')
    const late = await askUnlessTold(() => poll(paymentId, null))
    return (told ?? late) as Verdict
  }

  /** The signal ends it, an operator's Cancel does not: that has been heard already. */
  async function askUnlessTold(question: () => Promise<Verdict | null>): Promise<Verdict | null> {
    const scope = new CancellationScope()
    condition(() => told !== null).then(
      () => scope.cancel(),
      () => {},
    )
    return ask(scope, question)
  }

  return CancellationScope.nonCancellable(async () => {
    enter('charging', '**Charging** at the provider.')
    const starting = startDeliveries(created)
    const charged = await ask(waiting, () => charge(paymentId))
    const verdict = await verdictOf(charged)
    enter('settling', `**Settling**: the provider says ${describe(verdict)}.`)
    const { status, deliveries } = await settle(paymentId, verdict)
    await Promise.all([starting, startDeliveries(deliveries)])
    now = { stage: 'done', status }
    setCurrentDetails(summarize(status, verdict, [...created, ...deliveries]))
    return status
  })
}

/**
 * Null when the scope was canceled, however the activity then ended, or when its time was up: what
 * the provider did is unknown, and has to be found out in another way.
 */
async function ask<T>(scope: CancellationScope, question: () => Promise<T>): Promise<T | null> {
  try {
    return await scope.run(question)
  } catch (error) {
    if (scope.consideredCancelled || isOutOfTime(error)) return null
    throw error
  }
}

function isOutOfTime(error: unknown): boolean {
  if (!(error instanceof ActivityFailure)) return false
  return error.retryState === 'TIMEOUT' || error.cause instanceof TimeoutFailure
}

const charge = (id: string) =>
  chargePayment.executeWithOptions({ summary: 'Charge at the provider' }, [id])
const poll = (id: string, checkInMs: number | null) =>
  pollCharge.executeWithOptions({ summary: 'Ask the provider for its verdict' }, [id, checkInMs])
const cancel = (id: string) =>
  cancelCharge.executeWithOptions({ summary: 'Cancel at the provider' }, [id])
const settle = (id: string, verdict: Verdict) =>
  settlePayment.executeWithOptions({ summary: `Record: ${describe(verdict)}` }, [id, verdict])

/** In a scope of its own: whoever is first, the verdict or the end of the window, ends the other. */
function pollUntilWindowEnds(id: string, checkInMs: number | null): Promise<Verdict | null> {
  return CancellationScope.cancellable(async () => {
    const windowEnds = sleep(SETTLEMENT_WINDOW_MS, { summary: 'Give up waiting for the provider' })
    try {
      return await Promise.race([poll(id, checkInMs), windowEnds.then(() => null)])
    } finally {
      CancellationScope.current().cancel()
    }
  })
}

/** Null for what is no verdict: a slip of an operator's hand in the UI must not settle anything. */
function toVerdict(status: PaymentVerdict, failureCode?: FailureCode): Verdict | null {
  if (!paymentVerdicts.includes(status)) return null
  if (status !== 'failed') return { status, failureCode: null }
  const known = failureCode && Object.hasOwn(failureMessages, failureCode)
  return { status, failureCode: known ? failureCode : 'processing_error' }
}

function waitingDetails(): string {
  const until = new Date(Date.now() + SETTLEMENT_WINDOW_MS).toISOString().slice(0, 10)
  return `**Waiting** for the provider, which is asked again and again until ${until}. Its own webhook ends the wait at once.`
}

function describe({ status, failureCode }: Verdict): string {
  return failureCode ? `${status}, ${failureCode}` : status
}

function summarize(status: PaymentStatus, verdict: Verdict, deliveries: Delivery[]): string {
  const outcome = status === verdict.status ? describe(verdict) : `${status}, and stays so`
  const lines = deliveries.map(
    ({ id, eventType, host }) => `- ${eventType} → ${host} in workflow \`${id}\``,
  )
  return [`**Done**: ${outcome}.`, '', 'Webhooks:', '', ...lines].join('\n')
}
