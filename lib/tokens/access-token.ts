import { decode, sign, verify, type JwtPayload } from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';

import { deriveKeys, sealer } from './keys';
import type { SigningKey } from './signing-keys';

export type AccessTokenFormat = 'jwt' | 'opaque';

/** The claims of an access token, a JWT's or a sealed one's (RFC 9068 §2.2). Times are epoch seconds. */
export interface AccessTokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly jti: string;
  readonly client_id: string;
  readonly scope: string;
  readonly auth_time?: number;
  readonly [claim: string]: unknown;
}

/** Set by the library alone: a `claims` hook that gives one of them is refused. */
export const RESERVED_CLAIMS: readonly string[] = [
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'client_id',
  'scope',
  'auth_time',
  'acr',
  'amr',
  'cnf',
];

/** Signs, seals and reads access tokens. No I/O. */
export interface AccessTokens {
  issue(claims: AccessTokenClaims, format: AccessTokenFormat): string;
  /** The claims if it is ours, whether it has expired or not. */
  read(token: string): AccessTokenClaims | undefined;
}

/** Characters. Node takes 16 KiB of headers in all, and the cache must stay small. */
const MAXIMUM_LENGTH = 8192;
const CACHED_TOKENS = 10_000;
const TYPE = 'at+jwt';

export function accessTokens(
  keys: readonly SigningKey[],
  secrets: readonly string[],
  issuer: string,
): AccessTokens {
  const [signer] = keys;
  if (!signer) throw new TypeError('no signing key');
  const opaque = sealer(deriveKeys(secrets, 'opaque access token', issuer));
  const verified = new LRUCache<string, AccessTokenClaims>({ max: CACHED_TOKENS });
  const { privateKey, alg, kid } = signer;
  const header = { typ: TYPE, alg, kid };

  function issue(claims: AccessTokenClaims, format: AccessTokenFormat): string {
    const token =
      format === 'opaque'
        ? opaque.seal(JSON.stringify(claims))
        : sign(claims, privateKey, { algorithm: alg, header });
    if (token.length > MAXIMUM_LENGTH)
      throw new RangeError('the access token is too long: give it fewer claims');
    return token;
  }

  function read(token: string): AccessTokenClaims | undefined {
    if (token.length > MAXIMUM_LENGTH) return undefined;
    const known = verified.get(token);
    if (known) return known;
    const claims = token.includes('.') ? readJwt(token) : readOpaque(token);
    if (claims) verified.set(token, deepFreeze(claims));
    return claims;
  }

  function readOpaque(token: string): AccessTokenClaims | undefined {
    const text = opaque.open(token);
    return text === undefined ? undefined : (JSON.parse(text) as AccessTokenClaims);
  }

  // RFC 9068 §4: the key is chosen among ours by `kid`, and its own algorithm is the only one (RFC 8725 §3.1).
  function readJwt(token: string): AccessTokenClaims | undefined {
    const parts = decodeHeader(token);
    const key = keys.find(({ kid }) => kid === parts?.kid);
    if (!key || parts?.alg !== key.alg || !isAccessTokenType(parts.typ)) return undefined;
    try {
      const claims = verify(token, key.publicKey, { algorithms: [key.alg], issuer, ignoreExpiration: true });
      return isAccessToken(claims) ? claims : undefined;
    } catch {
      return undefined;
    }
  }

  return { issue, read };
}

/** The cache hands out the same object each time. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

function decodeHeader(token: string): { alg?: unknown; kid?: unknown; typ?: unknown } | undefined {
  try {
    return decode(token, { complete: true })?.header;
  } catch {
    return undefined;
  }
}

/** RFC 9068 §4; media type names are compared without case and may have `application/` left out (RFC 7515 §4.1.9). */
function isAccessTokenType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(application\/)?at\+jwt$/i.test(typ);
}

function isAccessToken(claims: JwtPayload | string): claims is JwtPayload & AccessTokenClaims {
  if (typeof claims === 'string') return false;
  const { sub, aud, exp, iat, jti, client_id: clientId, scope } = claims;
  const strings = [sub, jti, clientId, scope].every((claim) => typeof claim === 'string');
  return strings && aud !== undefined && Number.isFinite(exp) && Number.isFinite(iat);
}

/** `aud` as a list (RFC 7519 §4.1.3). */
export function audiences({ aud }: Pick<AccessTokenClaims, 'aud'>): readonly string[] {
  return typeof aud === 'string' ? [aud] : aud;
}

/** The id of the grant that a token hangs on, or `undefined` for a token without one. */
export function grantIdOf({ jti }: Pick<AccessTokenClaims, 'jti'>): string | undefined {
  const dot = jti.indexOf('.');
  return dot < 0 ? undefined : jti.slice(0, dot);
}
