/** The name of the sandbox provider in the column `provider`. */
export const SANDBOX = 'sandbox'
