import { AppError } from '../../core/errors.ts'
import type { PaymentCommand } from '../../core/lifecycles/payment.ts'
import type { Db, Tx } from '../client.ts'
import { lockToCommand } from '../lifecycle-steps.ts'
import { type CommandRow, findOpenCommand, insertCommand } from '../requests/commands.ts'
import { payableOf } from './payables.ts'
import type { PaymentRow } from './payments.ts'
import { payments } from './schema.ts'

/**
 * Inserts a command on a payment. Throws AppError when the status of the payment does not allow the
 * command, when the amount is above the amount of the payment, or when the payment has an open
 * command already.
 */
export async function openPaymentCommand(
  tx: Tx,
  merchantId: string,
  id: string,
  command: PaymentCommand,
  now: Date,
): Promise<CommandRow> {
  const payment = await lockToCommand(tx, payments, { merchantId, id, kind: command.kind })
  const amount = command.kind === 'capture' ? command.amount : null
  const payable = payableOf(payment)
  if (amount !== null && amount < payment.amount && payable) {
    const message = `The payment is for ${payable.noun}: all of it is captured, or nothing.`
    throw new AppError('order_mismatch', message, { param: 'amount' })
  }
  if (amount !== null && amount > payment.amount) {
    const message = `Only ${payment.amount} is authorized.`
    throw new AppError('capture_exceeds_authorized', message, { param: 'amount' })
  }
  return insertCommand(tx, { merchantId, resourceId: id, kind: command.kind, amount }, now)
}

/**
 * Returns a command to cancel the payment, the same as its merchant would send: a new command, or
 * the open one. Returns null if the payment can no longer be canceled, or has another open command.
 */
export async function askToCancel(
  db: Db,
  { id, merchantId }: PaymentRow,
  now: Date,
): Promise<CommandRow | null> {
  try {
    return await db.transaction((tx) =>
      openPaymentCommand(tx, merchantId, id, { kind: 'cancel' }, now),
    )
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'conflict')) throw error
    return findOpenCommand(db, id, 'cancel')
  }
}
