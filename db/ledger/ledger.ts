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

/** The object that a balance transaction books, such as a payment or a refund. */
type Source = { id: string; merchantId: string; currency: string }

/**
 * Posts a balance transaction, inside the database transaction of the change that it books. Callers
 * post last, because the lock on the merchant's accounts of the currency lasts until the commit.
 * Returns the id of the balance transaction. Throws what `book` throws, and when an account would
 * fall below zero. Postings that do not sum to zero make the commit fail.
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

/** Locks the accounts, always in the same order, and opens the accounts that are missing. */
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

/**
 * Opens the accounts. If another transaction has just opened the same accounts, the insert waits
 * for the commit of that transaction. It then returns what was booked by then.
 */
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

/**
 * Returns true if the source has a balance transaction of one of these types. The caller has locked
 * the row of the source.
 */
export async function isPosted(tx: Tx, sourceId: string, types: readonly BalanceTransactionType[]) {
  const { id, type } = balanceTransactions
  const ofSource = and(eq(balanceTransactions.sourceId, sourceId), inArray(type, [...types]))
  return (await tx.select({ id }).from(balanceTransactions).where(ofSource)).length > 0
}
