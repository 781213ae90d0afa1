import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client'

type Options = { address: string; namespace: string; tls?: boolean; apiKey?: string | undefined }

/** The API's caller does not wait for more attempts: the sweep repeats a start that failed. */
const MAX_ATTEMPTS = 3
/** After an outage the channel reconnects within this time. */
const RECONNECT_MAX_MS = 5_000

/** Connects on first use, so that an API without a reachable Temporal still takes payments. */
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
