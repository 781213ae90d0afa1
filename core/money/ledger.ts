import { AppError } from '../errors.ts'

/**
 * A merchant's accounts keep a balance, never below zero: what they can spend, what is held for
 * refunds and payouts on their way, and what they owe. The platform's have postings only.
 */
export const merchantAccounts = ['available', 'held', 'receivable'] as const
export const platformAccounts = ['clearing', 'fees'] as const
export type MerchantAccount = (typeof merchantAccounts)[number]
export type Account = MerchantAccount | (typeof platformAccounts)[number]

/** In minor units. */
export type Balances = Record<MerchantAccount, number>

/**
 * In minor units, a credit positive, a debit negative. `receivable`, which is what a merchant owes,
 * is the one account whose balance a debit raises.
 */
export type Posting = { account: Account; amount: number }

/** Posted as it is, or as the merchant's balances at that moment want it. */
export type Booking = (balances: Balances) => Posting[]

export const balanceTransactionTypes = [
  'payment',
  'late_payment', // a success that came too late: held, and refunded
  'topup',
  'refund', // held when it is accepted
  'refund_settlement',
  'refund_failure',
  'late_refund', // one that had failed, and reached the payer all the same
  'payout', // as a refund
  'payout_settlement',
  'payout_failure',
  'payout_cancel',
  'late_payout',
] as const
export type BalanceTransactionType = (typeof balanceTransactionTypes)[number]

/** A captured payment: what the provider owes us, of which the merchant gets all but the fee. */
export function creditPayment(amount: number, fee: number): Booking {
  return (balances) => [
    { account: 'clearing', amount: -amount },
    { account: 'fees', amount: fee },
    ...gain(amount - fee, balances),
  ]
}

export function topUp(amount: number): Booking {
  return (balances) => [{ account: 'clearing', amount: -amount }, ...gain(amount, balances)]
}

/** Money that came in for nothing, until it has gone back. */
export function holdLatePayment(amount: number): Booking {
  return () => move(amount, 'clearing', 'held')
}

/** Throws AppError when there is not that much. */
export function hold(amount: number): Booking {
  return ({ available }) => {
    if (available >= amount) return move(amount, 'available', 'held')
    const message = `The available balance is ${available}.`
    throw new AppError('insufficient_balance', message, { param: 'amount' })
  }
}

/** As `hold`, of what can't be refused: what the merchant does not have they owe. */
export function holdOrOwe(amount: number): Booking {
  return (balances) => [...loss(amount, balances), { account: 'held', amount }]
}

/** What was held has left us. */
export function settleHold(amount: number): Booking {
  return () => move(amount, 'held', 'clearing')
}

/** What was held has not left us. */
export function releaseHold(amount: number): Booking {
  return (balances) => [{ account: 'held', amount: -amount }, ...gain(amount, balances)]
}

/** What had left us has come back. */
export function creditReturn(amount: number): Booking {
  return topUp(amount)
}

/** What left us although we had given it back to the merchant: it can't be refused. */
export function debitLate(amount: number): Booking {
  return (balances) => [{ account: 'clearing', amount }, ...loss(amount, balances)]
}

/** The signs with which a posting moves its account's balance. */
export function balanceSign(account: Account): 1 | -1 | 0 {
  if (!(merchantAccounts as readonly Account[]).includes(account)) return 0
  return account === 'receivable' ? -1 : 1
}

function move(amount: number, from: Account, to: Account): Posting[] {
  return [
    { account: from, amount: -amount },
    { account: to, amount },
  ]
}

/** What a merchant owes is repaid first. */
function gain(amount: number, { receivable }: Balances): Posting[] {
  const repaid = Math.min(amount, receivable)
  return [
    { account: 'available', amount: amount - repaid },
    { account: 'receivable', amount: repaid },
  ]
}

/** What a merchant does not have they owe. */
function loss(amount: number, { available }: Balances): Posting[] {
  const taken = Math.min(amount, available)
  return [
    { account: 'available', amount: -taken },
    { account: 'receivable', amount: taken - amount },
  ]
}
