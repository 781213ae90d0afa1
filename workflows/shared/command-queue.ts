type Entry<Command> = { command: Command; isAnswered: boolean }

/**
 * The commands that a workflow has accepted, oldest first. A command of the kind `overtaking` goes to
 * the front, because it makes the others pointless.
 */
export function commandQueue<Command extends { kind: string }>(overtaking?: Command['kind']) {
  const waiting: Entry<Command>[] = []
  let taken: Entry<Command> | undefined
  let isClosed = false

  return {
    /**
     * For the validators of updates. Throws after `close`: Temporal would give an update that this run
     * accepts the same answer in every later run, and nobody would carry it out.
     */
    assertOpen(): void {
      if (isClosed) throw new Error('The workflow has just ended: send the command to its next run')
    },
    /** The entry says when the command has its answer. */
    accept(command: Command): Readonly<Entry<Command>> {
      const entry = { command, isAnswered: false }
      if (command.kind === overtaking) waiting.unshift(entry)
      else waiting.push(entry)
      return entry
    },
    peek(): Command | null {
      return waiting[0]?.command ?? null
    },
    next(): Command | null {
      taken = waiting.shift()
      return taken?.command ?? null
    },
    /** Answers the command that `next` returned last, whether it was done or came too late. */
    answer(): void {
      if (taken) taken.isAnswered = true
    },
    close(): void {
      isClosed = true
    },
  }
}
