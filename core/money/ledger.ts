import { AppError } from '../errors.ts'

/**
 * Each account of a merchant keeps a balance, never below zero. The merchant can spend `available`;
 * `held` is for refunds and payouts on their way; `receivable` is the merchant's debt. The
 * platform's accounts have postings only.
 */
export const merchantAccounts = ['available', 'held', 'receivable'] as const
export const platformAccounts = ['clearing', 'fees'] as const
export type MerchantAccount = (typeof merchantAccounts)[number]
export type Account = MerchantAccount | (typeof platformAccounts)[number]

/** The balances are in minor units. */
export type Balances = Record<MerchantAccount, number>

/**
 * `amount` is in minor units: a credit is positive, a debit negative. A debit raises only the
 * balance of `receivable`, which is the merchant's debt.
 */
export type Posting = { account: Account; amount: number }

/** Returns the postings to make, which can depend on the merchant's balances at that moment. */
export type Booking = (balances: Balances) => Posting[]

export const balanceTransactionTypes = [
  'payment',
  'late_payment', // a late success: the money is held, and refunded
  'topup',
  'refund', // the amount is held when the refund is accepted
  'refund_settlement',
  'refund_failure',
  'late_refund', // a late success: a failed refund reached the payer
  'payout', // the amount is held when the payout is accepted
  'payout_settlement',
  'payout_failure',
  'payout_cancel',
  'late_payout',
] as const
export type BalanceTransactionType = (typeof balanceTransactionTypes)[number]

/** Books a captured payment: the provider owes us `amount`, the merchant gets all but the fee. */
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

/** Holds the money of a late success until the money has gone back to the payer. */
export function holdLatePayment(amount: number): Booking {
  return () => move(amount, 'clearing', 'held')
}

/** Holds `amount`. Throws AppError if `available` is less than `amount`. */
export function hold(amount: number): Booking {
  return ({ available }) => {
    if (available >= amount) return move(amount, 'available', 'held')
    const message = `The available balance is ${available}.`
    throw new AppError('insufficient_balance', message, { param: 'amount' })
  }
}

/** Holds an amount that can't be refused. The merchant owes the part that `available` lacks. */
export function holdOrOwe(amount: number): Booking {
  return (balances) => [...loss(amount, balances), { account: 'held', amount }]
}

/** Settles a hold: the held money has left us. */
export function settleHold(amount: number): Booking {
  return () => move(amount, 'held', 'clearing')
}

/** Releases a hold: the held money has not left us. */
export function releaseHold(amount: number): Booking {
  return (balances) => [{ account: 'held', amount: -amount }, ...gain(amount, balances)]
}

/** Credits money that had left us and has come back. */
export function creditReturn(amount: number): Booking {
  return topUp(amount)
}

/** Debits money that left us after we gave it back to the merchant. The debit can't be refused. */
export function debitLate(amount: number): Booking {
  return (balances) => [{ account: 'clearing', amount }, ...loss(amount, balances)]
}

/** Returns the sign with which a posting changes a balance; 0 if the account has no balance. */
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

/** A gain repays the merchant's debt first. */
function gain(amount: number, { receivable }: Balances): Posting[] {
  const repaid = Math.min(amount, receivable)
  return [
    { account: 'available', amount: amount - repaid },
    { account: 'receivable', amount: repaid },
  ]
}

/** The part of a loss that `available` does not cover becomes the merchant's debt. */
function loss(amount: number, { available }: Balances): Posting[] {
  const taken = Math.min(amount, available)
  return [
    { account: 'available', amount: -taken },
    { account: 'receivable', amount: taken - amount },
  ]
}
