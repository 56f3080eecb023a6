import type { KeySet } from '../clients/key-sets';
import { temporarilyUnavailable, type OAuthError } from '../errors';
import type { Outbound } from '../http/outbound';
import { parseJsonObject } from '../json';
import {
  createAccessTokenCache,
  isAccessToken,
  MAXIMUM_ACCESS_TOKEN_LENGTH,
  type AccessTokenClaims,
} from '../tokens/access-token';
import { SIGNING_ALGORITHMS } from '../tokens/algorithms';
import { ACCESS_TOKEN_TYPE, decodeJwt, hasSignature, isType } from '../tokens/jwt';
import { canonicalBytes } from '../tokens/keys';
import type { StatusOf } from './token-check';

/** The introspection endpoint of the authorization server, and the client that calls it. */
export interface IntrospectionCredentials {
  /** The URL of the endpoint. */
  endpoint: string;
  /** The client's id. */
  clientId: string;
  /** The client's secret. */
  clientSecret: string;
}

/** Reads the access tokens of a server in another process. */
export interface VerifiedTokens {
  /** Returns the claims of a token of the issuer, expired or not. @throws OAuthError `temporarily_unavailable` */
  read(token: string): Promise<AccessTokenClaims | undefined>;
  /** Asks the server whether a token is active; `undefined` without introspection. */
  readonly statusOf: StatusOf<AccessTokenClaims> | undefined;
}

/** The number of concurrent introspections. */
const MAXIMUM_INTROSPECTIONS = 100;
/** The minimum length of an opaque token: the sealed claims that every access token has are longer. Characters. */
const MINIMUM_SEALED_LENGTH = 150;

export function createVerifiedTokens(options: {
  issuer: string;
  keys: KeySet;
  introspection: IntrospectionCredentials | undefined;
  fetch: Outbound;
}): VerifiedTokens {
  const { issuer, keys, introspection, fetch } = options;
  const cache = createAccessTokenCache();
  const pending = new Map<string, Promise<AccessTokenClaims | undefined>>();
  /** Claims that the server has just returned. */
  const introspected = new WeakSet<AccessTokenClaims>();

  async function read(token: string): Promise<AccessTokenClaims | undefined> {
    if (token === '' || token.length > MAXIMUM_ACCESS_TOKEN_LENGTH) return undefined;
    const known = cache.get(token);
    if (known) return known;
    if (!token.includes('.')) return isSealed(token) ? introspectOnce(token) : undefined;
    const claims = await readJwt(token);
    if (claims) cache.set(token, claims);
    return claims;
  }

  async function readJwt(token: string): Promise<AccessTokenClaims | undefined> {
    const jwt = decodeJwt(token);
    const alg = SIGNING_ALGORITHMS.find((algorithm) => algorithm === jwt?.header.alg);
    if (!jwt || !alg || !isType(jwt.header.typ, ACCESS_TOKEN_TYPE)) return undefined;
    const { claims, header } = jwt;
    if (claims.iss !== issuer || !isAccessToken(claims) || typeof header.kid !== 'string') return undefined;
    const candidates = await keys.find(header).catch((cause: unknown) => {
      throw serverUnavailable(cause);
    });
    return candidates.some((key) => hasSignature(token, key, alg)) ? claims : undefined;
  }

  async function introspect(token: string): Promise<AccessTokenClaims | undefined> {
    if (!introspection) return undefined;
    const { endpoint, clientId, clientSecret } = introspection;
    const credentials = [clientId, clientSecret].map(encodeURIComponent).join(':');
    const claims = await fetch({
      method: 'POST',
      url: endpoint,
      headers: {
        Accept: 'application/json',
        Authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ token }).toString(),
    })
      .then(jsonObject)
      .catch((cause: unknown) => {
        throw serverUnavailable(cause);
      });
    if (claims.active !== true || claims.iss !== issuer || !isAccessToken(claims)) return undefined;
    introspected.add(claims);
    return claims;
  }

  /** Concurrent requests with one token share one introspection. */
  async function introspectOnce(token: string): Promise<AccessTokenClaims | undefined> {
    if (pending.size >= MAXIMUM_INTROSPECTIONS) throw serverUnavailable(new Error('too many introspections'));
    const result = pending.get(token) ?? introspect(token).finally(() => pending.delete(token));
    pending.set(token, result);
    return result;
  }

  async function statusOf(claims: AccessTokenClaims, token: string): Promise<AccessTokenClaims | undefined> {
    if (introspected.has(claims)) return claims;
    const current = await introspectOnce(token);
    return current?.jti === claims.jti ? current : undefined;
  }

  return { read, statusOf: introspection && statusOf };
}

/** Whether a text can be an opaque token: the server is not asked about anything else. */
function isSealed(token: string): boolean {
  return token.length >= MINIMUM_SEALED_LENGTH && canonicalBytes(token) !== undefined;
}

function jsonObject(text: string): Record<string, unknown> {
  const object = parseJsonObject(text);
  if (!object) throw new Error('the response is not a JSON object');
  return object;
}

function serverUnavailable(cause: unknown): OAuthError {
  return temporarilyUnavailable('The authorization server does not answer', { cause });
}
