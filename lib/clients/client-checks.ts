import Joi, { type ValidationErrorItem } from 'joi';

import type { ClientAuthenticationMethodName, ClientMetadata } from '../adapters/contract';
import {
  algorithmsOf,
  FAPI_ALGORITHMS,
  publicKeyOf,
  SIGNING_ALGORITHMS,
  VERIFICATION_ALGORITHMS,
} from '../tokens/algorithms';
import { asList, CERTIFICATE_SUBJECTS, CLIENT_ID, resolveClient, SCOPE, type Client } from './client';
import { MAXIMUM_KEYS } from './key-sets';
import { isOutOfBandUri, OUT_OF_BAND_URIS, redirectUriFault } from './redirect-uris';
import { RULE_MESSAGES, rule, uriWithoutFragment } from '../schemas';
import { hashGeneratedSecret, isSecretHash } from './secret-hashes';

/** The grant types of this server. A host adds its own with the option `grants`. */
export const BUILT_IN_GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials'] as const;

/** The value of `grant_type`: a name, or an absolute URI (RFC 6749 appendix A.10). */
export const GRANT_TYPE = /^(?:[\w.-]+|[a-z][a-z0-9+.-]+:[\x21\x23-\x5b\x5d-\x7e]+)$/i;

/** Of moments in seconds: one in milliseconds would void all grants for thousands of years. */
const LATEST_MOMENT = 1e11;

const webUri = Joi.string().uri({ scheme: ['https', 'http'] });
/** The maximum number of a client's secrets: a wrong secret is compared with each of them, which takes long for scrypt. */
const MAXIMUM_SECRETS = 5;
const oneOrFew = (item: Joi.Schema): Joi.Schema =>
  Joi.alternatives(item, Joi.array().items(item).min(1).max(MAXIMUM_SECRETS));
/** The message does not repeat the value, which may be a secret that was not sealed. */
const sealedSecret = Joi.string()
  .pattern(/^[\w-]{80,}$/)
  .messages({ 'string.pattern.base': '{{#label}} must be a result of sealClientSecret()' });
/** A hash that the host's `verifyClientSecret` can read. */
const anyHash = Joi.string().max(1000);
const secretHash = Joi.string().custom((value: string, { error }) =>
  isSecretHash(value) ? value : error('secret.hash'),
);

const publicJwk = Joi.custom((value: unknown, { error }) =>
  isUsableKey(value) ? value : error('jwk.private'),
);

const fewKeys = Joi.array().max(MAXIMUM_KEYS);
/** The number is checked first: importing each of a thousand keys takes a second. */
const publicJwks = Joi.alternatives().conditional(fewKeys, {
  then: Joi.array().items(publicJwk),
  otherwise: fewKeys,
});

function isUsableKey(jwk: unknown): boolean {
  const key = publicKeyOf(jwk);
  const isForEncryption = (jwk as { use?: unknown } | null)?.use === 'enc';
  return key !== undefined && (isForEncryption || algorithmsOf(key).length > 0);
}

const METHODS: readonly ClientAuthenticationMethodName[] = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
];

function redirectUri(options: { allowHttp: boolean; allowOutOfBand?: boolean }): Joi.Schema {
  return Joi.string().custom(rule((uri: string) => redirectUriFault(uri, options)));
}

interface SchemaOptions {
  allowHttp: boolean;
  /** Whether the host verifies hashes that are not ours. */
  foreignHashes: boolean;
}

/** The schemas by their options: building one takes milliseconds, and a host may create a router for each tenant. */
const schemas = new Map<string, Joi.ObjectSchema>();

function clientSchema(options: SchemaOptions): Joi.ObjectSchema {
  const key = `${options.allowHttp} ${options.foreignHashes}`;
  const schema = schemas.get(key) ?? createClientSchema(options);
  schemas.set(key, schema);
  return schema;
}

function createClientSchema({ allowHttp, foreignHashes }: SchemaOptions): Joi.ObjectSchema {
  const hash = foreignHashes ? anyHash : secretHash;
  return Joi.object({
    clientId: Joi.string().pattern(CLIENT_ID, 'client_id').required(),
    clientName: Joi.string(),
    clientUri: webUri,
    logoUri: Joi.string().uri({ scheme: 'https' }),
    tosUri: webUri,
    policyUri: webUri,
    contacts: Joi.array().items(Joi.string()),
    softwareId: Joi.string(),
    softwareVersion: Joi.string(),
    applicationType: Joi.valid('web', 'native'),
    redirectUris: Joi.array().items(redirectUri({ allowHttp, allowOutOfBand: true })),
    grantTypes: Joi.array()
      .items(Joi.string().pattern(GRANT_TYPE, 'grant type').invalid('password', 'implicit'))
      .min(1),
    responseTypes: Joi.array().items(Joi.valid('code')),
    scope: Joi.string().allow('').pattern(SCOPE, 'scope'),
    optionalScope: Joi.string().allow('').pattern(SCOPE, 'scope'),
    tokenEndpointAuthMethod: Joi.valid(...METHODS),
    clientSecretHash: oneOrFew(hash),
    clientSecretSealed: oneOrFew(sealedSecret),
    previousSecrets: Joi.array()
      .items(
        Joi.object({
          clientSecretHash: hash,
          clientSecretSealed: sealedSecret,
          expiresAt: Joi.number().min(0).max(LATEST_MOMENT).required(),
        }).xor('clientSecretHash', 'clientSecretSealed'),
      )
      .max(MAXIMUM_SECRETS),
    tokenEndpointAuthSigningAlg: Joi.valid(...VERIFICATION_ALGORITHMS, 'HS256', 'HS384', 'HS512'),
    jwks: Joi.object({ keys: publicJwks.required() }).unknown(),
    jwksUri: Joi.string().uri({ scheme: allowHttp ? ['https', 'http'] : 'https' }),
    ...Object.fromEntries(CERTIFICATE_SUBJECTS.map((name) => [name, Joi.string()])),
    tlsClientCertificateBoundAccessTokens: Joi.boolean(),
    dpopBoundAccessTokens: Joi.boolean(),
    requirePushedAuthorizationRequests: Joi.boolean(),
    requireSignedRequestObject: Joi.boolean(),
    requestObjectSigningAlg: Joi.valid(...VERIFICATION_ALGORITHMS),
    idTokenClaims: Joi.valid('scope', 'requested'),
    idTokenSignedResponseAlg: Joi.valid(...SIGNING_ALGORITHMS),
    authorizationSignedResponseAlg: Joi.valid(...SIGNING_ALGORITHMS),
    subjectType: Joi.valid('public', 'pairwise'),
    sectorIdentifierUri: Joi.string().uri({ scheme: 'https' }),
    defaultMaxAge: Joi.number().integer().min(0),
    postLogoutRedirectUris: Joi.array().items(redirectUri({ allowHttp })),
    backchannelLogoutUri: uriWithoutFragment(allowHttp ? ['https', 'http'] : ['https']),
    securityProfile: Joi.valid('fapi2'),
    refreshTokens: Joi.valid('always', 'offline_access'),
    // A plaintext secret would be ignored, and the client would be treated as a public client.
    clientSecret: Joi.forbidden(),
    publishableKeys: Joi.array().items(Joi.string().pattern(/^[\x21-\x7e]{1,255}$/, 'publishable key')),
    requirePublishableKey: Joi.boolean(),
    publishableKeyInQuery: Joi.boolean(),
    authorizationResponseIss: Joi.boolean(),
    jsonRedirects: Joi.boolean(),
    landingUris: Joi.array().items(redirectUri({ allowHttp })),
    outOfBand: Joi.valid('page', 'json'),
    firstParty: Joi.boolean(),
    selfAsserted: Joi.boolean(),
    revision: Joi.string(),
    clientIdIssuedAt: Joi.number().min(0).max(LATEST_MOMENT),
    registration: Joi.valid('initial_access_token', 'own', 'shared'),
    requirePkce: Joi.boolean(),
    refreshTokenRotation: Joi.valid('always', 'never'),
    grantsNotBefore: Joi.number().min(0).max(LATEST_MOMENT),
    introspectionAudiences: Joi.array().items(Joi.string()),
  })
    .custom(rule(clientFault))
    .messages({
      ...RULE_MESSAGES,
      'jwk.private': '{{#label}} must be a public key, of a kind and size that can be used',
      'secret.hash': '{{#label}} must be a hash from generateClientSecret() or hashClientSecret()',
      'any.unknown': '{{#label}} must not be stored: store clientSecretHash',
    });
}

function clientFault(value: ClientMetadata): string | undefined {
  const client = resolveClient(value);
  const faults = [
    ...credentialFaults(value, client),
    ...registrationFaults(client),
    ...fapiFaults(value, client),
  ];
  return faults.find(([applies]) => applies)?.[1];
}

type Fault = readonly [applies: boolean, fault: string];

function credentialFaults(value: ClientMetadata, client: Client): readonly Fault[] {
  const { tokenEndpointAuthMethod: method } = client;
  const isSecret = method === 'client_secret_basic' || method === 'client_secret_post';
  const hasHash = asList(value.clientSecretHash).length > 0;
  const hasSealed = asList(value.clientSecretSealed).length > 0;
  const subjects = CERTIFICATE_SUBJECTS.filter((name) => value[name] !== undefined).length;
  const needsKeys = method === 'private_key_jwt' || method === 'self_signed_tls_client_auth';
  return [
    [isSecret && !hasHash, `needs a secret for ${method}`],
    [method === 'client_secret_jwt' && !hasSealed, 'needs clientSecretSealed for client_secret_jwt'],
    [hasHash && !isSecret, `has a secret, but tokenEndpointAuthMethod is ${method}`],
    [
      hasSealed && method !== 'client_secret_jwt',
      `has a sealed secret, but tokenEndpointAuthMethod is ${method}`,
    ],
    [
      client.publishableKeys.some((key) => asList(value.clientSecretHash).includes(hashGeneratedSecret(key))),
      'must not have its secret among "publishableKeys"',
    ],
    [value.jwks !== undefined && value.jwksUri !== undefined, 'has both jwks and jwksUri'],
    [needsKeys && !value.jwks && value.jwksUri === undefined, `needs jwks or jwksUri for ${method}`],
    [
      (needsKeys || client.requireSignedRequestObject) && value.jwks?.keys.length === 0,
      'has no keys in jwks',
    ],
    [
      !signsBy(value.tokenEndpointAuthSigningAlg, value, method),
      `cannot sign with ${value.tokenEndpointAuthSigningAlg ?? ''}`,
    ],
    [method === 'tls_client_auth' && subjects !== 1, `needs one of ${CERTIFICATE_SUBJECTS.join(', ')}`],
    [
      method !== 'tls_client_auth' && subjects > 0,
      `has the subject of a certificate, but tokenEndpointAuthMethod is ${method}`,
    ],
  ];
}

/** Whether a client can sign its assertions with the algorithm that it is registered for. */
function signsBy(
  alg: string | undefined,
  { jwks }: ClientMetadata,
  method: ClientAuthenticationMethodName,
): boolean {
  if (alg === undefined) return true;
  if (method === 'client_secret_jwt') return alg.startsWith('HS');
  if (method !== 'private_key_jwt') return true;
  const keys = jwks?.keys.flatMap((jwk) => publicKeyOf(jwk) ?? []);
  return !alg.startsWith('HS') && (keys?.some((key) => algorithmsOf(key).includes(alg)) ?? true);
}

function registrationFaults(client: Client): readonly Fault[] {
  const { confidential, grantTypes, metadata } = client;
  const keyBound = confidential || client.dpopBoundAccessTokens;
  const needsKeys = client.requireSignedRequestObject && !metadata.jwks && metadata.jwksUri === undefined;
  return [
    [grantTypes.includes('authorization_code') && client.redirectUris.length === 0, 'needs redirectUris'],
    [client.selfAsserted && client.firstParty, 'must not be firstParty with selfAsserted'],
    [!confidential && !client.requirePkce, 'must use PKCE: only a confidential client can be exempted'],
    [
      !keyBound && client.refreshTokenRotation === 'never',
      'must rotate refresh tokens: only a confidential client, or a client with dpopBoundAccessTokens, can keep them',
    ],
    [
      !confidential && grantTypes.includes('client_credentials'),
      'cannot use client_credentials without credentials',
    ],
    [needsKeys, 'needs jwks or jwksUri for its signed request objects'],
    [
      client.jsonRedirects && (confidential || !client.requirePkce),
      'must be a public client with PKCE for jsonRedirects',
    ],
    [
      client.publishableKeys.length === 0 && (client.requirePublishableKey || client.publishableKeyInQuery),
      'needs publishableKeys',
    ],
    ...outOfBandFaults(client),
    [
      client.subjectType === 'pairwise' && client.sector === '',
      'needs sectorIdentifierUri, because its redirect URIs do not have exactly one host',
    ],
  ];
}

function outOfBandFaults({ outOfBand, redirectUris, requirePkce }: Client): readonly Fault[] {
  const hasUrn = redirectUris.some(isOutOfBandUri);
  return [
    [outOfBand !== undefined && !hasUrn, `needs one of ${OUT_OF_BAND_URIS.join(', ')} as a redirect URI`],
    [outOfBand === undefined && hasUrn, 'needs outOfBand for its out-of-band redirect URI'],
    [outOfBand !== undefined && !requirePkce, 'must use PKCE with outOfBand'],
  ];
}

const FAPI_METHODS = ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'];

/** FAPI 2.0 Security Profile §5.3.2 and §5.4 */
function fapiFaults(value: ClientMetadata, client: Client): readonly Fault[] {
  if (!client.fapi) return [];
  const algorithms = [
    value.tokenEndpointAuthSigningAlg,
    value.requestObjectSigningAlg,
    value.idTokenSignedResponseAlg,
    value.authorizationSignedResponseAlg,
  ].filter((alg) => alg !== undefined);
  return [
    [
      !FAPI_METHODS.includes(client.tokenEndpointAuthMethod),
      `must authenticate with one of ${FAPI_METHODS.join(', ')}`,
    ],
    [value.requirePkce === false, 'must use PKCE under fapi2'],
    [value.requirePushedAuthorizationRequests === false, 'must push its requests under fapi2'],
    [value.refreshTokenRotation === 'always', 'must not rotate refresh tokens under fapi2'],
    [
      !client.dpopBoundAccessTokens && !client.tlsClientCertificateBoundAccessTokens,
      'must have tokens bound by DPoP or a certificate under fapi2',
    ],
    [
      algorithms.some((alg) => !FAPI_ALGORITHMS.includes(alg)),
      `must use one of ${FAPI_ALGORITHMS.join(', ')} under fapi2`,
    ],
    [client.redirectUris.some((uri) => uri.startsWith('http:')), 'must have https redirect URIs under fapi2'],
    [client.outOfBand !== undefined, 'must not be out of band under fapi2'],
    [!client.authorizationResponseIss, 'must have iss in its responses under fapi2'],
  ];
}

/** Checks a client. Returns its faults. */
export type ClientChecker = (metadata: unknown) => readonly ValidationErrorItem[];

/**
 * Creates a checker. `strict` refuses unknown members, which are typos in the options; a host's records may have further members.
 */
export function createClientChecker({
  allowHttp,
  foreignHashes = false,
  strict,
  abortEarly = false,
}: Partial<SchemaOptions> & {
  allowHttp: boolean;
  strict: boolean;
  /** Stops at the first fault: a stranger's metadata may have thousands. */
  abortEarly?: boolean;
}): ClientChecker {
  const schema = clientSchema({ allowHttp, foreignHashes }).unknown(!strict).label('client');
  return (metadata) => schema.validate(metadata, { abortEarly, convert: false }).error?.details ?? [];
}

/** Returns the names of all members, for suggestions. */
export function clientMembers(): readonly string[] {
  return Object.keys(
    (clientSchema({ allowHttp: false, foreignHashes: false }).describe() as { keys: object }).keys,
  );
}
