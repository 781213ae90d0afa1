import type { CommandKind } from '../../core/lifecycles/command.ts'
import type {
  OrderCancellationReason,
  OrderCommand,
  OrderStatus,
} from '../../core/lifecycles/order.ts'
import type { PaymentStatus, PaymentVerdict } from '../../core/lifecycles/payment.ts'
import type { PayoutStatus, PayoutVerdictStatus } from '../../core/lifecycles/payout.ts'
import type { RefundStatus } from '../../core/lifecycles/refund.ts'

// This file defines the operations on money and the state that shows their effects. ledger-model.ts
// says the effects without SQL, and ledger-world.ts causes them in a database.

/**
 * A merchant, a worker or an operator does these operations to the money. Names take the place of
 * ids.
 */
export type Op =
  | { do: 'pay'; name: string; merchant: number; currency: string; amount: number }
  | { do: 'authorize'; name: string }
  | { do: 'settlePayment'; name: string; verdict: PaymentVerdict; amount: number }
  | { do: 'refund'; name: string; payment: string; amount: number }
  | { do: 'settleRefund'; name: string; verdict: 'succeeded' | 'failed' }
  | { do: 'payout'; name: string; merchant: number; currency: string; amount: number }
  | { do: 'startPayout'; name: string }
  | { do: 'settlePayout'; name: string; verdict: PayoutVerdictStatus }
  | { do: 'topup'; name: string; merchant: number; currency: string; amount: number }
  | OrderOp

/**
 * `ask` is a command. `fulfill` and `cancel` follow a command or the deadline. `undo` and
 * `undoByHand` follow `cancel`.
 */
export type OrderOp =
  | { do: 'order'; name: string; merchant: number; currency: string; amount: number }
  | { do: 'payOrder'; name: string; order: string }
  | { do: 'ask'; name: string; kind: OrderCommand['kind'] }
  | { do: 'cancel'; name: string; reason: OrderCancellationReason }
  | { do: 'fulfill' | 'undo' | 'undoByHand'; name: string }

type Sums = Record<'available' | 'held' | 'receivable' | 'clearing' | 'fees', number>
type Owned = { owner: string; amount: number } // owner: a merchant and a currency, as in `balances`

/** The state holds everything that shows of the money of a history's merchants. */
export type State = {
  balances: Record<string, Sums>
  payments: Record<
    string,
    Owned & {
      order: string | null
      status: PaymentStatus
      captured: number
      refunded: number
      attention: boolean
    }
  >
  orders: Record<
    string,
    Owned & {
      status: OrderStatus
      payment: string | null
      reason: OrderCancellationReason | null
      isCompensating: boolean
      asked: CommandKind | null
      answer: 'open' | 'done' | 'refused' | null // to the command in `asked`
    }
  >
  refunds: Record<string, Owned & { payment: string; status: RefundStatus }>
  payouts: Record<string, Owned & { status: PayoutStatus; attention: boolean }>
  booked: Record<string, true>
  told: Record<string, true>
}

const noSums: Sums = { available: 0, held: 0, receivable: 0, clearing: 0, fees: 0 }
export const ownerOf = (merchant: number, currency: string) => `${merchant} ${currency}`
export const lateRefundOf = (payment: string) => `late ${payment}`

/** Names the refunds of this amount of an order. A counter follows the name. */
export const undoneBy = (how: 'undo' | 'undoByHand', order: string, amount: number) =>
  `${how} ${order} of ${amount}, `

export function emptyState(owners: string[]): State {
  const balances = Object.fromEntries(owners.map((owner) => [owner, { ...noSums }]))
  return { balances, payments: {}, orders: {}, refunds: {}, payouts: {}, booked: {}, told: {} }
}

/** Credits an amount. Debt is repaid first. */
export function credit(sums: Sums, amount: number): void {
  sums.available += amount - sums.receivable
  sums.receivable = Math.max(0, -sums.available)
  sums.available = Math.max(0, sums.available)
}

export function debit(sums: Sums, amount: number): void {
  sums.clearing += amount
  credit(sums, -amount)
}

export function back(sums: Sums, amount: number): void {
  sums.clearing -= amount
  credit(sums, amount)
}

export function take(sums: Sums, amount: number): boolean {
  if (sums.available < amount) return false
  sums.available -= amount
  sums.held += amount
  return true
}

/** Holds an amount that cannot be refused. Whatever `available` does not cover becomes debt. */
export function takeOrOwe(sums: Sums, amount: number): void {
  credit(sums, -amount)
  sums.held += amount
}

export function release(sums: Sums, amount: number, isGone: boolean): void {
  sums.held -= amount
  if (isGone) sums.clearing += amount
  else credit(sums, amount)
}

export function fault(message: string): never {
  throw new Error(message)
}
