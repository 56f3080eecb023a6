import { LRUCache } from 'lru-cache';

import { ACCESS_TOKEN_TYPE, signJwt } from './jwt';
import { deriveKeys, sealer } from './keys';
import type { SigningKeys } from './signing-keys';

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
  /** The key that the token is bound to. */
  readonly cnf?: Confirmation;
  readonly [claim: string]: unknown;
}

/** What the bearer of a token must prove to have: a DPoP key (RFC 9449 §6.1), a certificate (RFC 8705 §3.1), or both. */
export interface Confirmation {
  /** The RFC 7638 thumbprint of the DPoP key. */
  readonly jkt?: string;
  /** The SHA-256 thumbprint of the certificate. */
  readonly 'x5t#S256'?: string;
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
  /** Signed by one of the algorithms. */
  issue(claims: AccessTokenClaims, format: AccessTokenFormat, algorithms: readonly string[]): string;
  /**
   * The claims if it is ours, whether it has expired or not. `at`: where it is used, if that is not its own audience: what a
   * secret has made counts only where that secret is good.
   */
  read(token: string, at?: string): AccessTokenClaims | undefined;
}

/** Characters. Node takes 16 KiB of headers in all, and the cache must stay small. */
export const MAXIMUM_LENGTH = 8192;
const CACHED_TOKENS = 10_000;

export function accessTokens(
  keys: SigningKeys,
  secrets: readonly string[],
  /** `isShared`: whether the resource server of an audience has a secret that makes tokens for it. */
  { issuer, isShared }: { issuer: string; isShared: (audience: string) => boolean },
): AccessTokens {
  const opaque = sealer(deriveKeys(secrets, 'opaque access token', issuer));
  const cache = accessTokenCache();
  const madeBySecret = new WeakSet<AccessTokenClaims>();

  function issue(
    claims: AccessTokenClaims,
    format: AccessTokenFormat,
    algorithms: readonly string[],
  ): string {
    const token =
      format === 'opaque'
        ? opaque.seal(JSON.stringify(claims))
        : signJwt(claims, keys.signer(algorithms), ACCESS_TOKEN_TYPE);
    if (token.length > MAXIMUM_LENGTH)
      throw new RangeError('the access token is too long: give it fewer claims');
    return token;
  }

  function read(token: string, at?: string): AccessTokenClaims | undefined {
    const claims = known(token);
    const isForeign = at !== undefined && claims !== undefined && madeBySecret.has(claims) && !isShared(at);
    return isForeign ? undefined : claims;
  }

  function known(token: string): AccessTokenClaims | undefined {
    if (token.length > MAXIMUM_LENGTH) return undefined;
    const verified = cache.get(token);
    if (verified) return verified;
    const claims = token.includes('.') ? readJwt(token) : readOpaque(token);
    if (claims) cache.set(token, claims);
    return claims;
  }

  function readOpaque(token: string): AccessTokenClaims | undefined {
    const text = opaque.open(token);
    return text === undefined ? undefined : (JSON.parse(text) as AccessTokenClaims);
  }

  function readJwt(token: string): AccessTokenClaims | undefined {
    const signature = { isBySecret: false };
    // Who has the secret of one audience could make tokens for any other.
    const maySign = (claims: Readonly<Record<string, unknown>>): boolean => {
      signature.isBySecret = true;
      return isAccessToken(claims) && audiences(claims).every(isShared);
    };
    const claims = keys.read(token, ACCESS_TOKEN_TYPE, maySign);
    if (!claims || !isAccessToken(claims) || claims.iss !== issuer) return undefined;
    if (signature.isBySecret) madeBySecret.add(claims);
    return claims;
  }

  return { issue, read };
}

/** What was verified once: bounded, and frozen, because it hands out the same object each time. */
export function accessTokenCache(): Pick<Map<string, AccessTokenClaims>, 'get'> & {
  set(token: string, claims: AccessTokenClaims): void;
} {
  const verified = new LRUCache<string, AccessTokenClaims>({ max: CACHED_TOKENS });
  return {
    get: (token) => verified.get(token),
    set: (token, claims) => void verified.set(token, deepFreeze(claims)),
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

/** RFC 9068 §2.2 */
export function isAccessToken(
  claims: Readonly<Record<string, unknown>> | AccessTokenClaims,
): claims is AccessTokenClaims {
  const { sub, aud, exp, iat, jti, client_id: clientId, scope } = claims;
  const strings = [sub, jti, clientId, scope].every((claim) => typeof claim === 'string');
  const named: unknown[] = [aud].flat();
  const audience = named.length > 0 && named.every((claim) => typeof claim === 'string');
  return strings && audience && Number.isFinite(exp) && Number.isFinite(iat);
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
