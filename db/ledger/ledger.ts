import { and, eq, inArray, sql } from 'drizzle-orm'
import {
  type Balances,
  type BalanceTransactionType,
  type Booking,
  balanceSign,
  merchantAccounts,
} from '../../core/money/ledger.ts'
import type { Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { balanceTransactions, ledgerAccounts } from './schema.ts'

/** What a transaction books: a payment, a refund and the like. */
type Source = { id: string; merchantId: string; currency: string }

/**
 * Posts a transaction, in the transaction of the change that it books, and as its last query but one:
 * it locks the merchant's accounts of the currency until that commits. Returns the transaction's id.
 * Throws what `book` throws, and when an account would fall below zero, or the postings don't sum to
 * zero.
 */
export async function postTransaction(
  tx: Tx,
  { id: sourceId, merchantId, currency }: Source,
  type: BalanceTransactionType,
  book: Booking,
  now: Date,
): Promise<string> {
  const balances = await lockBalances(tx, merchantId, currency)
  const postings = book(balances).filter(({ amount }) => amount !== 0)
  const id = newId('balanceTransaction')
  const accounts = sql.param(postings.map(({ account }) => account))
  const amounts = sql.param(postings.map(({ amount }) => amount))
  const signs = sql.param(postings.map(({ account }) => balanceSign(account)))
  await tx.execute(sql`
    with booked as (
      insert into ${balanceTransactions} (id, merchant_id, type, source_id, currency, created_at)
      values (${id}, ${merchantId}, ${type}, ${sourceId}, ${currency}, ${now.toISOString()})
      returning id
    ), posting as (
      select * from unnest(${accounts}::text[], ${amounts}::bigint[], ${signs}::int[])
        as p (account, amount, sign)
    ), moved as (
      update ${ledgerAccounts} owned set balance = owned.balance + posting.sign * posting.amount
      from posting
      where owned.merchant_id = ${merchantId} and owned.currency = ${currency}
        and owned.account = posting.account
    )
    insert into ledger_postings (transaction_id, account, amount)
    select booked.id, posting.account, posting.amount from booked, posting`)
  return id
}

/** The accounts are always locked in the same order; those that are missing are made. */
async function lockBalances(tx: Tx, merchantId: string, currency: string): Promise<Balances> {
  const found = await tx
    .select({ account: ledgerAccounts.account, balance: ledgerAccounts.balance })
    .from(ledgerAccounts)
    .where(and(eq(ledgerAccounts.merchantId, merchantId), eq(ledgerAccounts.currency, currency)))
    .orderBy(ledgerAccounts.account)
    .for('no key update')
  const rows =
    found.length === merchantAccounts.length ? found : await openAccounts(tx, merchantId, currency)
  return Object.fromEntries(rows.map(({ account, balance }) => [account, balance])) as Balances
}

/** Whoever opened them meanwhile is waited for, and what was booked on them by then is told. */
function openAccounts(tx: Tx, merchantId: string, currency: string) {
  return tx
    .insert(ledgerAccounts)
    .values(merchantAccounts.map((account) => ({ merchantId, currency, account })))
    .onConflictDoUpdate({
      target: [ledgerAccounts.merchantId, ledgerAccounts.account, ledgerAccounts.currency],
      set: { balance: sql`${ledgerAccounts.balance}` },
    })
    .returning({ account: ledgerAccounts.account, balance: ledgerAccounts.balance })
}

/** Whether one of these has been booked of a source, whose row the caller has locked. */
export async function isPosted(tx: Tx, sourceId: string, types: readonly BalanceTransactionType[]) {
  const { id, type } = balanceTransactions
  const ofSource = and(eq(balanceTransactions.sourceId, sourceId), inArray(type, [...types]))
  return (await tx.select({ id }).from(balanceTransactions).where(ofSource)).length > 0
}
