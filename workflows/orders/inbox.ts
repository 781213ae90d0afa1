import { CancellationScope, condition, setHandler } from '@temporalio/workflow'
import type { OrderCommand, OrderStatus } from '../../core/lifecycles/order.ts'
import { openInbox } from '../shared/inbox.ts'
import { paymentEnded } from '../shared/payable-messages.ts'
import { cancelOrder, fulfill, type OrderStage, orderState, resolveOrder } from './messages.ts'

export type OrderInbox = ReturnType<typeof openOrderInbox>

export function openOrderInbox() {
  const inbox = Object.assign(
    openInbox<OrderStage, OrderStatus, never>('awaiting_payment', 'created'),
    {
      command: null as OrderCommand['kind'] | null,
      asked: 0, // how many commands have come
      refused: 0, // up to which of them none is under way that the order could not take
      paymentId: null as string | null,
      isResolved: false,
      /** What comes from now on is another command. Returns how to say that this one can't be taken. */
      take(): () => void {
        const { asked } = inbox
        inbox.command = null
        return () => {
          inbox.refused = asked
        }
      },
    },
  )

  setHandler(orderState, () => inbox.state)
  setHandler(paymentEnded, ({ paymentId, isPaid }) => {
    if (isPaid) inbox.paymentId = paymentId
    inbox.waiting.cancel()
  })
  setHandler(fulfill, () => obey('fulfill'))
  setHandler(cancelOrder, () => obey('cancel'))
  setHandler(
    resolveOrder,
    () => {
      inbox.isResolved = true
      inbox.waiting.cancel()
      return inbox.whenDone()
    },
    {
      validator() {
        if (inbox.state.stage !== 'refund_failed')
          throw new Error('Only an order whose refund has failed can be resolved')
      },
    },
  )
  heedCancel()
  return inbox

  /** A cancel overtakes. Once the order has ended, or could not take it, there is an answer. */
  async function obey(kind: OrderCommand['kind']): Promise<OrderStatus> {
    const number = ++inbox.asked
    ask(kind)
    const hasAnswer = () => isOver(inbox.state.status) || inbox.refused >= number
    await CancellationScope.nonCancellable(() => condition(hasAnswer))
    return inbox.state.status
  }

  function ask(kind: OrderCommand['kind']): void {
    if (kind === 'cancel' || !inbox.command) inbox.command = kind
    inbox.waiting.cancel()
  }

  /** A Cancel from the UI is the `cancel` command. */
  function heedCancel(): void {
    CancellationScope.current().cancelRequested.catch(() => ask('cancel'))
  }
}

function isOver(status: OrderStatus): boolean {
  return status === 'fulfilled' || status === 'canceled'
}
