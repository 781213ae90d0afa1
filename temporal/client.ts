import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client'

type Options = { address: string; namespace: string; tls?: boolean; apiKey?: string | undefined }

/** A start that fails is the sweep's to do, so the caller of the API is not made to wait for more. */
const MAX_ATTEMPTS = 3
/** After an outage the channel is back this soon. */
const RECONNECT_MAX_MS = 5_000

/** Connects when it is first used: an API whose Temporal is away takes payments all the same. */
export function createTemporalClient({ address, namespace, tls, apiKey }: Options): Client {
  const connection = Connection.lazy({
    address,
    ...(tls && { tls }),
    ...(apiKey && { apiKey }),
    interceptors: [
      makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: MAX_ATTEMPTS })),
    ],
    channelArgs: { 'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS },
  })
  return new Client({ connection, namespace })
}
