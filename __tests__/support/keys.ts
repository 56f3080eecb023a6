import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

export interface KeyPair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

const CURVES: Partial<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

const publicKeyEncoding = { type: 'spki', format: 'pem' } as const;
const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;

/**
 * Generates a key pair for an algorithm. The keys are exported and imported again, because in Node 20 a key that shares its
 * handle with the job that generated it may make the process hang.
 */
export function keyPair(alg = 'ES256', { modulusLength = 2048 } = {}): KeyPair {
  const { privateKey } = pemPair(alg, modulusLength);
  return { privateKey: createPrivateKey(privateKey), publicKey: createPublicKey(privateKey) };
}

function pemPair(alg: string, modulusLength: number): { privateKey: string } {
  const namedCurve = CURVES[alg];
  if (namedCurve) return generateKeyPairSync('ec', { namedCurve, publicKeyEncoding, privateKeyEncoding });
  if (alg.startsWith('Ed')) return generateKeyPairSync('ed25519', { publicKeyEncoding, privateKeyEncoding });
  return generateKeyPairSync('rsa', { modulusLength, publicKeyEncoding, privateKeyEncoding });
}
