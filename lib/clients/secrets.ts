import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { OAuthError } from '../errors';

/** OWASP's parameters for scrypt at 32 MiB. A hash carries its own, so they can be raised. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 3 };
const SCRYPT_MAXIMUM_MEMORY = 256 * 1024 * 1024;

/** Each run takes a thread of libuv's four and 32 MiB: two at once, and a short queue before 503. */
const CONCURRENT_RUNS = 2;
const QUEUE_LIMIT = 100;
/** Of one hash: whoever guesses at one client's secret must not keep the others waiting. */
const QUEUE_LIMIT_OF_ONE = 8;

/** A new client secret with 256 random bits, and the hash of it to store. */
export function generateClientSecret(): { clientSecret: string; clientSecretHash: string } {
  const clientSecret = randomBytes(32).toString('base64url');
  return { clientSecret, clientSecretHash: hashGeneratedSecret(clientSecret) };
}

/** SHA-256 is enough for a secret that nobody can guess. */
export function hashGeneratedSecret(clientSecret: string): string {
  return `sha256:${createHash('sha256').update(clientSecret).digest('base64url')}`;
}

/** Hashes a secret that somebody chose with scrypt, to be stored as `clientSecretHash`. */
export async function hashClientSecret(clientSecret: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await runScrypt(clientSecret, salt, SCRYPT.N, SCRYPT.r, SCRYPT.p, 32);
  return [
    'scrypt',
    SCRYPT.N,
    SCRYPT.r,
    SCRYPT.p,
    salt.toString('base64url'),
    hash.toString('base64url'),
  ].join(':');
}

const HASH = /^(?:sha256:[\w-]{43}|scrypt:(\d{1,6}):(\d{1,2}):(\d{1,2}):[\w-]{8,100}:[\w-]{22,100})$/;
/** What one verification may cost: N × r × p of the strongest of OWASP's choices, four times over. */
const MAXIMUM_COST = 4 * 2 ** 17 * 8;

export function isSecretHash(value: string): boolean {
  const [matched, N = 0, r = 0, p = 0] = HASH.exec(value) ?? [];
  return matched !== undefined && Number(N) * Number(r) * Number(p) <= MAXIMUM_COST;
}

/** What was verified once: a digest over the hash and the secret, so that neither stands in memory twice. */
const verified = new LRUCache<string, true>({ max: 1000 });
const cacheKey = randomBytes(32);

/** Whether a secret is the one of a hash, in constant time. @throws OAuthError 503 when too many wait. */
export async function verifyClientSecret(clientSecret: string, hash: string): Promise<boolean> {
  const [scheme, ...fields] = hash.split(':');
  if (scheme === 'sha256') {
    const digest = createHash('sha256').update(clientSecret).digest();
    return timingSafeEqual(digest, Buffer.from(fields[0] ?? '', 'base64url'));
  }

  const digest = createHash('sha256').update(cacheKey).update(hash).update('\0').update(clientSecret);
  const key = digest.digest('base64url');
  if (verified.get(key)) return true;

  const [N, r, p, salt = '', expected = ''] = fields;
  const expectedBytes = Buffer.from(expected, 'base64url');
  const salted = Buffer.from(salt, 'base64url');
  const actual = await runScrypt(clientSecret, salted, Number(N), Number(r), Number(p), expectedBytes.length);
  const matches = timingSafeEqual(actual, expectedBytes);
  if (matches) verified.set(key, true);
  return matches;
}

let running = 0;
const waiting: { of: string; start: () => void }[] = [];

async function runScrypt(
  secret: string,
  salt: Buffer,
  N: number,
  r: number,
  p: number,
  length: number,
): Promise<Buffer> {
  await turn(salt.toString('base64url'));
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      scrypt(secret, salt, length, { N, r, p, maxmem: SCRYPT_MAXIMUM_MEMORY }, (error, key) => {
        if (error) reject(error);
        else resolve(key);
      });
    });
  } finally {
    // The slot goes to the next in line, or is given back.
    const next = waiting.shift();
    if (next) next.start();
    else running--;
  }
}

async function turn(of: string): Promise<void> {
  if (running < CONCURRENT_RUNS) {
    running++;
    return;
  }
  const ofOne = waiting.filter((waiter) => waiter.of === of).length;
  if (waiting.length >= QUEUE_LIMIT || ofOne >= QUEUE_LIMIT_OF_ONE) {
    throw new OAuthError('temporarily_unavailable', 'Too many clients authenticate at once', {
      reason: 'scrypt queue full',
    });
  }
  await new Promise<void>((start) => waiting.push({ of, start }));
}
