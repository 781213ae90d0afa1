import { bundleWorkflows } from './worker.ts'

/** A process of its own, which gives back the memory that bundling takes by ending. */
const { code } = await bundleWorkflows()
process.send?.(code)
