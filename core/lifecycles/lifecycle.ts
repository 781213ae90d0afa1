import type { BalanceTransactionType } from '../money/ledger.ts'
import type { Moves } from './transitions.ts'

/** A command takes its row from one of these statuses to `to`. `done` completes "cannot be …". */
type Command<Status extends string> = { from: readonly Status[]; to: Status; done: string }

type Definition<
  Noun extends string,
  Workflow extends string,
  Status extends string,
  Open extends Status,
  Kind extends string,
  Step extends string,
> = {
  /** The object's type in the API and the start of its events' names, such as `payment_link`. */
  object: Noun
  idPrefix: string
  /** The type of the workflow that each row has. The workflow's id is the id of the row. */
  workflow: Workflow
  /** Lists the statuses that may come after each status. A new row has the first status. */
  moves: Record<Status, readonly NoInfer<Status>[]>
  /** The statuses in which the row's workflow still has work to do. */
  open: readonly Open[]
  /** The name of a boolean column that keeps a row open after its status has ended. */
  openWhile?: string
  /** How long a row can stay open. The sweep takes the rows that stay open longest last. */
  staysOpen: 'days' | 'weeks' | 'years'
  /** A merchant can request these commands. A command is the workflow's update of that name. */
  commands: Record<Kind, Command<NoInfer<Status>>>
  /** Says when each event is sent. `/docs` and `/event_types` show these descriptions. */
  events: Record<Step, string>
}

/** The table, the workflow, the commands and the events of an object derive from its lifecycle. */
export type Lifecycle<
  Noun extends string = string,
  Workflow extends string = string,
  Status extends string = string,
  Open extends Status = Status,
  Kind extends string = string,
  Step extends string = string,
> = Omit<Definition<Noun, Workflow, Status, Open, Kind, Step>, 'moves'> & {
  moves: Moves<Status>
  statuses: readonly [Status, ...Status[]]
}

export type StatusOf<L extends { moves: object }> = keyof L['moves'] & string
export type CommandOf<L extends { commands: object }> = keyof L['commands'] & string

/** Describes a state machine once. Other code derives whatever it needs from the description. */
export function lifecycle<
  const Noun extends string,
  const Workflow extends string,
  Status extends string,
  const Open extends Status,
  Kind extends string,
  Step extends string,
>(
  definition: Definition<Noun, Workflow, Status, Open, Kind, Step>,
): Lifecycle<Noun, Workflow, Status, Open, Kind, Step> {
  const statuses = Object.keys(definition.moves) as [Status, ...Status[]]
  return { ...definition, statuses }
}

/**
 * A late verdict comes after its row has ended in one of the statuses `after`. If a balance
 * transaction of a type in `booked` exists, the verdict's money is booked, and the verdict changes
 * nothing.
 */
type Late<Status extends string> = {
  after: readonly Status[]
  booked: readonly BalanceTransactionType[]
}

/** The verdicts and the failure codes that a provider can give for a row. */
type Decisions<Status extends string, Verdict extends Status, Code extends string> = {
  verdicts: readonly Verdict[]
  failureCodes: readonly Code[]
  /**
   * Says for each verdict whether it moves money that was booked otherwise; null if it moves none.
   * A lifecycle without an entry for a verdict does not compile, because that money would be lost.
   */
  late: Record<NoInfer<Verdict>, Late<NoInfer<Status>> | null>
}

/** Adds the provider's verdicts to a lifecycle. */
export function withVerdicts<
  L extends Lifecycle,
  const Verdict extends StatusOf<L>,
  const Code extends string,
>(
  described: L,
  decisions: Decisions<StatusOf<L>, Verdict, Code>,
): L & Decisions<StatusOf<L>, Verdict, Code> {
  return { ...described, ...decisions }
}

/** Returns whether the workflow of a row with this status still has work to do. */
export function isOpenStatus<Status extends string, Open extends Status>(
  { open }: { open: readonly Open[]; moves: Moves<Status> },
  status: Status,
): status is Open {
  return (open as readonly Status[]).includes(status)
}

/** Returns the entry of `late` that applies after `status`; null if `verdict` moves no money. */
export function findLate<Status extends string, Verdict extends Status>(
  { late }: { late: Record<Verdict, Late<Status> | null> },
  verdict: Verdict,
  status: Status,
): Late<Status> | null {
  const found = late[verdict]
  return found?.after.includes(status) ? found : null
}

/** Returns the command that a move to `status` completes. Any other command came too late. */
export function commandDoneBy<Status extends string, Kind extends string>(
  { commands }: { commands: Record<Kind, Command<Status>> },
  status: Status,
): Kind | null {
  const kinds = Object.keys(commands) as Kind[]
  return kinds.find((kind) => commands[kind].to === status) ?? null
}
