import { asc, eq, inArray } from 'drizzle-orm'
import type { BalanceTransactionType, MerchantAccount, Posting } from '../../core/money/ledger.ts'
import { topUp } from '../../core/money/ledger.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { equals, type List, listRows, type Page } from '../lists.ts'
import { getterOf } from '../rows.ts'
import { postTransaction } from './ledger.ts'
import { balanceTransactions, ledgerAccounts, ledgerPostings } from './schema.ts'

type AccountRow = typeof ledgerAccounts.$inferSelect
type TransactionRow = typeof balanceTransactions.$inferSelect & { postings: Posting[] }

/**
 * Returns a merchant's balance as the API shows it, with each currency that the merchant has ever
 * had.
 */
export function toBalance(accounts: AccountRow[]) {
  const sums = (wanted: MerchantAccount) =>
    accounts
      .filter(({ account }) => account === wanted)
      .map(({ balance: amount, currency }) => ({ amount, currency }))
  return {
    object: 'balance' as const,
    available: sums('available'),
    held: sums('held'),
    owed: sums('receivable'),
  }
}

export function getBalances(db: Db, merchantId: string): Promise<AccountRow[]> {
  return db
    .select()
    .from(ledgerAccounts)
    .where(eq(ledgerAccounts.merchantId, merchantId))
    .orderBy(asc(ledgerAccounts.currency))
}

/** Returns a balance transaction as the API shows it. */
export function toBalanceTransaction(row: TransactionRow) {
  const available = row.postings.find(({ account }) => account === 'available')
  return {
    id: row.id,
    object: 'balance_transaction' as const,
    type: row.type,
    amount: available?.amount ?? 0,
    currency: row.currency,
    source: row.sourceId,
    postings: row.postings,
    created_at: row.createdAt.toISOString(),
  }
}

type Filter = Page & {
  type?: BalanceTransactionType | undefined
  source?: string | undefined
}

export async function listBalanceTransactions(
  db: Db,
  merchantId: string,
  { type, source, ...page }: Filter,
): Promise<List<TransactionRow>> {
  const { type: ofType, sourceId } = balanceTransactions
  const filters = [equals(ofType, type), equals(sourceId, source)]
  const list = await listRows(db, balanceTransactions, merchantId, page, filters)
  return { ...list, data: await withPostings(db, list.data) }
}

const getRow = getterOf(balanceTransactions, 'balance transaction')

export async function getBalanceTransaction(db: Db, merchantId: string, id: string) {
  const rows = await withPostings(db, [await getRow(db, merchantId, id)])
  return rows[0] as TransactionRow
}

async function withPostings(db: Db, rows: (typeof balanceTransactions.$inferSelect)[]) {
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  const posted = await db
    .select()
    .from(ledgerPostings)
    .where(inArray(ledgerPostings.transactionId, ids))
    .orderBy(asc(ledgerPostings.account))
  return rows.map((row) => ({
    ...row,
    postings: posted
      .filter(({ transactionId }) => transactionId === row.id)
      .map(({ account, amount }) => ({ account, amount })),
  }))
}

type NewTopup = { merchantId: string; amount: number; currency: string }

/**
 * Adds sandbox money to a merchant's balance. A top-up has no row: only its balance transaction is
 * kept.
 */
export async function insertTopup(tx: Tx, { merchantId, amount, currency }: NewTopup, now: Date) {
  const id = newId('topup')
  await postTransaction(tx, { id, merchantId, currency }, 'topup', topUp(amount), now)
  return { id, object: 'balance_topup' as const, amount, currency, created_at: now.toISOString() }
}
