import { createCipher } from '../core/secrets.ts'

export const testCipher = createCipher([Buffer.alloc(32, 7)])
