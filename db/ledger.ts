import { and, eq, sql } from 'drizzle-orm'
import { isMerchantAccount, type Posting } from '../core/ledger.ts'
import type { Db, Tx } from './client.ts'
import { newId } from './ids.ts'
import { balanceTransactions, ledgerAccounts, ledgerPostings } from './ledger-schema.ts'

type NewTransaction = Pick<
  typeof balanceTransactions.$inferInsert,
  'merchantId' | 'type' | 'sourceId' | 'currency'
> & { postings: Posting[] }

/**
 * Posts a transaction, in the transaction of the change that it books. Accounts are always locked in
 * the same order. Throws when an account would fall below zero, or the postings don't sum to zero.
 */
export async function postTransaction(tx: Tx, values: NewTransaction, now: Date): Promise<void> {
  const { postings, ...transaction } = values
  const id = newId('balanceTransaction')
  const booked = tx.$with('booked').as(
    tx
      .insert(balanceTransactions)
      .values({ id, ...transaction, createdAt: now })
      .returning({ id: balanceTransactions.id }),
  )
  const transactionId = sql`(select id from ${booked})` // so it is there before its postings are
  await tx
    .with(booked)
    .insert(ledgerPostings)
    .values(postings.map((posting) => ({ transactionId, ...posting })))

  const { merchantId, currency } = transaction
  const moves = postings.flatMap(({ account, amount }) =>
    isMerchantAccount(account) ? [{ merchantId, currency, account, balance: amount }] : [],
  )
  for (const move of moves.sort((a, b) => a.account.localeCompare(b.account))) {
    await moveBalance(tx, move)
  }
}

type Move = Omit<typeof ledgerAccounts.$inferInsert, 'balance'> & { balance: number }

/** First as an update: a proposed row with a debit would fail the CHECK before it met its conflict. */
async function moveBalance(tx: Tx, { balance, ...account }: Move): Promise<void> {
  const moved = await tx
    .update(ledgerAccounts)
    .set({ balance: sql`${ledgerAccounts.balance} + ${balance}` })
    .where(isAccount(account))
    .returning({ account: ledgerAccounts.account })
  if (moved.length > 0) return
  await tx
    .insert(ledgerAccounts)
    .values({ ...account, balance })
    .onConflictDoUpdate({
      target: [ledgerAccounts.merchantId, ledgerAccounts.account, ledgerAccounts.currency],
      set: { balance: sql`${ledgerAccounts.balance} + excluded.balance` },
    })
}

function isAccount({ merchantId, account, currency }: Omit<Move, 'balance'>) {
  return and(
    eq(ledgerAccounts.merchantId, merchantId),
    eq(ledgerAccounts.account, account),
    eq(ledgerAccounts.currency, currency),
  )
}

/** A merchant's balance on one account, in minor units. */
export async function balanceOf(
  db: Db,
  merchantId: string,
  account: 'available' | 'held' | 'receivable',
  currency: string,
): Promise<number> {
  const [row] = await db
    .select({ balance: ledgerAccounts.balance })
    .from(ledgerAccounts)
    .where(isAccount({ merchantId, account, currency }))
  return row?.balance ?? 0
}
