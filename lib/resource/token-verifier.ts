import type { Request } from 'express';
import Joi from 'joi';

import { memoryAdapter } from '../adapters/memory';
import { createCertificateReader, type ClientCertificateOf } from '../clients/certificate';
import { createRemoteKeySet } from '../clients/key-sets';
import { isScope } from '../clients/client';
import { createProofOfPossession } from '../clients/proof-of-possession';
import { OAuthConfigurationError, temporarilyUnavailable } from '../errors';
import { createEventLog, type Logger } from '../event-log';
import { createEventReporter, type OAuthEvents } from '../event-reporter';
import { callHost, type Awaitable } from '../host/call';
import { createEndpointFrame } from '../http/endpoint';
import { isLoopbackUrl } from '../http/loopback';
import { createOutbound } from '../http/outbound';
import { logger, RULE_MESSAGES, rule, secret, uriWithoutFragment } from '../schemas';
import { ACCESS_TOKEN_TYPE, PLAIN_TYPE } from '../tokens/jwt';
import { createDpopNonces } from '../tokens/dpop';
import { createVerifierUrl } from './request-url';
import { createMcpTokenVerifier, type CreateMcpTokenVerifier } from './mcp';
import { createResourceMetadataEndpoint } from './metadata-endpoint';
import { createRequireToken, type RequireToken, type TokenMiddleware } from './require-token';
import { createReadRequirements } from './requirements';
import { createResourceMetadata } from './resource-metadata';
import { createTokenCheck } from './token-check';
import { createVerifyToken, type VerifyToken } from './verify-token';
import { createVerifiedTokens, type IntrospectionCredentials } from './verified-tokens';

/** The options of `createTokenVerifier`. */
export interface TokenVerifierOptions {
  /** `iss` of the access tokens: the authorization server. */
  issuer: string;
  /** This resource server: it must be among the audiences of a token. */
  audience: string;
  /** The name of this resource server, in its metadata (RFC 9728 §2). @defaultValue none */
  name?: string;
  /** The scope values that exist here, in its metadata. @defaultValue none */
  scopes?: readonly string[];
  /** A page for developers, in its metadata. @defaultValue none */
  documentationUri?: string;
  /** `'required'` accepts only tokens that are bound by DPoP, and says so. @defaultValue `'allowed'` */
  dpop?: 'allowed' | 'required';
  /** Accepts `typ: 'JWT'` too, for a resource with `accessTokenType: 'JWT'`. @defaultValue `'at+jwt'` (RFC 9068) */
  accessTokenType?: 'at+jwt' | 'JWT';
  /** The URL of the server's key set. @defaultValue `<issuer>/jwks` */
  jwksUri?: string;
  /**
   * Asks the server about opaque tokens, and about all tokens for `checkRevocation` (RFC 7662). The client must have this audience
   * among its `introspectionAudiences`. @defaultValue opaque tokens are refused
   */
  introspection?: IntrospectionCredentials;
  /**
   * Returns the URL of a request as its client called it, for DPoP (`htu`): neither `Host` nor `X-Forwarded-*` is trusted.
   * @defaultValue the origin of the audience, if that is a URL, otherwise of the issuer, and the path of the request
   */
  resourceUrl?: (req: Request) => string;
  /**
   * Remembers a DPoP proof for `ttl` seconds, in all processes. Returns `true` the first time, like an adapter's `setOnce`.
   * @defaultValue the memory of this process, which holds 1000000 proofs
   */
  setOnce?: (key: string, ttl: number) => Awaitable<boolean>;
  /** Requires nonces in DPoP proofs. Secrets of at least 32 bytes, the same in all processes. @defaultValue no nonces */
  nonceSecrets?: readonly string[];
  /** Returns the TLS client certificate of a request, for tokens that are bound to one. @defaultValue none */
  clientCertificate?: ClientCertificateOf;
  /** Allows http on any host; an error if `NODE_ENV` is `production`. @defaultValue `false`: http is for loopback */
  allowHttp?: boolean;
  /** Where events are logged; `false` logs nothing. @defaultValue failures on stderr; in development, refusals too */
  logger?: Logger | false;
  /** The clock, which returns epoch milliseconds. @defaultValue `Date.now` */
  clock?: () => number;
}

/** The protection of an API in another process. */
export interface TokenVerifier {
  /** Protects a route, like the router's `requireToken`. */
  readonly requireToken: RequireToken;
  /** Verifies a token outside of a route, like the router's `verifyToken`. */
  readonly verifyToken: VerifyToken;
  /** Creates a verifier for `requireBearerAuth` of the MCP SDK, like the router's. */
  readonly mcpTokenVerifier: CreateMcpTokenVerifier;
  /**
   * Serves the metadata of this resource server, if its audience is a URL: `app.use(metadata)` at the root of its origin. The challenges
   * of `requireToken` name it (RFC 9728 §3 and §5).
   */
  readonly metadata: TokenMiddleware;
  /** The events `request.refused` and `server.failed`. */
  readonly events: OAuthEvents;
}

const url = Joi.string().uri({ scheme: ['https', 'http'] });
const schema = Joi.object({
  issuer: url.required(),
  audience: Joi.string().required(),
  name: Joi.string(),
  scopes: Joi.array().items(
    Joi.string().custom(rule((value: string) => (isScope(value) ? undefined : 'must be a scope value'))),
  ),
  documentationUri: uriWithoutFragment(['https', 'http']),
  dpop: Joi.valid('allowed', 'required'),
  accessTokenType: Joi.valid('at+jwt', 'JWT'),
  jwksUri: url,
  introspection: Joi.object({
    endpoint: url.required(),
    clientId: Joi.string().required(),
    clientSecret: Joi.string().required(),
  }),
  resourceUrl: Joi.function(),
  setOnce: Joi.function(),
  nonceSecrets: Joi.array().items(secret).min(1),
  clientCertificate: Joi.function(),
  allowHttp: Joi.boolean(),
  logger,
  clock: Joi.function(),
})
  .custom(rule(httpFault))
  .messages(RULE_MESSAGES)
  .required()
  .label('options');

function httpFault({ allowHttp, issuer, jwksUri, introspection }: TokenVerifierOptions): string | undefined {
  if (allowHttp)
    return process.env.NODE_ENV === 'production' ? 'must not have "allowHttp" in production' : undefined;
  const urls = { issuer, jwksUri, 'introspection.endpoint': introspection?.endpoint };
  const insecure = Object.entries(urls).find(([, url]) => /^http:/i.test(url ?? '') && !isLoopbackUrl(url));
  return insecure && `must have https as "${insecure[0]}", except on loopback`;
}

/**
 * How many proofs are remembered: 7,000 a second for as long as they are valid, or 2,600 with nonces. With fewer, one client could lock out
 * the others.
 */
const REMEMBERED_PROOFS = 1_000_000;

/** @throws OAuthConfigurationError that lists every fault of the options */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { error } = schema.validate(options, { abortEarly: false, convert: false });
  if (error)
    throw new OAuthConfigurationError(
      error.details.map(({ message }) => message),
      'createTokenVerifier()',
    );
  const { issuer, audience, introspection, nonceSecrets, clock = () => Date.now() } = options;
  const development =
    (isLoopbackUrl(issuer) || options.allowHttp === true) && process.env.NODE_ENV !== 'production';
  const reporter = createEventReporter(createEventLog({ logger: options.logger, development }));
  // The operator chose these URLs.
  const fetch = createOutbound({ allowPrivateAddresses: true });
  const keys = createRemoteKeySet(options.jwksUri ?? `${issuer.replace(/\/$/, '')}/jwks`, { fetch, clock });
  const tokens = createVerifiedTokens({
    issuer,
    keys,
    introspection,
    fetch,
    types: options.accessTokenType === 'JWT' ? [ACCESS_TOKEN_TYPE, PLAIN_TYPE] : [ACCESS_TOKEN_TYPE],
  });
  const { setOnce = memoryAdapter({ clock, maxEntries: REMEMBERED_PROOFS }).setOnce } = options;
  const possession = createProofOfPossession({
    nonces: nonceSecrets && createDpopNonces({ current: nonceSecrets }, issuer, clock),
    noncePolicy: nonceSecrets ? 'always' : 'never',
    setOnce: (key, ttl) =>
      callHost(
        () => setOnce(key, ttl),
        (cause) => temporarilyUnavailable('The DPoP proof cannot be remembered', { cause }),
      ),
    certificateOf: createCertificateReader(options.clientCertificate),
    clock,
  });
  const check = createTokenCheck({
    read: tokens.read,
    possession,
    requireNonce: nonceSecrets !== undefined,
    urlOf: options.resourceUrl ?? createVerifierUrl({ issuer, audience }),
    clock,
  });
  const { name, scopes, documentationUri } = options;
  const requiresDpop = options.dpop === 'required';
  const described = { identifier: audience, name, scopes, documentationUri, requiresDpop };
  const resourceMetadata = createResourceMetadata([described], issuer);
  const readRequirements = createReadRequirements({
    defaultAudience: audience,
    statusOf: tokens.statusOf,
    factsOf: (named) => ({ resourceMetadata: resourceMetadata.urlOf(named), requiresDpop }),
  });
  const frame = createEndpointFrame({
    reporter,
    rateLimit: undefined,
    requestGuard: undefined,
    formatError: undefined,
  });
  return {
    requireToken: createRequireToken({ check, readRequirements, frame }),
    verifyToken: createVerifyToken({ check, readRequirements, possession }),
    mcpTokenVerifier: createMcpTokenVerifier({ check, readRequirements }),
    metadata: createResourceMetadataEndpoint(resourceMetadata, frame),
    events: reporter.events,
  };
}
