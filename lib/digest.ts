import { hash, timingSafeEqual } from 'node:crypto';

/** Returns the SHA-256 digest of a text (UTF-8) or bytes: base64url. */
export function sha256(data: string | Buffer): string {
  return hash('sha256', data, 'base64url');
}

/** Whether `digest` (base64url) is the SHA-256 digest of a text. They are compared in constant time. */
export function hasSha256(text: string, digest: string): boolean {
  const actual = hash('sha256', text, 'buffer');
  const expected = Buffer.from(digest, 'base64url');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
