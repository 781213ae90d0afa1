import { patched, proxyActivities, sleep } from '@temporalio/workflow'

type Activities = { recordReminder(): Promise<void> }

const { recordReminder } = proxyActivities<Activities>({ startToCloseTimeout: '30 seconds' })

/** Version 2 records the reminder first, unless version 1 started the workflow. */
export async function remindPayer(): Promise<string> {
  if (patched('record-reminder')) await recordReminder()
  await sleep('1 day')
  return 'reminded'
}
