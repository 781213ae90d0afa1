/** A merchant's accounts keep a balance, never below zero. The platform's have postings only. */
export const merchantAccounts = ['available', 'held', 'receivable'] as const
export const platformAccounts = ['clearing', 'fees'] as const
type MerchantAccount = (typeof merchantAccounts)[number]
export type Account = MerchantAccount | (typeof platformAccounts)[number]

export const balanceTransactionTypes = ['payment'] as const

/** In minor units, signed. */
export type Posting = { account: Account; amount: number }

/** A captured payment: what the provider owes us, of which the merchant gets all but the fee. */
export function paymentPostings(amount: number, fee: number): Posting[] {
  const postings: Posting[] = [
    { account: 'clearing', amount: -amount },
    { account: 'available', amount: amount - fee },
    { account: 'fees', amount: fee },
  ]
  return postings.filter((posting) => posting.amount !== 0)
}

export function isMerchantAccount(account: Account): account is MerchantAccount {
  return (merchantAccounts as readonly Account[]).includes(account)
}
