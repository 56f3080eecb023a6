import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

const publicKeyEncoding = { type: 'spki', format: 'pem' } as const;
const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;

/**
 * Generates a private key for an algorithm.
 *
 * The key is exported and imported again. In Node 20 the key of a pair that was just generated shares a lock with the job that
 * generated it: if the job is garbage-collected while the key's details are read, the process waits for that lock forever.
 */
export function generatePrivateKey(alg: 'ES256' | 'RS256'): KeyObject {
  const { privateKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding, privateKeyEncoding })
      : generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding, privateKeyEncoding });
  return createPrivateKey(privateKey);
}
