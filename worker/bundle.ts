import { bundleWorkflows } from './worker.ts'

/** This file runs as a separate process, which gives back the memory of bundling when it ends. */
const { code } = await bundleWorkflows()
process.send?.(code)
