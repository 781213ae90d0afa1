import { CancellationScope, setHandler } from '@temporalio/workflow'
import { isOpenStatus } from '../../core/lifecycles/lifecycle.ts'
import { type OrderCommand, type OrderStatus, orderLifecycle } from '../../core/lifecycles/order.ts'
import { commandQueue } from '../shared/command-queue.ts'
import { openInbox } from '../shared/inbox.ts'
import { paymentEnded } from '../shared/payable-messages.ts'
import { cancelOrder, fulfill, type OrderStage, orderState, resolveOrder } from './messages.ts'

export type OrderInbox = ReturnType<typeof openOrderInbox>

export function openOrderInbox() {
  const commands = commandQueue<OrderCommand>('cancel')
  const inbox = Object.assign(
    openInbox<OrderStage, OrderStatus, never>('awaiting_payment', 'created'),
    { commands, paymentId: null as string | null, isResolved: false },
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
      return inbox.answer()
    },
    {
      validator() {
        if (inbox.state.stage !== 'refund_failed')
          throw new Error('Only an order whose refund has failed can be resolved')
      },
    },
  )
  // A Cancel in the Web UI is the `cancel` command.
  CancellationScope.current().cancelRequested.catch(() => accept('cancel'))
  return inbox

  /**
   * Answers when the order is fulfilled or canceled, which can be days before its money is back.
   */
  function obey(kind: OrderCommand['kind']): Promise<OrderStatus> {
    const entry = accept(kind)
    const isEnded = () => !isOpenStatus(orderLifecycle, inbox.state.status)
    return inbox.answer(() => entry.isAnswered || isEnded())
  }

  function accept(kind: OrderCommand['kind']) {
    const entry = commands.accept({ kind })
    inbox.waiting.cancel()
    return entry
  }
}
