import { createCipher } from '../../core/secrets.ts'

/** As in REMIT_ENCRYPTION_KEY. */
export const testKey = Buffer.alloc(32, 7)
export const testCipher = createCipher([testKey])
