import { type LifecycleName, lifecycles, sweepOrder } from './index.ts'
import type { CommandOf } from './lifecycle.ts'

/** The name of a command is also the name of its workflow's update. */
export type CommandKind = { [N in LifecycleName]: CommandOf<(typeof lifecycles)[N]> }[LifecycleName]

/** Every kind once. The database checks that a command has one of them. */
export const commandKinds = [
  ...new Set(sweepOrder.flatMap((name) => Object.keys(lifecycles[name].commands))),
] as [CommandKind, ...CommandKind[]]

/** `refused`: it came too late, and something else has happened to the resource. */
export const commandStatuses = ['open', 'done', 'refused'] as const
