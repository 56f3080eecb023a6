import type { Request } from 'express';
import Joi from 'joi';

import { memoryAdapter } from '../adapters/memory';
import { certificateReader, type ClientCertificateOf } from '../clients/certificate';
import { remoteKeySet } from '../clients/key-sets';
import { proofOfPossession } from '../clients/proof-of-possession';
import { OAuthConfigurationError, OAuthError } from '../errors';
import { eventReporter, type OAuthEvents } from '../events';
import { sendError } from '../http/endpoint';
import { outbound } from '../http/outbound';
import {
  accessTokenCache,
  isAccessToken,
  MAXIMUM_LENGTH,
  type AccessTokenClaims,
} from '../tokens/access-token';
import { SIGNING_ALGORITHMS } from '../tokens/algorithms';
import { dpopNonces } from '../tokens/dpop';
import { ACCESS_TOKEN_TYPE, decodeJwt, hasSignature, isType } from '../tokens/jwt';
import { canonicalBytes } from '../tokens/keys';
import { verifierUrl } from './request-url';
import { requireTokenFactory, type RequireToken } from './require-token';
import { tokenCheck } from './token-check';

/** The options of `createTokenVerifier`. */
export interface TokenVerifierOptions {
  /** `iss` of the access tokens: the authorization server. */
  issuer: string;
  /** This resource server: it must be among the audiences of a token. */
  audience: string;
  /** Where the server publishes its keys. @defaultValue `<issuer>/jwks` */
  jwksUri?: string;
  /**
   * Asks the server about opaque tokens, and about all of them for `checkRevocation` (RFC 7662). The client must have this
   * audience among its `introspectionAudiences`. @defaultValue opaque tokens are refused
   */
  introspection?: { endpoint: string; clientId: string; clientSecret: string };
  /**
   * The URL of a request as its client called it, for DPoP (`htu`): neither `Host` nor `X-Forwarded-*` can be trusted.
   * @defaultValue the origin of the audience, if that is a URL, else of the issuer, and the path of the request
   */
  resourceUrl?: (req: Request) => string;
  /**
   * Remembers DPoP proofs for so many seconds, for all processes: `true` the first time, as an adapter's `setOnce`.
   * @defaultValue the memory of this process, which holds those of a thousand requests a second
   */
  setOnce?: (key: string, ttl: number) => boolean | Promise<boolean>;
  /** Makes DPoP proofs need a nonce. At least one of 32 bytes, the same in all processes. @defaultValue no nonces */
  nonceSecrets?: readonly string[];
  /** The client's certificate of a request, for tokens that are bound to one. @defaultValue none */
  clientCertificate?: ClientCertificateOf;
  /** Epoch milliseconds. @defaultValue `Date.now` */
  clock?: () => number;
}

/** What protects the API of another process. */
export interface TokenVerifier {
  /** As that of the router. */
  readonly requireToken: RequireToken;
  /** `request.refused`. */
  readonly events: OAuthEvents;
}

const url = Joi.string()
  .uri({ scheme: ['https', 'http'] })
  .pattern(/^https:|^http:\/\/(localhost|127\.0\.0\.1|\[::1\])([:/]|$)/, 'https, or loopback');
const schema = Joi.object({
  issuer: url.required(),
  audience: Joi.string().required(),
  jwksUri: url,
  introspection: Joi.object({
    endpoint: url.required(),
    clientId: Joi.string().required(),
    clientSecret: Joi.string().required(),
  }),
  resourceUrl: Joi.function(),
  setOnce: Joi.function(),
  nonceSecrets: Joi.array().items(Joi.string().min(32)).min(1),
  clientCertificate: Joi.function(),
  clock: Joi.function(),
})
  .required()
  .label('options');

/** How many tokens are asked about at once. */
const MAXIMUM_INTROSPECTIONS = 100;
/** Characters: the claims that every access token has, sealed, are longer. */
const MINIMUM_SEALED_LENGTH = 150;

/**
 * Verifies access tokens in a process that shares nothing with the authorization server but its URL.
 *
 * @throws OAuthConfigurationError that names every fault of the options
 * @example
 * const { requireToken } = createTokenVerifier({
 *   issuer: 'https://api.example.com/oauth',
 *   audience: 'https://orders.example.com',
 * });
 * app.get('/orders', requireToken({ scope: 'orders:read' }), listOrders);
 * @see RFC 9068 §4, RFC 9449 §7, RFC 7662
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { error } = schema.validate(options, { abortEarly: false, convert: false });
  if (error)
    throw new OAuthConfigurationError(
      error.details.map(({ message }) => message),
      'createTokenVerifier()',
    );
  const { issuer, audience, introspection, nonceSecrets, clock = Date.now } = options;
  const reporter = eventReporter();
  // These URLs are the operator's own.
  const fetch = outbound({ allowPrivateAddresses: true });
  const keys = remoteKeySet(options.jwksUri ?? `${issuer.replace(/\/$/, '')}/jwks`, { fetch, clock });
  const cache = accessTokenCache();
  const asked = new Map<string, Promise<AccessTokenClaims | undefined>>();
  /** What the server has just said of a token. */
  const introspected = new WeakSet<AccessTokenClaims>();

  async function read(token: string): Promise<AccessTokenClaims | undefined> {
    if (token === '' || token.length > MAXIMUM_LENGTH) return undefined;
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
    const body = new URLSearchParams({ token }).toString();
    const request = {
      method: 'POST' as const,
      url: endpoint,
      headers: {
        Accept: 'application/json',
        Authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
      body,
    };
    try {
      const claims = (JSON.parse(await fetch(request)) ?? {}) as Record<string, unknown>;
      const valid = claims.active === true && claims.iss === issuer && isAccessToken(claims);
      if (valid) introspected.add(claims);
      return valid ? claims : undefined;
    } catch (cause) {
      throw serverUnavailable(cause);
    }
  }

  /** Requests with one token that come at once ask once. */
  async function introspectOnce(token: string): Promise<AccessTokenClaims | undefined> {
    if (asked.size >= MAXIMUM_INTROSPECTIONS) throw serverUnavailable(new Error('too many introspections'));
    const answer = asked.get(token) ?? introspect(token).finally(() => asked.delete(token));
    asked.set(token, answer);
    return answer;
  }

  async function isLive(claims: AccessTokenClaims, token: string): Promise<boolean> {
    return introspected.has(claims) || (await introspectOnce(token))?.jti === claims.jti;
  }

  const { setOnce = memoryAdapter({ clock }).setOnce } = options;
  async function remember(key: string, ttl: number): Promise<boolean> {
    try {
      return await setOnce(key, ttl);
    } catch (cause) {
      throw new OAuthError('temporarily_unavailable', 'No more DPoP proofs can be remembered', { cause });
    }
  }
  const possession = proofOfPossession({
    nonces: nonceSecrets && dpopNonces(nonceSecrets, issuer, clock),
    noncePolicy: nonceSecrets ? 'always' : 'never',
    setOnce: remember,
    certificateOf: certificateReader(options.clientCertificate),
    clock,
  });
  const check = tokenCheck({
    read,
    possession,
    requireNonce: nonceSecrets !== undefined,
    urlOf: options.resourceUrl ?? verifierUrl({ issuer, audience }),
    clock,
  });
  const requireToken = requireTokenFactory({
    check,
    defaultAudience: audience,
    isLive: introspection && isLive,
    frame: { reporter, sendError },
  });
  return { requireToken, events: reporter.events };
}

/** Whether it can be an opaque token at all: nobody should be asked about garbage. */
function isSealed(token: string): boolean {
  return token.length >= MINIMUM_SEALED_LENGTH && canonicalBytes(token) !== undefined;
}

function serverUnavailable(cause: unknown): OAuthError {
  return new OAuthError('temporarily_unavailable', 'The authorization server does not answer', { cause });
}
