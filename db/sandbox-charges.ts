import { eq } from 'drizzle-orm'
import type { SandboxStore } from '../core/sandbox.ts'
import type { Db } from './client.ts'
import { newId } from './ids.ts'
import { sandboxCharges } from './schema.ts'

/** What the sandbox provider keeps its charges in: a table of its own, as if on its own server. */
export function sandboxStore(db: Db): SandboxStore {
  return {
    async create(charge) {
      const [made] = await db
        .insert(sandboxCharges)
        .values({ id: newId('sandboxCharge'), ...charge })
        .onConflictDoUpdate({ target: sandboxCharges.key, set: { key: charge.key } })
        .returning()
      if (!made) throw new Error(`The sandbox lost the charge ${charge.key}`)
      return made
    },

    change(id, decide) {
      return db.transaction(async (tx) => {
        const theCharge = eq(sandboxCharges.id, id)
        const [row] = await tx.select().from(sandboxCharges).where(theCharge).for('update')
        const change = row && decide(row)
        if (!change) return row ?? null
        const [changed] = await tx.update(sandboxCharges).set(change).where(theCharge).returning()
        return changed ?? null
      })
    },
  }
}
