import type { CaptureMethod, FailureCode } from '../../core/lifecycles/payment.ts'

/** The name that the sandbox goes by in rows. */
export const SANDBOX = 'sandbox'

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

export const transferKinds = ['refund', 'payout'] as const

/** `unavailable` is what came of a key that got a 503: nothing has left. */
export const transferStatuses = [
  'unavailable',
  'accepted',
  'processing',
  'succeeded',
  'failed',
  'canceled',
] as const

/** What leaves, as the sandbox keeps it. */
export type SandboxTransfer = {
  id: string
  key: string
  kind: (typeof transferKinds)[number]
  objectId: string // a refund's or a payout's, as the caller names it
  target: string // a vpa, a token, or an account for tests
  status: (typeof transferStatuses)[number]
  failureCode: string | null
  startsAt: Date | null
  decidesAt: Date | null
  returnsAt: Date | null
}
type TransferState = Pick<
  SandboxTransfer,
  'status' | 'failureCode' | 'startsAt' | 'decidesAt' | 'returnsAt'
>
type NewTransfer = Pick<SandboxTransfer, 'key' | 'kind' | 'objectId'> & {
  chargeId: string | null
  amount: number
  currency: string
  createdAt: Date
}
/** What the fate of a transfer depends on: `refundable` is what is left of its charge. */
export type TransferCircumstances = {
  target: string
  earlier: SandboxTransfer[]
  refundable: number
}

/** Where the sandbox keeps its charges. It is handed in, because providers know no database. */
export type SandboxStore = {
  /** The same key gives the same charge. */
  create(charge: NewCharge): Promise<SandboxCharge>
  /** Reads a charge and changes it while nobody else can. A null changes nothing. */
  change(
    id: string,
    decide: (charge: SandboxCharge) => Change | null,
  ): Promise<SandboxCharge | null>
  /** The same key gives the same transfer. A refund's target is what its charge was made from. */
  createTransfer(
    transfer: NewTransfer & { target?: string },
    begin: (circumstances: TransferCircumstances) => TransferState,
  ): Promise<SandboxTransfer>
  /** The one that was accepted for this object. */
  findTransfer(objectId: string): Promise<SandboxTransfer | null>
  /** As `change`, of a transfer. */
  changeTransfer(
    id: string,
    decide: (transfer: SandboxTransfer) => Partial<TransferState> | null,
  ): Promise<SandboxTransfer | null>
  /** What a date within this time was set for. */
  findDue(
    since: Date,
    until: Date,
  ): Promise<{
    charges: { id: string; paymentId: string }[]
    transfers: Pick<SandboxTransfer, 'kind' | 'objectId'>[]
  }>
}
