import { and, asc, eq, getTableColumns, gte, lte, ne, notInArray, or, sql } from 'drizzle-orm'
import type { Db, Tx } from '../../db/client.ts'
import { newId } from '../../db/ids.ts'
import { sandboxCharges, sandboxTransfers } from './schema.ts'

export type ChargeRow = typeof sandboxCharges.$inferSelect
export type TransferRow = typeof sandboxTransfers.$inferSelect
type NewCharge = Pick<
  ChargeRow,
  'key' | 'paymentId' | 'source' | 'amount' | 'currency' | 'captureMethod' | 'createdAt'
>
type NewTransfer = Pick<
  TransferRow,
  'key' | 'kind' | 'objectId' | 'chargeId' | 'amount' | 'currency' | 'createdAt'
>
export type TransferState = Pick<
  TransferRow,
  'status' | 'failureCode' | 'startsAt' | 'decidesAt' | 'returnsAt'
>
/** These values decide the fate of a new transfer. `refundable` is what its charge has left. */
export type TransferCircumstances = {
  target: string
  earlier: TransferRow[]
  refundable: number
}

type Begin = (circumstances: TransferCircumstances) => TransferState

export type SandboxStore = ReturnType<typeof sandboxStore>

type Table = typeof sandboxCharges | typeof sandboxTransfers

/** Keeps charges and transfers in the sandbox's own tables, as if on the provider's own server. */
export function sandboxStore(db: Db) {
  return {
    create: (charge: NewCharge) => createCharge(db, charge),
    createTransfer: (transfer: NewTransfer & { target?: string }, begin: Begin) =>
      db.transaction((tx) => createTransfer(tx, transfer, begin)),
    change: (id: string, decide: (charge: ChargeRow) => Partial<ChargeRow> | null) =>
      changeRow(db, sandboxCharges, id, decide),
    changeTransfer: (
      id: string,
      decide: (transfer: TransferRow) => Partial<TransferState> | null,
    ) => changeRow(db, sandboxTransfers, id, decide),
    findTransfer: (objectId: string) => findTransfer(db, objectId),
    findDue: (since: Date, until: Date) => findDue(db, since, until),
  }
}

/** A repeated key returns the first charge. */
async function createCharge(db: Db, charge: NewCharge): Promise<ChargeRow> {
  const [made] = await db
    .insert(sandboxCharges)
    .values({ id: newId('sandboxCharge'), ...charge })
    .onConflictDoUpdate({ target: sandboxCharges.key, set: { key: charge.key } })
    .returning()
  if (!made) throw new Error(`The sandbox lost the charge ${charge.key}`)
  return made
}

/** A repeated key returns the first transfer. A refund goes to the source of its charge. */
async function createTransfer(
  tx: Tx,
  { target, ...transfer }: NewTransfer & { target?: string },
  begin: Begin,
): Promise<TransferRow> {
  const charge = transfer.chargeId === null ? null : await lockCharge(tx, transfer.chargeId)
  const { key, objectId } = transfer
  const sameKey = eq(sandboxTransfers.key, key)
  const [known] = await tx.select().from(sandboxTransfers).where(sameKey)
  if (known) return known
  const sameObject = eq(sandboxTransfers.objectId, objectId)
  const circumstances = {
    target: charge?.source ?? target ?? '',
    refundable: charge ? charge.amountCaptured - (await refundedOf(tx, charge.id)) : 0,
    earlier: await tx.select().from(sandboxTransfers).where(sameObject),
  }
  const row = { id: newId('sandboxTransfer'), ...transfer, target: circumstances.target }
  const [made] = await tx
    .insert(sandboxTransfers)
    .values({ ...row, ...begin(circumstances) })
    .onConflictDoUpdate({ target: sandboxTransfers.key, set: { key } })
    .returning()
  if (!made) throw new Error(`The sandbox lost the transfer ${key}`)
  return made
}

/**
 * Changes a row as `decide` says, and calls `decide` again if another change came in between. If
 * `decide` returns null, the row stays unchanged.
 */
async function changeRow<T extends Table>(
  db: Db,
  table: T,
  id: string,
  decide: (row: T['$inferSelect']) => object | null,
): Promise<T['$inferSelect'] | null> {
  const anyTable: typeof sandboxCharges = table as never
  const theRow = eq(table.id, id)
  for (;;) {
    const [read] = await db
      .select({ ...getTableColumns(anyTable), version: sql<string>`xmin::text` })
      .from(anyTable)
      .where(theRow)
    if (!read) return null
    const { version, ...row } = read
    const change = decide(row as T['$inferSelect'])
    if (!change) return row as T['$inferSelect']
    const [changed] = await db
      .update(anyTable)
      .set(change)
      .where(and(theRow, sql`xmin::text = ${version}`))
      .returning()
    if (changed) return changed as T['$inferSelect']
  }
}

/** Finds the transfer that the sandbox accepted for this object. */
async function findTransfer(db: Db, objectId: string): Promise<TransferRow | null> {
  const { objectId: object, status, id } = sandboxTransfers
  const [found] = await db
    .select()
    .from(sandboxTransfers)
    .where(and(eq(object, objectId), ne(status, 'unavailable')))
    .orderBy(asc(id))
    .limit(1)
  return found ?? null
}

/** Finds the charges and transfers that have a date from `since` to `until`. */
async function findDue(db: Db, since: Date, until: Date) {
  const { decidesAt, returnsAt, objectId, kind } = sandboxTransfers
  const charges = await db
    .select({ id: sandboxCharges.id, paymentId: sandboxCharges.paymentId })
    .from(sandboxCharges)
    .where(and(gte(sandboxCharges.decidesAt, since), lte(sandboxCharges.decidesAt, until)))
  const transfers = await db
    .selectDistinct({ kind, objectId })
    .from(sandboxTransfers)
    .where(
      or(
        and(gte(decidesAt, since), lte(decidesAt, until)),
        and(gte(returnsAt, since), lte(returnsAt, until)),
      ),
    )
  return { charges, transfers }
}

/** The lock keeps two refunds from sharing the amount that is left of their charge. */
async function lockCharge(tx: Tx, id: string) {
  const [charge] = await tx
    .select()
    .from(sandboxCharges)
    .where(eq(sandboxCharges.id, id))
    .for('update')
  if (!charge) throw new Error(`Sandbox: no such charge: ${id}`)
  return charge
}

async function refundedOf(tx: Tx, chargeId: string): Promise<number> {
  const gone = notInArray(sandboxTransfers.status, ['unavailable', 'failed'])
  const [{ sum } = { sum: 0 }] = await tx
    .select({ sum: sql<number>`coalesce(sum(${sandboxTransfers.amount}), 0)`.mapWith(Number) })
    .from(sandboxTransfers)
    .where(and(eq(sandboxTransfers.chargeId, chargeId), gone))
  return sum
}
