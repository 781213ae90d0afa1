import { createCipher } from '../../core/secrets.ts'

/** Programs that a test starts get this key as REMIT_ENCRYPTION_KEY. */
export const testKey = Buffer.alloc(32, 7)
export const testCipher = createCipher([testKey])
