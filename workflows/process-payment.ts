import {
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  isCancellation,
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

const { chargePayment, pollCharge, cancelCharge, settlePayment, parkPayment } =
  proxyActivities<Activities>({
    startToCloseTimeout: '30 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
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
    const polled = await waiting
      .run(() => pollUntilWindowEnds(paymentId, checkInMs))
      .catch(onCancel)
    const verdict = told ?? polled
    if (verdict) return verdict

    // Undecided, only the provider knows: canceling the charge returns its last word.
    enter('canceling', '**Canceling** at the provider, whose last word decides.')
    const last = await cancel(paymentId)
    if (last) return last
    await parkPayment(paymentId)
    enter('parked', '**Parked**: the provider never decided. An operator has to find out.')
    await condition(() => told !== null)
    return told as unknown as Verdict
  }

  return CancellationScope.nonCancellable(async () => {
    enter('charging', '**Charging** at the provider.')
    const starting = startDeliveries(created)
    const charged = await waiting.run(() => charge(paymentId)).catch(onCancel)
    const verdict = await verdictOf(charged)
    enter('settling', `**Settling**: the provider says ${describe(verdict)}.`)
    const { status, deliveries } = await settle(paymentId, verdict)
    await Promise.all([starting, startDeliveries(deliveries)])
    now = { stage: 'done', status }
    setCurrentDetails(summarize(status, verdict, [...created, ...deliveries]))
    return status
  })
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

function onCancel(error: unknown): null {
  if (isCancellation(error)) return null
  throw error
}
