export const orderStatuses = ['created', 'paid', 'fulfilled', 'canceled'] as const
