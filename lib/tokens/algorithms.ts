import { createPublicKey, type KeyObject } from 'node:crypto';

import { sha256 } from '../digest';
import { isJsonObject } from '../json';

/** The algorithms that this server signs with (RFC 7518 §3.1). */
export const SIGNING_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
] as const;
/** An algorithm that this server signs with. */
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Access tokens, and nothing else, can also be signed with a secret that resource servers share. */
export const SHARED_ALGORITHM = 'HS256';
/** An algorithm that access tokens are signed with. */
export type AccessTokenAlgorithm = SigningAlgorithm | typeof SHARED_ALGORITHM;

/** The algorithms that clients may sign with. `Ed25519` is RFC 9864's name for EdDSA with the only supported curve. */
export const VERIFICATION_ALGORITHMS = [...SIGNING_ALGORITHMS, 'EdDSA', 'Ed25519'] as const;

/** The algorithms of the FAPI 2.0 security profile (§5.4.1), for clients and for their tokens. */
export const FAPI_ALGORITHMS: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519'];

const RSA_ALGORITHMS = SIGNING_ALGORITHMS.filter((alg) => !alg.startsWith('ES'));
const CURVES: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** Returns the algorithms that a key supports: none for a key of an unknown kind, or with an unsuitable size or exponent. */
export function algorithmsOf(key: KeyObject): readonly string[] {
  const { namedCurve = '', modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      // RFC 7518 §3.3. A longer key or a larger exponent only makes verification expensive.
      return modulusLength < 2048 || modulusLength > 8192 || publicExponent > 2n ** 32n ? [] : RSA_ALGORITHMS;
    case 'ec':
      return CURVES[namedCurve] ? [CURVES[namedCurve]] : [];
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
}

/** Whether two names denote the same algorithm. */
export function isSameAlgorithm(one: string, other: string): boolean {
  const edwards = ['EdDSA', 'Ed25519'];
  return one === other || (edwards.includes(one) && edwards.includes(other));
}

/** The private members of a JWK (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** Imports a public JWK. Returns `undefined` if it is malformed, symmetric, or has private members. */
export function publicKeyOf(jwk: unknown): KeyObject | undefined {
  if (!isJsonObject(jwk) || PRIVATE_MEMBERS.some((name) => name in jwk)) return undefined;
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** Returns the RFC 7638 thumbprint of a key: a hash of the required members in lexicographic order. */
export function thumbprint(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' });
  const members = kty === 'EC' ? { crv, kty, x, y } : kty === 'OKP' ? { crv, kty, x } : { e, kty, n };
  return sha256(JSON.stringify(members));
}
