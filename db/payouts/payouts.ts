import { AppError } from '../../core/errors.ts'
import {
  type Destination,
  maskDestination,
  type PayoutCommand,
  type PayoutStatus,
} from '../../core/lifecycles/payout.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import { hold } from '../../core/money/ledger.ts'
import { SANDBOX } from '../../core/sandbox.ts'
import type { Cipher } from '../../core/secrets.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { postTransaction } from '../ledger/ledger.ts'
import { lockToCommand } from '../lifecycle-steps.ts'
import { equals, type List, listRows, type Page } from '../lists.ts'
import { type CommandRow, insertCommand } from '../requests/commands.ts'
import { getterOf } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'
import { payouts } from './schema.ts'

export type PayoutRow = typeof payouts.$inferSelect
type NewPayout = Pick<
  PayoutRow,
  'merchantId' | 'amount' | 'currency' | 'destination' | 'description' | 'metadata' | 'provider'
>

/** Returns a payout as the API and its events show it. */
export function toPayout(row: PayoutRow) {
  return {
    id: row.id,
    object: 'payout' as const,
    status: row.status,
    amount: row.amount,
    currency: row.currency,
    destination: row.destination,
    failure_code: row.failureCode,
    needs_attention: row.needsAttention,
    description: row.description,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/**
 * Inserts a payout and its event, and holds its amount. Throws AppError when the merchant's balance
 * does not cover it.
 */
export async function insertPayout(tx: Tx, cipher: Cipher, values: NewPayout, now: Date) {
  const id = newId('payout')
  const { destination } = values
  const [payout] = await tx
    .insert(payouts)
    .values({
      id,
      ...values,
      destination: maskDestination(destination),
      destinationSealed: cipher.encrypt(JSON.stringify(destination), destinationContext(id)),
      ...timesOfNew(now),
    })
    .returning()
  if (!payout) throw new Error('The payout was not inserted')
  const { merchantId, amount } = payout
  const event = { type: 'payout.created' as const, merchantId, object: toPayout(payout) }
  const { deliveries } = await insertEvent(tx, event, now)
  await postTransaction(tx, payout, 'payout', hold(amount), now)
  return { payout, deliveries }
}

/** Decrypts the destination of a payout. Only the provider may get the destination. */
export function openDestination(cipher: Cipher, { id, destinationSealed }: PayoutRow): Destination {
  return JSON.parse(cipher.decrypt(destinationSealed, destinationContext(id))) as Destination
}

function destinationContext(id: string): string {
  return `payouts.destination/${id}`
}

export const getPayout = getterOf(payouts, 'payout')

type Filter = Page & { status?: PayoutStatus | undefined }

export function listPayouts(
  db: Db,
  merchantId: string,
  { status, ...page }: Filter,
): Promise<List<PayoutRow>> {
  return listRows(db, payouts, merchantId, page, [equals(payouts.status, status)])
}

/**
 * Inserts a command on a payout. Throws AppError when the status of the payout does not allow the
 * command, or when the payout has an open command already. The command `fail` on a completed payout
 * means that the payout is returned.
 */
export async function openPayoutCommand(
  tx: Tx,
  merchantId: string,
  id: string,
  { kind }: PayoutCommand,
  now: Date,
): Promise<CommandRow> {
  const payout = await lockToCommand(tx, payouts, { merchantId, id, kind })
  if (kind !== 'cancel' && payout.provider !== SANDBOX)
    throw new AppError('conflict', 'Only a payout of the sandbox can be told what becomes of it.')
  return insertCommand(tx, { merchantId, resourceId: id, kind, amount: null }, now)
}
