import type { CaptureMethod, FailureCode } from './payment.ts'

/** A charge as the sandbox provider keeps it: `created` has not taken any money yet. */
export const sandboxStatuses = [
  'created',
  'processing',
  'authorized',
  'succeeded',
  'failed',
  'canceled',
] as const

export type SandboxCharge = {
  id: string
  source: string // a vpa or a token
  amount: number
  captureMethod: CaptureMethod
  amountCaptured: number
  status: (typeof sandboxStatuses)[number]
  failureCode: FailureCode | null
  failedKeys: string[] // the idempotency keys that got a 503, and would get it again
  decidesAt: Date | null // null: never by itself
}

type NewCharge = Pick<SandboxCharge, 'source' | 'amount' | 'captureMethod'> & {
  key: string
  paymentId: string
  currency: string
  createdAt: Date
}
type Change = Partial<
  Pick<SandboxCharge, 'status' | 'failureCode' | 'failedKeys' | 'decidesAt' | 'amountCaptured'>
>

/** Where the sandbox keeps its charges. It is handed in, because providers know no database. */
export type SandboxStore = {
  /** The same key gives the same charge. */
  create(charge: NewCharge): Promise<SandboxCharge>
  /** Reads a charge and changes it while nobody else can. A null changes nothing. */
  change(
    id: string,
    decide: (charge: SandboxCharge) => Change | null,
  ): Promise<SandboxCharge | null>
}
