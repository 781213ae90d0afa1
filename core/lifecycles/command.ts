import { type LifecycleName, lifecycles, sweepOrder } from './index.ts'
import type { CommandOf } from './lifecycle.ts'

/** The name of a command is also the name of its workflow's update. */
export type CommandKind = { [N in LifecycleName]: CommandOf<(typeof lifecycles)[N]> }[LifecycleName]

/** The list has each kind once. The database checks that every command has one of these kinds. */
export const commandKinds = [
  ...new Set(sweepOrder.flatMap((name) => Object.keys(lifecycles[name].commands))),
] as [CommandKind, ...CommandKind[]]

/** A command is `refused` if it came too late, because something else happened to the resource. */
export const commandStatuses = ['open', 'done', 'refused'] as const
