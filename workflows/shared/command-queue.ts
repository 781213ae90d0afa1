type Entry<Command> = { command: Command; isAnswered: boolean }

/**
 * The commands that a workflow has accepted, oldest first. A command of the kind `overtaking` goes
 * to the front, because it makes the others pointless.
 */
export function commandQueue<Command extends { kind: string }>(overtaking?: Command['kind']) {
  let waiting: Entry<Command>[] = []
  let taken: Entry<Command>[] = [] // by `next`, with the entries that waited behind it
  let isClosed = false

  return {
    /**
     * Validators of updates call this. After `close`, this throws: if this run accepted an update,
     * Temporal would give that update the same answer in every later run, and nobody would carry it
     * out.
     */
    assertOpen(): void {
      if (isClosed) throw new Error('The workflow has just ended: send the command to its next run')
    },
    /** Returns an entry, whose `isAnswered` becomes true when the command has its answer. */
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
      taken = [...waiting]
      return waiting.shift()?.command ?? null
    },
    /** Answers the command that `next` returned last. */
    answer(): void {
      if (taken[0]) taken[0].isAnswered = true
    },
    /**
     * Answers the command that `next` returned last, and the commands that waited behind it: they
     * would be refused too.
     */
    refuse(): void {
      for (const entry of taken) entry.isAnswered = true
      waiting = waiting.filter(({ isAnswered }) => !isAnswered)
    },
    close(): void {
      isClosed = true
    },
  }
}
