/** What undoes a step. It says in words what it did, and does nothing where there is nothing to undo. */
type Compensation = { what: string; undo: () => Promise<string> }

/**
 * The way back of a saga. Each compensation is registered before the step that it undoes can begin, and
 * they run from the last to the first. None is given up: what `undo` throws ends the workflow, where it
 * is seen, and the next run begins the way back again.
 */
export function openCompensations(show: (steps: string[]) => void) {
  const registered: Compensation[] = []
  return {
    register(what: string, undo: () => Promise<string>): void {
      registered.push({ what, undo })
    },
    /** Returns what was done, step by step. What is next stands first: the UI cuts off what is long. */
    async run(): Promise<string[]> {
      const done: string[] = []
      for (const { what, undo } of registered.toReversed()) {
        show([`- → ${what}`, ...done.map((step) => `- ✓ ${step}`)])
        done.push(await undo())
      }
      return done
    },
  }
}
