/** A UPI address: a name, and the handle of the bank or app that knows it. */
export const vpaPattern = /^[A-Za-z0-9._-]{1,255}@[A-Za-z][A-Za-z0-9.-]{1,63}$/

/** Two letters of a longer name tell its owner which one it is, and nobody else. */
export function maskVpa(vpa: string): string {
  const at = vpa.indexOf('@')
  return `${at > 3 ? vpa.slice(0, 2) : ''}***${vpa.slice(at)}`
}
