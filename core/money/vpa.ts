/** A UPI address is a name and the handle of the bank or app that knows the name. */
export const vpaPattern = /^[A-Za-z0-9._-]{1,255}@[A-Za-z][A-Za-z0-9.-]{1,63}$/

/** Keeps two letters of a longer name, by which only its owner can recognize the address. */
export function maskVpa(vpa: string): string {
  const at = vpa.indexOf('@')
  return `${at > 3 ? vpa.slice(0, 2) : ''}***${vpa.slice(at)}`
}
