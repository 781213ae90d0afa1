import { merchantWorkflowTypes, type WorkflowArgs } from '../../temporal/starts.ts'

type Workflows = typeof import('../../workflows/index.ts')

/** This compiles only if each workflow takes the input that its starts give. */
const inputs: Record<keyof WorkflowArgs, true> = {
  processPayment: takes<'processPayment'>(true),
  processRefund: takes<'processRefund'>(true),
  processPayout: takes<'processPayout'>(true),
  orderSaga: takes<'orderSaga'>(true),
  paymentLinkLifecycle: takes<'paymentLinkLifecycle'>(true),
  applyInboundEvent: takes<'applyInboundEvent'>(true),
  publishEvent: takes<'publishEvent'>(true),
  deliverWebhook: takes<'deliverWebhook'>(true),
}

function takes<Type extends keyof WorkflowArgs>(
  fits: WorkflowArgs[Type] extends Parameters<Workflows[Type]> ? true : never,
): true {
  return fits
}

test('every workflow that is started for a merchant is listed by type', () => {
  expect([...merchantWorkflowTypes].sort()).toEqual(Object.keys(inputs).sort())
})
