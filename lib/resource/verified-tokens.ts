import { LRUCache } from 'lru-cache';

import type { KeySet } from '../clients/key-sets';
import { sha256 } from '../digest';
import { temporarilyUnavailable, type OAuthError } from '../errors';
import { createFairQueue, type FairQueue } from '../http/fair-queue';
import type { Outbound } from '../http/outbound';
import { parseJsonObject } from '../json';
import {
  createAccessTokenCache,
  deepFreeze,
  isAccessToken,
  MAXIMUM_ACCESS_TOKEN_LENGTH,
  type AccessTokenClaims,
} from '../tokens/access-token';
import { SIGNING_ALGORITHMS } from '../tokens/algorithms';
import { decodeJwt, hasSignature, isType } from '../tokens/jwt';
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

/**
 * The limits of introspection. Texts that may come from a stranger share one queue, and tokens that are known to be the server's
 * another one, which no stranger can fill.
 */
const UNKNOWN_TEXTS = { concurrent: 50, maximumLength: 100 };
const KNOWN_TOKENS = { concurrent: 100, maximumLength: 1000 };
/** How many opaque tokens are remembered as the server's. */
const REMEMBERED_TOKENS = 10_000;
/** The minimum length of an opaque token: the sealed claims that every access token has are longer. Characters. */
const MINIMUM_SEALED_LENGTH = 150;

export function createVerifiedTokens(options: {
  issuer: string;
  keys: KeySet;
  introspection: IntrospectionCredentials | undefined;
  fetch: Outbound;
  /** The accepted values of `typ`. */
  types: readonly string[];
}): VerifiedTokens {
  const { issuer, keys, introspection, fetch, types } = options;
  let cache = createAccessTokenCache();
  /** The version of the key set that all tokens in the cache were verified with. */
  let version: object | undefined;
  const active = new LRUCache<string, true>({ max: REMEMBERED_TOKENS });
  const queueOf = { unknown: createQueue(UNKNOWN_TEXTS), known: createQueue(KNOWN_TOKENS) };
  const pending = new Map<string, Promise<AccessTokenClaims | undefined>>();
  /** Claims that the server has just returned. */
  const introspected = new WeakSet<AccessTokenClaims>();

  async function read(token: string): Promise<AccessTokenClaims | undefined> {
    if (token === '' || token.length > MAXIMUM_ACCESS_TOKEN_LENGTH) return undefined;
    if (!token.includes('.')) return isSealed(token) ? introspectOnce(token, kindOf(token)) : undefined;
    const known = cache.get(token);
    if (known && (await isCurrent())) return known;
    const claims = await readJwt(token);
    if (claims && (await isCurrent())) cache.set(token, claims);
    return claims;
  }

  /** Empties the cache if the key set has changed: a token is valid only while its key is published. */
  async function isCurrent(): Promise<boolean> {
    const current = await keys.version().catch((cause: unknown) => {
      throw serverUnavailable(cause);
    });
    if (current === version) return true;
    cache = createAccessTokenCache();
    version = current;
    return false;
  }

  async function readJwt(token: string): Promise<AccessTokenClaims | undefined> {
    const jwt = decodeJwt(token);
    const alg = SIGNING_ALGORITHMS.find((algorithm) => algorithm === jwt?.header.alg);
    if (!jwt || !alg || !types.some((type) => isType(jwt.header.typ, type))) return undefined;
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
    introspected.add(deepFreeze(claims));
    return claims;
  }

  /** Concurrent requests with one token share one introspection. */
  async function introspectOnce(
    token: string,
    kind: 'known' | 'unknown',
  ): Promise<AccessTokenClaims | undefined> {
    const queue = queueOf[kind];
    const result =
      pending.get(token) ?? queue(ORIGIN, () => introspect(token)).finally(() => pending.delete(token));
    pending.set(token, result);
    const claims = await result;
    if (claims && kind === 'unknown') active.set(sha256(token), true);
    return claims;
  }

  function kindOf(token: string): 'known' | 'unknown' {
    return active.has(sha256(token)) ? 'known' : 'unknown';
  }

  async function statusOf(claims: AccessTokenClaims, token: string): Promise<AccessTokenClaims | undefined> {
    if (introspected.has(claims)) return claims;
    const current = await introspectOnce(token, 'known');
    return current?.jti === claims.jti ? current : undefined;
  }

  return { read, statusOf: introspection && statusOf };
}

const ORIGIN = { subject: '', source: '' };

function createQueue(limits: { concurrent: number; maximumLength: number }): FairQueue {
  return createFairQueue({
    ...limits,
    maximumLengthOfSubject: limits.maximumLength,
    full: () => serverUnavailable(new Error('too many introspections')),
  });
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
