/** The moves of a state machine: each status maps to the statuses that may come next. */
export type Moves<Status extends string> = Record<Status, readonly Status[]>

/** Returns the statuses that a row may have just before `to`. A guarded update matches on them. */
export function statusesBefore<Status extends string>(moves: Moves<Status>, to: Status): Status[] {
  return (Object.keys(moves) as Status[]).filter((from) => moves[from].includes(to))
}
