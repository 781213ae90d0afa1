import { proxyActivities, sleep } from '@temporalio/workflow'

type Activities = { recordReminder(): Promise<void> }

const { recordReminder } = proxyActivities<Activities>({ startToCloseTimeout: '30 seconds' })

/** Version 2 records the reminder first. Its workers fail each workflow that version 1 started. */
export async function remindPayer(): Promise<string> {
  await recordReminder()
  await sleep('1 day')
  return 'reminded'
}
