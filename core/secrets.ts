import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

/** Encrypts with the first key, and decrypts with the key that encrypted the text. */
export type Cipher = {
  /** `context` binds a ciphertext to its row: in another row the ciphertext does not decrypt. */
  encrypt(plaintext: string, context: string): string
  decrypt(ciphertext: string, context: string): string
  /** Returns one fingerprint per key; store the first. A hash would be easier to guess back. */
  fingerprints(text: string): string[]
}

const ALGORITHM = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

/** Parses REMIT_ENCRYPTION_KEY: one or more keys of 32 bytes in base64, separated by commas. */
export function parseKeys(text: string): Buffer[] {
  return text.split(',').map((key) => Buffer.from(key.trim(), 'base64'))
}

/** Each of the `keys` has 32 bytes. The first key encrypts. */
export function createCipher(keys: Buffer[]): Cipher {
  const [current] = keys
  if (!current) throw new Error('There is no encryption key')
  const fingerprintKeys = keys.map((key) => hkdfSync('sha256', key, '', 'remit fingerprint', 32))

  return {
    encrypt(plaintext, context) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(ALGORITHM, current, iv).setAAD(Buffer.from(context))
      const sealed = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
      const box = Buffer.concat([iv, cipher.getAuthTag(), sealed])
      return `v1.${keyId(current)}.${box.toString('base64url')}`
    },

    decrypt(ciphertext, context) {
      const [version, id, text] = ciphertext.split('.')
      const key = keys.find((candidate) => keyId(candidate) === id)
      if (version !== 'v1' || !key || !text)
        throw new Error(`No key in REMIT_ENCRYPTION_KEY decrypts ${context}`)
      const box = Buffer.from(text, 'base64url')
      const decipher = createDecipheriv(ALGORITHM, key, box.subarray(0, IV_BYTES))
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(box.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
      const opened = decipher.update(box.subarray(IV_BYTES + TAG_BYTES))
      return Buffer.concat([opened, decipher.final()]).toString('utf8')
    },

    fingerprints(text) {
      return fingerprintKeys.map((key) =>
        createHmac('sha256', Buffer.from(key)).update(text).digest('hex'),
      )
    },
  }
}

/** Returns an id that says which key was used, and reveals nothing else about the key. */
function keyId(key: Buffer): string {
  return createHash('sha256').update('remit key id').update(key).digest('hex').slice(0, 8)
}

/** Use this hash for our own secrets, because a random secret cannot be guessed from its hash. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function equalsInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)))
}
