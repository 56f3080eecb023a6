import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';

/** Length-prefixed, so that no two lists of fields give the same bytes. */
function framed(fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** One 256-bit key for each secret, purpose and issuer, in the order of the secrets (RFC 5869). */
export function deriveKeys(secrets: readonly string[], purpose: string, issuer: string): readonly Buffer[] {
  const info = framed(['express-oauth-router', purpose, issuer]);
  return secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', info, 32)));
}

/** Authenticates short messages. The first key signs, all verify. */
export interface Authenticator {
  sign(message: Buffer): Buffer;
  /** `length`: of a MAC that was cut to so many bytes. */
  verify(message: Buffer, mac: Buffer, length?: number): boolean;
}

export function authenticator(keys: readonly Buffer[]): Authenticator {
  const prepared = keys.map((key) => createSecretKey(key));
  const mac = (key: KeyObject, message: Buffer): Buffer => createHmac('sha256', key).update(message).digest();
  return {
    sign: (message) => mac(first(prepared), message),
    verify: (message, given, length) =>
      prepared.some((key) => {
        const expected = mac(key, message).subarray(0, length);
        return expected.length === given.length && timingSafeEqual(expected, given);
      }),
  };
}

/** Encrypts and authenticates text. The first key seals, all open. */
export interface Sealer {
  seal(text: string): string;
  /** `undefined` for whatever was not sealed here, for this purpose. */
  open(sealed: string): string | undefined;
}

const SALT_LENGTH = 24;
const TAG_LENGTH = 16;
const ZERO_NONCE = Buffer.alloc(12);

/**
 * AES-256-GCM under a key of its own for each message, derived from a random salt: a random 96-bit nonce under one key
 * would wear out after 2^32 messages (NIST SP 800-38D §8.3).
 */
export function sealer(keys: readonly Buffer[]): Sealer {
  const messageKey = (key: Buffer, salt: Buffer): Buffer => createHmac('sha256', key).update(salt).digest();

  function seal(text: string): string {
    const salt = randomBytes(SALT_LENGTH);
    const cipher = createCipheriv('aes-256-gcm', messageKey(first(keys), salt), ZERO_NONCE);
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([salt, body, cipher.getAuthTag()]).toString('base64url');
  }

  function open(sealed: string): string | undefined {
    const bytes = canonicalBytes(sealed);
    if (!bytes || bytes.length < SALT_LENGTH + TAG_LENGTH) return undefined;
    const salt = bytes.subarray(0, SALT_LENGTH);
    const body = bytes.subarray(SALT_LENGTH, -TAG_LENGTH);
    for (const key of keys) {
      const decipher = createDecipheriv('aes-256-gcm', messageKey(key, salt), ZERO_NONCE, {
        authTagLength: TAG_LENGTH,
      });
      decipher.setAuthTag(bytes.subarray(-TAG_LENGTH));
      try {
        return decipher.update(body, undefined, 'utf8') + decipher.final('utf8');
      } catch {
        // Not this key's.
      }
    }
    return undefined;
  }

  return { seal, open };
}

/** The bytes of unpadded base64url, if the text is the one encoding of them: otherwise one token had many spellings. */
export function canonicalBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function first<T>(keys: readonly T[]): T {
  const [key] = keys;
  if (!key) throw new TypeError('no key');
  return key;
}
