import { and, eq, sql } from 'drizzle-orm'
import { isMerchantAccount, type Posting } from '../core/ledger.ts'
import type { Db, Tx } from './client.ts'
import { newId } from './ids.ts'
import { balanceTransactions, ledgerAccounts, ledgerPostings } from './schema.ts'

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
  await tx.insert(balanceTransactions).values({ id, ...transaction, createdAt: now })
  await tx.insert(ledgerPostings).values(postings.map((p) => ({ transactionId: id, ...p })))

  const { merchantId, currency } = transaction
  const moves = postings.flatMap(({ account, amount }) =>
    isMerchantAccount(account) ? [{ merchantId, currency, account, balance: amount }] : [],
  )
  for (const move of moves.sort((a, b) => a.account.localeCompare(b.account))) {
    await tx
      .insert(ledgerAccounts)
      .values(move)
      .onConflictDoUpdate({
        target: [ledgerAccounts.merchantId, ledgerAccounts.account, ledgerAccounts.currency],
        set: { balance: sql`${ledgerAccounts.balance} + excluded.balance` },
      })
  }
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
    .where(
      and(
        eq(ledgerAccounts.merchantId, merchantId),
        eq(ledgerAccounts.account, account),
        eq(ledgerAccounts.currency, currency),
      ),
    )
  return row?.balance ?? 0
}
