import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { hasSha256, sha256 } from '../digest';
import { temporarilyUnavailable } from '../errors';
import { createFairQueue, type RunOrigin } from '../http/fair-queue';
import type { NetworkOfSender } from '../http/network';

/** OWASP's parameters for scrypt with 32 MiB. A hash contains its own parameters, so these can be raised. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 3 };
const SCRYPT_MAXIMUM_MEMORY = 256 * 1024 * 1024;

/**
 * Each run uses one of libuv's four threads and 32 MiB, and takes a tenth of a second: two run at once. Guesses at one client's
 * secret must not delay other clients, nor that client itself for long.
 */
const scryptQueue = createFairQueue({
  concurrent: 2,
  maximumLength: 1000,
  maximumLengthOfSubject: 200,
  full: tooMany,
});

/**
 * The host's own secrets, before they take their turn: an import may have thousands, and takes one place among the clients that
 * authenticate.
 */
const hostQueue = createFairQueue({
  concurrent: 1,
  maximumLength: Infinity,
  maximumLengthOfSubject: Infinity,
  full: tooMany,
});

function tooMany(): Error {
  return temporarilyUnavailable('Too many clients authenticate at once', { reason: 'scrypt queue full' });
}

/** A generated client secret. */
export interface GeneratedClientSecret {
  /** The secret, to hand to the client once. */
  clientSecret: string;
  /** The hash, to store. */
  clientSecretHash: string;
}

/** Generates a client secret of 256 random bits, and the hash to store as `clientSecretHash`. */
export function generateClientSecret(): GeneratedClientSecret {
  const clientSecret = randomBytes(32).toString('base64url');
  return { clientSecret, clientSecretHash: hashGeneratedSecret(clientSecret) };
}

/** Hashes a random secret: SHA-256 is sufficient for a secret that cannot be guessed. */
export function hashGeneratedSecret(clientSecret: string): string {
  return `sha256:${sha256(clientSecret)}`;
}

/**
 * Hashes a secret that a person chose, with scrypt, to store as `clientSecretHash`. Of several, one is hashed at a time, the newest
 * first.
 *
 * @throws OAuthError `temporarily_unavailable` if too many clients authenticate at once
 */
export function hashClientSecret(clientSecret: string): Promise<string> {
  const host = { subject: 'host', source: 'host' };
  return hostQueue(host, () => hashInTurn(clientSecret, host));
}

/**
 * Hashes the secret of a client that has authenticated with a foreign hash. It is a subject of its own: the client waits for it, and has
 * waited already among those that guess at the foreign hash.
 *
 * @throws OAuthError `temporarily_unavailable` if the queue is full
 */
export function rehashClientSecret(
  clientSecret: string,
  foreign: string,
  source: NetworkOfSender,
): Promise<string> {
  return hashInTurn(clientSecret, { subject: `instead of ${foreign}`, source: source() });
}

async function hashInTurn(clientSecret: string, origin: RunOrigin): Promise<string> {
  const salt = randomBytes(16);
  const hash = await scryptQueue(origin, () => runScrypt(clientSecret, salt, { ...SCRYPT, length: 32 }));
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
/** The highest cost of one verification, N × r × p: four times OWASP's strongest choice. */
const MAXIMUM_COST = 4 * 2 ** 17 * 8;

export function isSecretHash(value: string): boolean {
  const [matched, N = 0, r = 0, p = 0] = HASH.exec(value) ?? [];
  return matched !== undefined && Number(N) * Number(r) * Number(p) <= MAXIMUM_COST;
}

/** The results of recent verifications, by a digest of the hash and the secret: the secret itself is not kept in memory. */
const right = new LRUCache<string, true>({ max: 1000 });
const wrong = new LRUCache<string, true>({ max: 1000 });
const pending = new Map<string, Promise<boolean>>();
const cacheKey = randomBytes(32);

/**
 * Whether a secret matches a hash, compared in constant time.
 *
 * @throws OAuthError `temporarily_unavailable` if the queue is full
 */
export async function verifyClientSecret(
  clientSecret: string,
  hash: string,
  source: NetworkOfSender,
): Promise<boolean> {
  const [scheme, ...fields] = hash.split(':');
  if (scheme === 'sha256') return hasSha256(clientSecret, fields[0] ?? '');

  const digest = createHash('sha256').update(cacheKey).update(hash).update('\0').update(clientSecret);
  const key = digest.digest('base64url');
  if (right.get(key)) return true;
  if (wrong.get(key)) return false;
  const run = (): Promise<boolean> => matchesScrypt(clientSecret, fields);
  const result = pending.get(key) ?? verifyInTurn(hash, source, run).finally(() => pending.delete(key));
  pending.set(key, result);
  const matches = await result;
  (matches ? right : wrong).set(key, true);
  return matches;
}

/** Runs a slow comparison with a hash when it is its turn. @throws OAuthError `temporarily_unavailable` if the queue is full */
export function verifyInTurn<T>(hash: string, source: NetworkOfSender, run: () => Promise<T>): Promise<T> {
  return scryptQueue({ subject: hash, source: source() }, run);
}

async function matchesScrypt(clientSecret: string, fields: readonly string[]): Promise<boolean> {
  const [N, r, p, salt = '', expected = ''] = fields;
  const expectedBytes = Buffer.from(expected, 'base64url');
  const parameters = { N: Number(N), r: Number(r), p: Number(p), length: expectedBytes.length };
  return timingSafeEqual(
    await runScrypt(clientSecret, Buffer.from(salt, 'base64url'), parameters),
    expectedBytes,
  );
}

function runScrypt(
  secret: string,
  salt: Buffer,
  { N, r, p, length }: { N: number; r: number; p: number; length: number },
): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    scrypt(secret, salt, length, { N, r, p, maxmem: SCRYPT_MAXIMUM_MEMORY }, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
