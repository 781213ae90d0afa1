/** What a merchant can ask of a resource that lives: each is an update of its workflow. */
export const commandKinds = ['capture', 'cancel'] as const
export type CommandKind = (typeof commandKinds)[number]

/** `refused`: it came too late, and something else has happened to the resource. */
export const commandStatuses = ['open', 'done', 'refused'] as const
export type CommandStatus = (typeof commandStatuses)[number]
