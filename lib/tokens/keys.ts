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

import { converted, type Replaceable } from './replaceable';

/** Joins fields with length prefixes, so that no two lists produce the same bytes. */
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

/** The secrets of a server. */
export type Secrets = Pick<Replaceable<string>, 'current'>;
/** Returns the keys of the present secrets. */
export type Keys = () => readonly Buffer[];

/** Derives a 256-bit key for a purpose and issuer from each secret, in the same order (RFC 5869). */
export function deriveKeys(secrets: Secrets, purpose: string, issuer: string): Keys {
  const info = framed(['express-oauth-router', purpose, issuer]);
  return converted(
    () => secrets.current,
    (list) => list.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', info, 32))),
  );
}

/** Authenticates short messages. The first key signs; all keys verify. */
export interface Authenticator {
  sign(message: Buffer): Buffer;
  /** Verifies a MAC, which may be truncated to `length` bytes. */
  verify(message: Buffer, mac: Buffer, length?: number): boolean;
}

export function createAuthenticator(keys: Keys): Authenticator {
  const prepared = converted(keys, (list) => list.map((key) => createSecretKey(key)));
  const mac = (key: KeyObject, message: Buffer): Buffer => createHmac('sha256', key).update(message).digest();
  return {
    sign: (message) => mac(first(prepared()), message),
    verify: (message, given, length) =>
      prepared().some((key) => {
        const expected = mac(key, message).subarray(0, length);
        return expected.length === given.length && timingSafeEqual(expected, given);
      }),
  };
}

/** Encrypts and authenticates text. The first key seals; all keys open. */
export interface Sealer {
  seal(text: string): string;
  /** Returns the text, or `undefined` if it was not sealed here for this purpose. */
  open(sealed: string): string | undefined;
}

const SALT_LENGTH = 24;
const TAG_LENGTH = 16;
const ZERO_NONCE = Buffer.alloc(12);

/**
 * Creates a sealer that uses AES-256-GCM with a key for each message, derived from a random salt: random 96-bit nonces under one
 * key are safe for 2^32 messages only (NIST SP 800-38D §8.3).
 */
export function createSealer(keys: Keys): Sealer {
  const messageKey = (key: Buffer, salt: Buffer): Buffer => createHmac('sha256', key).update(salt).digest();

  function seal(text: string): string {
    const salt = randomBytes(SALT_LENGTH);
    const cipher = createCipheriv('aes-256-gcm', messageKey(first(keys()), salt), ZERO_NONCE);
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([salt, body, cipher.getAuthTag()]).toString('base64url');
  }

  function open(sealed: string): string | undefined {
    const bytes = canonicalBytes(sealed);
    if (!bytes || bytes.length < SALT_LENGTH + TAG_LENGTH) return undefined;
    const salt = bytes.subarray(0, SALT_LENGTH);
    const body = bytes.subarray(SALT_LENGTH, -TAG_LENGTH);
    for (const key of keys()) {
      const decipher = createDecipheriv('aes-256-gcm', messageKey(key, salt), ZERO_NONCE, {
        authTagLength: TAG_LENGTH,
      });
      decipher.setAuthTag(bytes.subarray(-TAG_LENGTH));
      try {
        return decipher.update(body, undefined, 'utf8') + decipher.final('utf8');
      } catch {
        // Sealed with another key.
      }
    }
    return undefined;
  }

  return { seal, open };
}

/** Decodes unpadded base64url. Returns `undefined` unless the text is the canonical encoding: a token must have one form. */
export function canonicalBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function first<T>(keys: readonly T[]): T {
  const [key] = keys;
  if (!key) throw new TypeError('no key');
  return key;
}
