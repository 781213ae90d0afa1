import { sleep } from '@temporalio/workflow'

/** Version 1 waits a day. */
export async function remindPayer(): Promise<string> {
  await sleep('1 day')
  return 'reminded'
}
