import { ActivityFailure, TimeoutFailure } from '@temporalio/common'
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import type { Authorized, Settled } from '../activities/payments.ts'
import type { PaymentCommand } from '../core/command.ts'
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
const { chargePayment, captureCharge } = proxyActivities<Activities>({
  ...options,
  scheduleToCloseTimeout: SETTLEMENT_WINDOW_MS,
})
const { cancelCharge } = proxyActivities<Activities>({
  ...options,
  scheduleToCloseTimeout: '1 hour',
})

/** The provider's own webhook has brought the verdict. A failure may say why. */
export const chargeSettled = defineSignal<[PaymentVerdict, FailureCode?]>('chargeSettled')

/**
 * The merchant's commands: they answer with the payment's final status, whatever it is. A capture of
 * an amount (minor units; none: all) releases the rest. One that comes early waits.
 */
export const capture = defineUpdate<PaymentStatus, [number | null]>('capture')
export const cancel = defineUpdate<PaymentStatus>('cancel')

/** What an operator has found out about a payment that is parked. */
export const resolve = defineUpdate<PaymentStatus, [PaymentVerdict, FailureCode | null]>('resolve')

export type PaymentState = {
  stage:
    | 'charging'
    | 'waiting'
    | 'authorized'
    | 'capturing'
    | 'canceling'
    | 'parked'
    | 'settling'
    | 'done'
  status: PaymentStatus
}
export const state = defineQuery<PaymentState>('state')

/** `created` are the deliveries of the event that the payment was committed with. */
export async function processPayment(
  paymentId: string,
  created: Delivery[],
): Promise<PaymentStatus> {
  let told = null as Verdict | null
  let command = null as PaymentCommand | null
  let authorizedAmount = Number.MAX_SAFE_INTEGER // in minor units; until then nobody knows
  let sent: Pick<Verdict, 'amountCaptured'> = {}
  let now: PaymentState = { stage: 'charging', status: 'pending' }
  const deliveries: Delivery[] = []
  const starting: Promise<void>[] = []
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
  setHandler(resolve, (status, failureCode) => hear(toVerdict(status, failureCode)), {
    validator: (status, _) => {
      if (now.stage !== 'parked') throw new Error('Only a parked payment can be resolved')
      if (!toVerdict(status)) throw new Error(`Not a verdict: ${status}`)
    },
  })
  setHandler(capture, (amount) => obey({ kind: 'capture', amount: amount ?? null }), {
    validator: (amount) => {
      if (amount == null) return
      if (!Number.isSafeInteger(amount) || amount <= 0)
        throw new Error(`Not an amount in minor units: ${amount}`)
      if (amount > authorizedAmount) throw new Error(`Only ${authorizedAmount} is authorized`)
    },
  })
  setHandler(cancel, () => obey({ kind: 'cancel' }))

  function hear(verdict: Verdict | null): Promise<PaymentStatus> {
    told ??= verdict
    return whenDone()
  }

  /** A cancel overtakes a capture that is not under way yet. */
  function obey(next: PaymentCommand): Promise<PaymentStatus> {
    if (next.kind === 'cancel' || command === null) command = next
    if (command.kind === 'cancel' || now.stage === 'authorized') waiting.cancel()
    return whenDone()
  }

  async function whenDone(): Promise<PaymentStatus> {
    await CancellationScope.nonCancellable(() => condition(() => now.stage === 'done'))
    return now.status
  }

  /** In a history of version 0.1 activities returned verdicts, and none had been recorded. */
  async function untilSettled(): Promise<Settled | Verdict> {
    const charged = await ask(waiting, () => charge(paymentId))
    const answer = charged && 'verdict' in charged ? (charged.verdict as Verdict) : charged
    const found = answer && 'checkInMs' in answer ? null : answer
    const checkInMs = answer && 'checkInMs' in answer ? answer.checkInMs : null
    const decided = found ?? (await untilDecided(checkInMs))
    const settled = decided?.status === 'authorized' ? await untilCaptured(decided) : decided
    return settled ?? told ?? lastWord()
  }

  /** The provider's webhook, the window's end and any cancel all end the wait, no more. */
  function untilDecided(checkInMs: number | null): Promise<Settled | Authorized | null> {
    enter('waiting', waitingDetails())
    return ask(waiting, () => pollUntilWindowEnds(paymentId, checkInMs))
  }

  /** Null when it is to be canceled: that was asked for, or nobody has captured it in time. */
  async function untilCaptured(authorized: Authorized): Promise<Settled | null> {
    now = { ...now, status: 'authorized' }
    authorizedAmount = authorized.amount
    announce(authorized.deliveries)
    enter('authorized', authorizedDetails(authorized))
    const { captureInMs } = authorized
    if (!command)
      await ask(waiting, () => sleep(captureInMs, { summary: 'Cancel what is not captured' }))
    if (told || command?.kind !== 'capture') return null
    const { amount } = command
    // Whoever then tells of a success, be it the provider's webhook, doesn't say of how much.
    if (amount !== null) sent = { amountCaptured: Math.min(amount, authorizedAmount) }
    enter('capturing', '**Capturing** at the provider.')
    return askUnlessTold(() => take(paymentId, amount))
  }

  /** Undecided, only the provider knows: canceling the charge returns its last word. */
  async function lastWord(): Promise<Settled | Verdict> {
    enter('canceling', '**Canceling** at the provider, whose last word decides.')
    const canceled = await askUnlessTold(() => release(paymentId))
    if (canceled ?? told) return (canceled ?? told) as Settled | Verdict
    await parkPayment(paymentId)
    enter('parked', '**Parked**: the provider does not decide. An operator has to find out.')
    const late = await askUnlessTold(() => poll(paymentId, null, true))
    return (late ?? told) as Settled | Verdict
  }

  /** The signal ends it, an operator's Cancel does not: that has been heard already. */
  async function askUnlessTold<T>(question: () => Promise<T | null>): Promise<T | null> {
    const scope = new CancellationScope()
    condition(() => told !== null).then(
      () => scope.cancel(),
      () => {},
    )
    return ask(scope, question)
  }

  async function settled(found: Settled | Verdict): Promise<Settled> {
    if ('deliveries' in found) return found
    enter('settling', `**Settling**: the provider says ${describe(found)}.`)
    return settle(paymentId, { ...found, ...sent })
  }

  function announce(made: Delivery[]): void {
    deliveries.push(...made)
    starting.push(startDeliveries(made))
  }

  return CancellationScope.nonCancellable(async () => {
    enter('charging', '**Charging** at the provider.')
    announce(created)
    const final = await settled(await untilSettled())
    announce(final.deliveries)
    await Promise.all(starting)
    now = { stage: 'done', status: final.status }
    setCurrentDetails(summarize(final, deliveries))
    await condition(allHandlersFinished)
    return final.status
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
const poll = (id: string, checkInMs: number | null, toTheEnd = false) =>
  pollCharge.executeWithOptions({ summary: 'Ask the provider for its verdict' }, [
    id,
    checkInMs,
    toTheEnd,
  ]) as Promise<Settled>
const take = (id: string, amount: number | null) =>
  captureCharge.executeWithOptions({ summary: 'Capture at the provider' }, [id, amount])
const release = (id: string) =>
  cancelCharge.executeWithOptions({ summary: 'Cancel at the provider' }, [id])
const settle = (id: string, verdict: Verdict) =>
  settlePayment.executeWithOptions({ summary: `Record: ${describe(verdict)}` }, [id, verdict])

/** In a scope of its own: whoever is first, the verdict or the end of the window, ends the other. */
function pollUntilWindowEnds(
  id: string,
  checkInMs: number | null,
): Promise<Settled | Authorized | null> {
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
function toVerdict(status: PaymentVerdict, failureCode?: FailureCode | null): Verdict | null {
  if (!paymentVerdicts.includes(status)) return null
  if (status !== 'failed') return { status, failureCode: null }
  const known = failureCode && Object.hasOwn(failureMessages, failureCode)
  return { status, failureCode: known ? failureCode : 'processing_error' }
}

function waitingDetails(): string {
  const until = new Date(Date.now() + SETTLEMENT_WINDOW_MS).toISOString().slice(0, 10)
  return `**Waiting** for the provider, which is asked again and again until ${until}. Its own webhook ends the wait at once.`
}

function authorizedDetails({ captureInMs }: Authorized): string {
  const until = new Date(Date.now() + captureInMs).toISOString().slice(0, 16).replace('T', ' ')
  return `**Authorized**: waits for the merchant to capture or cancel it. Canceled at ${until} UTC otherwise.`
}

function describe({ status, failureCode }: Omit<Verdict, 'amountCaptured'>): string {
  return failureCode ? `${status}, ${failureCode}` : status
}

function summarize(final: Settled, deliveries: Delivery[]): string {
  const lines = deliveries.map(
    ({ id, eventType, host }) => `- ${eventType} → ${host} in workflow \`${id}\``,
  )
  return [`**Done**: ${describe(final)}.`, '', 'Webhooks:', '', ...lines].join('\n')
}
