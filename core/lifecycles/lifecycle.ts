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
  /** The type of the object in the API, and the start of its events' names, such as `payment_link`. */
  object: Noun
  idPrefix: string
  /** The type of the workflow that each row has. Its id is the id of the row. */
  workflow: Workflow
  /** For each status, the statuses that may come next. The first one is that of a new row. */
  moves: Record<Status, readonly NoInfer<Status>[]>
  /** The statuses in which the row's workflow still has work to do. */
  open: readonly Open[]
  /** The name of a boolean column that keeps a row open after its status has ended. */
  openWhile?: string
  /** How long a row can stay open. The sweep comes to the longest last. */
  staysOpen: 'days' | 'weeks' | 'years'
  /** What a merchant can request, each an update of the workflow with this name. */
  commands: Record<Kind, Command<NoInfer<Status>>>
  /** When each of its events is sent, as `/docs` and `/event_types` describe it. */
  events: Record<Step, string>
}

/** What every room reads of a lifecycle: its table, its workflow, its commands, its events. */
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

/** Describes one state machine once. What can be derived from it is derived, wherever it is needed. */
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
 * A verdict that comes after the row has ended in one of the statuses `after`. It changes nothing if
 * one of the balance transactions `booked` exists: the money of that verdict has been booked before.
 */
type Late<Status extends string> = {
  after: readonly Status[]
  booked: readonly BalanceTransactionType[]
}

/** What a provider decides of a row. */
type Decisions<Status extends string, Verdict extends Status, Code extends string> = {
  verdicts: readonly Verdict[]
  failureCodes: readonly Code[]
  /**
   * For each verdict, whether it moves money that was booked otherwise. Null says that it moves none.
   * A verdict that is forgotten here does not compile, because its money would be lost.
   */
  late: Record<NoInfer<Verdict>, Late<NoInfer<Status>> | null>
}

/** A lifecycle with the verdicts of its provider. */
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

/** Whether the workflow of a row with this status still has work to do. */
export function isOpenStatus<Status extends string, Open extends Status>(
  { open }: { open: readonly Open[]; moves: Moves<Status> },
  status: Status,
): status is Open {
  return (open as readonly Status[]).includes(status)
}

/** What is late about `verdict` for a row that ended with `status`; null if it moves no money. */
export function findLate<Status extends string, Verdict extends Status>(
  { late }: { late: Record<Verdict, Late<Status> | null> },
  verdict: Verdict,
  status: Status,
): Late<Status> | null {
  const found = late[verdict]
  return found?.after.includes(status) ? found : null
}

/** The command that is done when a row moves to `status`. Any other command has come too late. */
export function commandDoneBy<Status extends string, Kind extends string>(
  { commands }: { commands: Record<Kind, Command<Status>> },
  status: Status,
): Kind | null {
  const kinds = Object.keys(commands) as Kind[]
  return kinds.find((kind) => commands[kind].to === status) ?? null
}
