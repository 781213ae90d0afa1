/** Every move of a state machine: from each status, those that may come next. */
export type Moves<Status extends string> = Record<Status, readonly Status[]>

/** The statuses that something may be in just before `to`. A guarded update matches on these. */
export function statusesBefore<Status extends string>(moves: Moves<Status>, to: Status): Status[] {
  return (Object.keys(moves) as Status[]).filter((from) => moves[from].includes(to))
}
