import { verify as verifyBytes, type KeyObject } from 'node:crypto';

import { sign, verify, type Algorithm } from 'jsonwebtoken';

import { canonicalBytes } from './keys';

/** RFC 9068 §2.1 */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

/** A JWT that nobody has verified yet. */
export interface DecodedJwt {
  readonly header: Readonly<Record<string, unknown>> & { readonly alg: string };
  readonly claims: Readonly<Record<string, unknown>>;
}

/** `undefined` for what is no JWT in compact form, or one with extensions that must be understood (RFC 7515 §4.1.11). */
export function decodeJwt(token: string): DecodedJwt | undefined {
  const [header, claims, signature, ...rest] = token.split('.');
  if (signature === undefined || rest.length > 0 || !canonicalBytes(signature)) return undefined;
  const decodedHeader = jsonObject(header);
  const decodedClaims = jsonObject(claims);
  if (!decodedHeader || !decodedClaims || 'crit' in decodedHeader) return undefined;
  const { alg } = decodedHeader;
  return typeof alg === 'string' ? { header: { ...decodedHeader, alg }, claims: decodedClaims } : undefined;
}

function jsonObject(part = ''): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(canonicalBytes(part)?.toString() ?? '');
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Whether the key made the signature, by this algorithm and no other (RFC 8725 §3.1). Times are not looked at. */
export function hasSignature(token: string, key: KeyObject, alg: string): boolean {
  try {
    // jsonwebtoken does not know this one.
    if (key.asymmetricKeyType === 'ed25519') return hasEdDsaSignature(token, key, alg);
    verify(token, key, { algorithms: [alg as Algorithm], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}

/** RFC 8037 §3.1 */
function hasEdDsaSignature(token: string, key: KeyObject, alg: string): boolean {
  if (alg !== 'EdDSA' && alg !== 'Ed25519') return false;
  const end = token.lastIndexOf('.');
  return verifyBytes(
    null,
    Buffer.from(token.slice(0, end)),
    key,
    Buffer.from(token.slice(end + 1), 'base64url'),
  );
}

/** What signs a JWT. */
export interface JwtSigner {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
}

export function signJwt(claims: object, { alg, kid, privateKey }: JwtSigner, typ: string): string {
  return sign(claims, privateKey, { algorithm: alg as Algorithm, header: { typ, alg, kid } });
}

/** Whether `typ` is the given media type: compared without case, and `application/` may be left out (RFC 7515 §4.1.9). */
export function isType(typ: unknown, expected: string): boolean {
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === expected;
}
