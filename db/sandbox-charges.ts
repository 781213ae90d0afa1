import { and, eq, getTableColumns, sql } from 'drizzle-orm'
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

    /** Decides on what it has read, and again where that has changed meanwhile. */
    async change(id, decide) {
      const theCharge = eq(sandboxCharges.id, id)
      for (;;) {
        const [read] = await db
          .select({ ...getTableColumns(sandboxCharges), version: sql<string>`xmin::text` })
          .from(sandboxCharges)
          .where(theCharge)
        if (!read) return null
        const { version, ...row } = read
        const change = decide(row)
        if (!change) return row
        const [changed] = await db
          .update(sandboxCharges)
          .set(change)
          .where(and(theCharge, sql`xmin::text = ${version}`))
          .returning()
        if (changed) return changed
      }
    },
  }
}
