import Joi from 'joi';

import { OPTIONAL_FUNCTIONS, REQUIRED_FUNCTIONS, type ClientMetadata } from './adapters/contract';
import { isMemoryAdapter } from './adapters/memory';
import { CERTIFICATE_SUBJECTS, isScope } from './clients/client';
import { GRANT_TYPE } from './clients/client-checks';
import { providerFaults } from './federation/provider';
import type { ResourceOptions } from './grants/audiences';
import { LONGEST_LIFETIME } from './grants/policies';
import type { OAuthRouterOptions } from './options';
import { FAPI_ALGORITHMS, SHARED_ALGORITHM, SIGNING_ALGORITHMS } from './tokens/algorithms';
import type { SigningKeys } from './tokens/signing-keys';

const BUILT_IN_GRANTS = ['authorization_code', 'refresh_token', 'client_credentials', 'password', 'implicit'];

const policy = (value: Joi.Schema): Joi.Schema => Joi.alternatives(value, Joi.function());
const lifetime = (least: number): Joi.Schema =>
  policy(Joi.number().integer().min(least).max(LONGEST_LIFETIME));
const tokenFormat = policy(Joi.valid('jwt', 'opaque'));
const identifier = Joi.string().uri().pattern(/#/, { invert: true, name: 'fragment' });
const scopeValue = Joi.string().pattern(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'scope value');
const headerName = Joi.string()
  .pattern(/^[\w-]+$/, 'header name')
  .pattern(/^(authorization|cookie|dpop)$/i, { invert: true, name: 'another purpose' });
const color = Joi.string().pattern(/^#[0-9a-f]{3,8}$/i, 'hex colour');

const resourceSchema = Joi.object({
  identifier: identifier.required(),
  scopes: Joi.array().items(scopeValue),
  clients: Joi.alternatives(Joi.valid('any'), Joi.array().items(Joi.string())),
  accessTokenLifetime: lifetime(1),
  accessTokenFormat: tokenFormat,
  signingAlgorithm: Joi.valid(...SIGNING_ALGORITHMS, SHARED_ALGORITHM),
  dpop: Joi.valid('allowed', 'required'),
});

export const optionsSchema = Joi.object({
  issuer: Joi.string().required().custom(issuerRule),
  // Validated as it is: a copy would lose the private fields of an adapter that is an object of a class.
  adapter: Joi.custom(adapterRule),
  secrets: Joi.array(),
  signingKeys: Joi.array(),
  clients: Joi.array().items(Joi.object().unknown()),
  authenticate: Joi.function().required(),
  loginUrl: Joi.alternatives(Joi.string().custom(loginUrlRule), Joi.function()).required(),
  loadUser: Joi.function(),
  claims: Joi.function(),
  // Each is looked at apart, where it is known what development allows.
  providers: Joi.object().unknown(),
  resolveUser: Joi.function(),
  linkScope: Joi.string().custom((value: string, { error }) =>
    isScope(value) ? value : error('any.invalid'),
  ),
  linkWithAccessTokens: Joi.boolean(),
  clientHeaders: Joi.object({ id: headerName, publishableKey: headerName, placeholderKey: Joi.string() }),
  anonymousSubject: Joi.function(),
  headerSubject: Joi.function(),
  tokenResponse: Joi.function(),
  beforeIssueToken: Joi.function(),
  scopes: Joi.object().pattern(scopeValue, Joi.string()),
  defaultAudience: Joi.string(),
  resources: Joi.array().items(
    Joi.alternatives().conditional(Joi.string(), { then: identifier, otherwise: resourceSchema }),
  ),
  multipleAudiences: Joi.boolean(),
  userClaims: Joi.function(),
  endSession: Joi.function(),
  pairwiseSecret: Joi.string().min(32),
  dpop: Joi.object({ nonce: Joi.valid('never', 'public', 'always') }),
  clientCertificate: Joi.function(),
  clientAssertionMaximumLength: Joi.number().integer().min(512).max(8192),
  allowPrivateAddresses: Joi.boolean(),
  resourceUrl: Joi.function(),
  rateLimit: Joi.function(),
  requestGuard: Joi.function(),
  formatError: Joi.function(),
  accessTokenFormat: tokenFormat,
  grants: Joi.object().pattern(
    Joi.string()
      .pattern(GRANT_TYPE, 'grant type')
      .invalid(...BUILT_IN_GRANTS),
    Joi.function(),
  ),
  consent: Joi.function(),
  errorPage: Joi.function(),
  branding: Joi.object({
    name: Joi.string(),
    logoUrl: Joi.string().uri({ scheme: ['https', 'data'] }),
    colors: Joi.object({ accent: color, accentText: color }),
  }),
  authorizationCodeLifetime: lifetime(1),
  accessTokenLifetime: lifetime(1),
  idTokenLifetime: lifetime(1),
  refreshTokens: policy(Joi.valid('always', 'offline_access')),
  refreshTokenIdleLifetime: lifetime(1),
  refreshTokenAbsoluteLifetime: lifetime(1),
  refreshTokenLeeway: lifetime(0),
  refreshTokenRotation: policy(Joi.valid('always', 'never')),
  consentLifetime: lifetime(1),
  parkedRequestLifetime: lifetime(1),
  pushedRequestLifetime: lifetime(1),
  sessionLifetime: lifetime(1),
  federationLifetime: lifetime(1),
  storeTimeout: Joi.number().positive().max(600),
  clock: Joi.function(),
})
  .required()
  .label('options')
  .messages({ 'rule.fault': '{{#label}} {{#fault}}' });

function issuerRule(issuer: string, { error }: Joi.CustomHelpers): unknown {
  const fault = issuerFault(issuer);
  return fault ? error('rule.fault', { fault }) : issuer;
}

/** RFC 8414 §2 */
function issuerFault(issuer: string): string | undefined {
  if (!URL.canParse(issuer)) return 'must be a URL';
  const { protocol, username, password, href } = new URL(issuer);
  if (!/^https?:$/.test(protocol)) return 'must be an https URL';
  if (/[?#]/.test(issuer)) return 'must have no query and no fragment';
  if (new URL(issuer).pathname.includes('//')) return 'must have no empty part in its path';
  if (username || password) return 'must have no user information';
  // Clients compare it byte for byte: what a URL parser would write in another way is a trap.
  if (href !== issuer && href !== `${issuer}/`) return `must be written as ${href}`;
  return undefined;
}

/** `undefined` is what the default stands for. */
function adapterRule(adapter: unknown, { error }: Joi.CustomHelpers): unknown {
  if (typeof adapter !== 'object' || adapter === null)
    return error('rule.fault', { fault: 'must be an object of functions' });
  const functions = adapter as Record<string, unknown>;
  const missing = REQUIRED_FUNCTIONS.filter((name) => typeof functions[name] !== 'function');
  if (missing.length > 0) return error('rule.fault', { fault: `lacks ${missing.join(', ')}` });
  const wrong = OPTIONAL_FUNCTIONS.filter(
    (name) => !['function', 'undefined'].includes(typeof functions[name]),
  );
  if (wrong.length > 0)
    return error('rule.fault', { fault: `has ${wrong.join(', ')}, but not as functions` });
  if (Boolean(functions.saveConsent) !== Boolean(functions.getConsent)) {
    return error('rule.fault', {
      fault: 'has only one of getConsent and saveConsent: remembering consent needs both',
    });
  }
  return adapter;
}

function loginUrlRule(loginUrl: string, { error }: Joi.CustomHelpers): unknown {
  if (!/^[\x21-\x7e]+$/.test(loginUrl) || loginUrl.includes('\\')) {
    return error('rule.fault', { fault: 'holds characters that no URL has: encode them' });
  }
  const isPath = /^\/(?!\/)/.test(loginUrl);
  const isUrl = /^https?:\/\//.test(loginUrl) && URL.canParse(loginUrl);
  if (!isPath && !isUrl)
    return error('rule.fault', { fault: 'must be a path that begins with /, an http URL, or a function' });
  if (loginUrl.includes('#')) return error('rule.fault', { fault: 'must have no fragment' });
  return loginUrl;
}

export function isLoopback(issuer: unknown): boolean {
  if (typeof issuer !== 'string' || !URL.canParse(issuer)) return false;
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(issuer).hostname);
}

export function productionFaults({ issuer, adapter, loginUrl }: OAuthRouterOptions): string[] {
  const faults: string[] = [];
  if (typeof loginUrl === 'string' && loginUrl.startsWith('http:'))
    faults.push('"loginUrl" must be https outside development');
  if (typeof issuer === 'string' && issuer.startsWith('http:'))
    faults.push('"issuer" must be https outside development');
  if (!adapter) faults.push('"adapter" is missing: the memory adapter is for development');
  else if ((adapter as unknown) instanceof Object && isMemoryAdapter(adapter))
    faults.push('"adapter" must not be the memory adapter outside development');
  return faults;
}

export function federationFaults(
  { providers, resolveUser }: OAuthRouterOptions,
  allowHttp: boolean,
): string[] {
  // What is no object was found by the schema.
  if (typeof providers !== 'object' || (providers as unknown) === null) return [];
  const faults = providerFaults(providers, { allowHttp });
  return resolveUser || Object.keys(providers).length === 0
    ? faults
    : [...faults, '"providers" need the option "resolveUser"'];
}

/** What a client or a resource needs, and nothing else gives. */
export function featureFaults(
  options: OAuthRouterOptions,
  clients: readonly ClientMetadata[],
  { algorithms, all }: SigningKeys,
): string[] {
  const { adapter, clientCertificate, pairwiseSecret } = options;
  // Without keys there is a fault already.
  const cannotSign = (alg: string | undefined): boolean =>
    alg !== undefined && all.length > 0 && !algorithms.some((own) => own === alg);
  const ofClients = clients.flatMap((client, position) => {
    const label = `clients[${position}]`;
    const { idTokenSignedResponseAlg, authorizationSignedResponseAlg, tokenEndpointAuthMethod } = client;
    const withCertificate =
      client.tlsClientCertificateBoundAccessTokens === true ||
      /^(self_signed_)?tls_/.test(String(tokenEndpointAuthMethod)) ||
      CERTIFICATE_SUBJECTS.some((name) => client[name] !== undefined);
    const faults: [boolean, string][] = [
      [cannotSign(idTokenSignedResponseAlg), '"idTokenSignedResponseAlg" has no signing key'],
      [cannotSign(authorizationSignedResponseAlg), '"authorizationSignedResponseAlg" has no signing key'],
      [
        client.securityProfile === 'fapi2' &&
          all.length > 0 &&
          !algorithms.some((alg) => FAPI_ALGORITHMS.includes(alg)),
        '"securityProfile" needs a signing key of PS256 or ES256',
      ],
      [
        String(client.scope).split(' ').includes('openid') && all.length > 0 && algorithms.length === 0,
        '"scope" has openid, but a shared secret cannot sign ID tokens',
      ],
      [
        client.outOfBand === 'json' && !options.anonymousSubject && !options.headerSubject,
        '"outOfBand" needs the option "anonymousSubject" or "headerSubject"',
      ],
      [
        Array.isArray(client.publishableKeys) &&
          client.publishableKeys.includes(options.clientHeaders?.placeholderKey ?? ''),
        '"publishableKeys" has the "placeholderKey", which stands for none',
      ],
      [withCertificate && !clientCertificate, 'needs the option "clientCertificate"'],
      [client.subjectType === 'pairwise' && !pairwiseSecret, 'needs the option "pairwiseSecret"'],
      [
        client.backchannelLogoutUri !== undefined && adapter !== undefined && !adapter.listGrants,
        '"backchannelLogoutUri" needs listGrants() of the adapter',
      ],
    ];
    return faults.filter(([applies]) => applies).map(([, fault]) => `${label}: ${fault}`);
  });
  const identifiers = resourcesOf(options).map(({ identifier: name }) => name);
  const twice = identifiers.find((name, position) => identifiers.indexOf(name) < position);
  const ofResources = resourcesOf(options).flatMap(({ signingAlgorithm }, position) =>
    signingAlgorithm !== undefined && all.length > 0 && !all.some(({ alg }) => alg === signingAlgorithm)
      ? [`"resources[${position}].signingAlgorithm" has no signing key`]
      : [],
  );
  return [...ofClients, ...ofResources, ...(twice ? [`"resources" has ${twice} twice`] : [])];
}

export function resourcesOf({ resources = [] }: OAuthRouterOptions): readonly ResourceOptions[] {
  if (!Array.isArray(resources)) return [];
  // What is neither was found by the schema.
  return resources.flatMap((resource: unknown) => {
    if (typeof resource === 'string') return { identifier: resource };
    return resource instanceof Object ? (resource as ResourceOptions) : [];
  });
}
