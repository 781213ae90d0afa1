/** `undo` undoes a step, if there is anything to undo, and returns in words what it did. */
type Compensation = { what: string; undo: () => Promise<string> }

/**
 * Holds the compensations of a saga. Each is registered before the step that it undoes can begin,
 * and they run from the last to the first. No compensation is given up: an error that `undo` throws
 * ends the workflow, where an operator sees the error, and the next run begins all compensations
 * again.
 */
export function openCompensations(show: (steps: string[]) => void) {
  const registered: Compensation[] = []
  return {
    register(what: string, undo: () => Promise<string>): void {
      registered.push({ what, undo })
    },
    /**
     * Returns what was done, step by step. `show` gets the next step first, because the UI cuts off
     * long texts.
     */
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
