import { verify as verifyBytes, type KeyObject } from 'node:crypto';

import { verify, type Algorithm } from 'jsonwebtoken';

import { parseJsonObject } from '../json';
import { createJwsSigner, type SignJws } from './jws-signature';
import { canonicalBytes } from './keys';

/** RFC 9068 §2.1 */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

/** The type of ID tokens, and of access tokens for resource servers that know no other. In lower case, as it is compared. */
export const PLAIN_TYPE = 'jwt';

/** A JWT that has not been verified. */
export interface DecodedJwt {
  readonly header: Readonly<Record<string, unknown>> & { readonly alg: string };
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Decodes a JWT. Returns `undefined` unless it has the compact form and no critical extensions (RFC 7515 §4.1.11). */
export function decodeJwt(token: string): DecodedJwt | undefined {
  const [header, claims, signature, ...rest] = token.split('.');
  if (signature === undefined || rest.length > 0 || !canonicalBytes(signature)) return undefined;
  const decodedHeader = decodePart(header);
  const decodedClaims = decodePart(claims);
  if (!decodedHeader || !decodedClaims || 'crit' in decodedHeader) return undefined;
  const { alg } = decodedHeader;
  return typeof alg === 'string' ? { header: { ...decodedHeader, alg }, claims: decodedClaims } : undefined;
}

function decodePart(part = ''): Record<string, unknown> | undefined {
  return parseJsonObject(canonicalBytes(part)?.toString() ?? '');
}

/** Whether a key made the signature with exactly this algorithm (RFC 8725 §3.1). Times are not checked. */
export function hasSignature(token: string, key: KeyObject, alg: string): boolean {
  try {
    // jsonwebtoken does not support this kind of key.
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

/** A key that signs JWTs. */
export interface JwtSigner {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
}

interface PreparedSigner {
  readonly sign: SignJws;
  /** The encoded header by `typ`. */
  readonly headers: Map<string, string>;
}

/** What does not change between two tokens of a key: for short tokens it is a third of the work. */
const prepared = new WeakMap<JwtSigner, PreparedSigner>();

/**
 * Signs claims, as they are, in the compact form (RFC 7515 §7.1).
 * @throws TypeError for a time that is not a number: nobody could verify the token
 */
export function signJwt(claims: object, signer: JwtSigner, typ: string): string {
  const { exp = 0, iat = 0, nbf = 0 } = claims as Partial<Record<string, unknown>>;
  if (![exp, iat, nbf].every(Number.isFinite))
    throw new TypeError('exp, iat and nbf must be numbers of seconds');
  const { sign, headers } = preparedOf(signer);
  const { alg, kid } = signer;
  const header = headers.get(typ) ?? encoded({ alg, typ, kid });
  headers.set(typ, header);
  const input = `${header}.${encoded(claims)}`;
  return `${input}.${sign(input)}`;
}

function preparedOf(signer: JwtSigner): PreparedSigner {
  const known = prepared.get(signer);
  if (known) return known;
  const created = {
    sign: createJwsSigner(signer.alg, signer.privateKey),
    headers: new Map<string, string>(),
  };
  prepared.set(signer, created);
  return created;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

const MAXIMUM_JTI_LENGTH = 256;

/** Whether a value can be the `jti` of a JWT that another party signed (RFC 7519 §4.1.7): it is remembered, so it must be short. */
export function isJti(jti: unknown): jti is string {
  return typeof jti === 'string' && jti !== '' && jti.length <= MAXIMUM_JTI_LENGTH;
}

/** Whether `typ` is the expected media type, regardless of case; `application/` may be left out (RFC 7515 §4.1.9). */
export function isType(typ: unknown, expected: string): boolean {
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === expected;
}
