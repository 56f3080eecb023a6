import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** The algorithms that this server signs by (RFC 7518 §3.1). */
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
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Access tokens can also be signed by a secret that resource servers share. Nothing else is. */
export const SHARED_ALGORITHM = 'HS256';
export type AccessTokenAlgorithm = SigningAlgorithm | typeof SHARED_ALGORITHM;

/** The algorithms that clients may sign by; RFC 9864 calls the last one by the name of its curve. */
export const VERIFICATION_ALGORITHMS = [...SIGNING_ALGORITHMS, 'EdDSA', 'Ed25519'] as const;

/** What clients of the FAPI 2.0 security profile (§5.4.1) may use, and what is used for them. */
export const FAPI_ALGORITHMS: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519'];

const RSA_ALGORITHMS = SIGNING_ALGORITHMS.filter((alg) => !alg.startsWith('ES'));
const CURVES: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** The algorithms that a key can be used with; none for a key that is too short, or of an unknown kind. */
export function algorithmsOf(key: KeyObject): readonly string[] {
  const { namedCurve = '', modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      // RFC 7518 §3.3; a longer key, or exponent, only costs whoever verifies.
      return modulusLength < 2048 || modulusLength > 8192 || publicExponent > 2n ** 32n ? [] : RSA_ALGORITHMS;
    case 'ec':
      return CURVES[namedCurve] ? [CURVES[namedCurve]] : [];
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
}

/** Whether two names are of one algorithm. */
export function isSameAlgorithm(one: string, other: string): boolean {
  const edwards = ['EdDSA', 'Ed25519'];
  return one === other || (edwards.includes(one) && edwards.includes(other));
}

/** The members of a JWK that nobody but its owner may have (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** The key of a public JWK; `undefined` if it is malformed, symmetric, or has private members. */
export function publicKeyOf(jwk: unknown): KeyObject | undefined {
  if (typeof jwk !== 'object' || jwk === null || PRIVATE_MEMBERS.some((name) => name in jwk))
    return undefined;
  try {
    return createPublicKey({ key: jwk as Record<string, unknown>, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** RFC 7638 §3.2: the required members in lexicographic order. */
export function thumbprint(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' });
  const members = kty === 'EC' ? { crv, kty, x, y } : kty === 'OKP' ? { crv, kty, x } : { e, kty, n };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}
