import {
  defineSearchAttributeKey,
  type SearchAttributePair,
  TypedSearchAttributes,
} from '@temporalio/common'

/** Operators search by these attributes. Being unencrypted, they hold ids, never personal data. */
const keys = {
  merchantId: defineSearchAttributeKey('MerchantId', 'KEYWORD'),
  eventType: defineSearchAttributeKey('EventType', 'KEYWORD'),
  endpointId: defineSearchAttributeKey('EndpointId', 'KEYWORD'),
}

export const searchAttributeNames = Object.values(keys).map(({ name }) => name)

export function searchAttributes(values: Partial<Record<keyof typeof keys, string>>) {
  const pairs: SearchAttributePair[] = []
  for (const name of ['merchantId', 'eventType', 'endpointId'] as const) {
    const value = values[name]
    if (value !== undefined) pairs.push({ key: keys[name], value })
  }
  return new TypedSearchAttributes(pairs)
}
