import { LRUCache } from 'lru-cache';

import { ACCESS_TOKEN_TYPE, PLAIN_TYPE, signJwt } from './jwt';
import { deriveKeys, createSealer } from './keys';
import type { Replaceable } from './replaceable';
import type { SigningKeys } from './signing-keys';

/** The form of an access token: a signed JWT, or the same claims encrypted. */
export type AccessTokenFormat = 'jwt' | 'opaque';

/** `typ` of access tokens that are JWTs: that of RFC 9068, or the type of ID tokens. */
export type AccessTokenType = 'at+jwt' | 'JWT';

/** The claims of an access token, in either form (RFC 9068 §2.2). Times are epoch seconds. */
export interface AccessTokenClaims {
  /** The issuer. */
  readonly iss: string;
  /** The user, or the client where it acts for itself. */
  readonly sub: string;
  /** The audience, or several. */
  readonly aud: string | readonly string[];
  /** The expiry. */
  readonly exp: number;
  /** When the token was issued. */
  readonly iat: number;
  /** The moment before which the token is not valid, if its issuer sets one. */
  readonly nbf?: number;
  /** The id of the token, which begins with the id of its grant if it has one. */
  readonly jti: string;
  /** The client that the token was issued to. */
  readonly client_id: string;
  /** The scope values, separated by spaces. */
  readonly scope: string;
  /** When the user last proved their identity. */
  readonly auth_time?: number | undefined;
  /** The key and certificate that the token is bound to. */
  readonly cnf?: Confirmation | undefined;
  /** Claims of the host. */
  readonly [claim: string]: unknown;
}

/** The key (RFC 9449 §6.1) and certificate (RFC 8705 §3.1) that the bearer of a token must prove to hold. */
export interface Confirmation {
  /** The RFC 7638 thumbprint of the DPoP key. */
  readonly jkt?: string;
  /** The SHA-256 thumbprint of the certificate. */
  readonly 'x5t#S256'?: string;
}

/** Claims that only the library sets: a `claims` hook that returns one of them is refused. */
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
  /** Issues a token, signed with one of the algorithms. @throws RangeError if it is too long */
  issue(claims: AccessTokenClaims, format: AccessTokenFormat, algorithms: readonly string[]): string;
  /**
   * Returns the claims of a token that this server issued, expired or not. `at` is the audience where the token is used, if the
   * token does not name it: a token signed with a shared secret is valid only at audiences that share the secret.
   */
  read(token: string, at?: string): AccessTokenClaims | undefined;
  /** Whether the claims that `read` returned were signed with a secret that resource servers share. */
  isSignedBySecret(claims: object): boolean;
}

/** The maximum length of an access token: Node accepts 16 KiB of headers in all, and the cache must stay small. Characters. */
export const MAXIMUM_ACCESS_TOKEN_LENGTH = 8192;
const CACHED_TOKENS = 10_000;

export function createAccessTokens(
  keys: SigningKeys,
  secrets: Pick<Replaceable<string>, 'current' | 'onReplace'>,
  {
    issuer,
    isShared,
    typeOf,
  }: {
    issuer: string;
    /** Whether the resource server of an audience holds a secret that signs tokens for it. */
    isShared: (audience: string) => boolean;
    /** Returns the type of access tokens for an audience. */
    typeOf: (audience: string) => AccessTokenType;
  },
): AccessTokens {
  const opaque = createSealer(deriveKeys(secrets, 'opaque access token', issuer));
  const cache = createAccessTokenCache();
  // What a key or a secret has verified ends with it.
  keys.onReplace(cache.clear);
  secrets.onReplace(cache.clear);
  const signedBySecret = new WeakSet();

  function issue(
    claims: AccessTokenClaims,
    format: AccessTokenFormat,
    algorithms: readonly string[],
  ): string {
    const token =
      format === 'opaque'
        ? opaque.seal(JSON.stringify(claims))
        : signJwt(claims, keys.signer(algorithms), isPlain(claims) ? 'JWT' : ACCESS_TOKEN_TYPE);
    if (token.length > MAXIMUM_ACCESS_TOKEN_LENGTH)
      throw new RangeError('the access token is too long: add fewer claims');
    return token;
  }

  function read(token: string, at?: string): AccessTokenClaims | undefined {
    const claims = known(token);
    const isForeign = at !== undefined && claims !== undefined && signedBySecret.has(claims) && !isShared(at);
    return isForeign ? undefined : claims;
  }

  function known(token: string): AccessTokenClaims | undefined {
    if (token.length > MAXIMUM_ACCESS_TOKEN_LENGTH) return undefined;
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

  /** Whether all audiences of a token expect the type of ID tokens. */
  function isPlain(claims: Pick<AccessTokenClaims, 'aud'>): boolean {
    return audiencesOf(claims).every((audience) => typeOf(audience) === 'JWT');
  }

  function readJwt(token: string): AccessTokenClaims | undefined {
    const signature = { isBySecret: false };
    // A resource server must not be able to sign tokens for an audience that does not share its secret.
    const maySign = (claims: Readonly<Record<string, unknown>>): boolean => {
      signature.isBySecret = true;
      return isAccessToken(claims) && audiencesOf(claims).every(isShared);
    };
    const { type, claims } = keys.read(token, [ACCESS_TOKEN_TYPE, PLAIN_TYPE], maySign) ?? {};
    if (!claims || !isAccessToken(claims) || claims.iss !== issuer) return undefined;
    // Only where a resource says so: everything else of that type is no access token.
    if (type === PLAIN_TYPE && !isPlain(claims)) return undefined;
    if (signature.isBySecret) signedBySecret.add(claims);
    return claims;
  }

  return { issue, read, isSignedBySecret: (claims) => signedBySecret.has(claims) };
}

/** Creates a bounded cache of verified tokens. Claims are frozen, because all callers get the same object. */
export function createAccessTokenCache(): Pick<Map<string, AccessTokenClaims>, 'get'> & {
  set(token: string, claims: AccessTokenClaims): void;
  clear(): void;
} {
  const verified = new LRUCache<string, AccessTokenClaims>({ max: CACHED_TOKENS });
  return {
    get: (token) => verified.get(token),
    set: (token, claims) => void verified.set(token, deepFreeze(claims)),
    clear: () => verified.clear(),
  };
}

/** Freezes a value, because all callers get the same object. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

/** RFC 9068 §2.2 */
export function isAccessToken(
  claims: Readonly<Record<string, unknown>> | AccessTokenClaims,
): claims is AccessTokenClaims {
  const { sub, aud, exp, iat, nbf = 0, jti, client_id: clientId, scope } = claims;
  const strings = [sub, jti, clientId, scope].every((claim) => typeof claim === 'string');
  const named: unknown[] = [aud].flat();
  const audience = named.length > 0 && named.every((claim) => typeof claim === 'string');
  return strings && audience && [exp, iat, nbf].every((moment) => Number.isFinite(moment));
}

/** How far the issuer's clock may differ, for `nbf`. Seconds. */
const NOT_BEFORE_SKEW = 10;

/** Returns why a token is not valid at a moment in epoch milliseconds, or `undefined` if it is. */
export function timeFault(
  { exp, nbf = -Infinity }: Pick<AccessTokenClaims, 'exp' | 'nbf'>,
  now: number,
): 'expired' | 'not valid yet' | undefined {
  if (now >= exp * 1000) return 'expired';
  return now < (nbf - NOT_BEFORE_SKEW) * 1000 ? 'not valid yet' : undefined;
}

/** Returns `aud` as a list (RFC 7519 §4.1.3). */
export function audiencesOf({ aud }: Pick<AccessTokenClaims, 'aud'>): readonly string[] {
  return typeof aud === 'string' ? [aud] : aud;
}

/** Returns the id of the grant that a token belongs to, or `undefined` for a token without one. */
export function grantIdOf({ jti }: Pick<AccessTokenClaims, 'jti'>): string | undefined {
  const dot = jti.indexOf('.');
  return dot < 0 ? undefined : jti.slice(0, dot);
}
