import { Context } from '@temporalio/activity'
import type { Db } from '../../db/client.ts'
import { markNewsRead, newsReadUntil, strandForNews } from '../../db/recovery/news.ts'
import type { Providers } from '../../providers/index.ts'
import type { Now } from '../now.ts'

const PAGE = 100
/** Each read overlaps the last one by this, because providers list late and clocks differ. */
const NEWS_OVERLAP_MS = 10 * 60_000
const SLICE_MS = 60 * 60_000

type Deps = { db: Db; providers: Providers; now: Now }

export function newsActivities({ db, providers, now }: Deps) {
  return {
    /**
     * Reads the verdicts of all providers since the last read, and requeues ended rows that have a
     * late success or late failure. Returns how many there were.
     */
    async readNews(): Promise<number> {
      let found = 0
      for (const [name, provider] of Object.entries(providers)) {
        const startedAt = await now()
        let readUntil = (await newsReadUntil(db, name)) ?? startedAt
        do {
          const since = new Date(readUntil.getTime() - NEWS_OVERLAP_MS)
          readUntil = new Date(Math.min(readUntil.getTime() + SLICE_MS, startedAt.getTime()))
          for await (const page of pagesOf(provider.listNews(since, readUntil))) {
            found += await strandForNews(db, page, startedAt)
            Context.current().heartbeat(found)
          }
          await markNewsRead(db, name, readUntil) // slices catch up on a long time without a worker
        } while (readUntil < startedAt)
      }
      return found
    },
  }
}

async function* pagesOf<T>(all: AsyncIterable<T>): AsyncIterable<T[]> {
  let page: T[] = []
  for await (const one of all) {
    if (page.push(one) < PAGE) continue
    yield page
    page = []
  }
  yield page
}
