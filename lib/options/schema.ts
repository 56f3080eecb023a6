import Joi from 'joi';

import { OPTIONAL_FUNCTIONS, REQUIRED_FUNCTIONS } from '../adapters/contract';
import { isScope } from '../clients/client';
import { BUILT_IN_GRANT_TYPES, GRANT_TYPE } from '../clients/client-checks';
import { PATHS } from '../endpoints/paths';
import { CONTINUED, KNOWN_NAMES } from '../http/parameters';
import { LONGEST_CODE_LIFETIME, LONGEST_LIFETIME } from '../policy/policies';
import { logger, RULE_MESSAGES, rule, secret, uriWithoutFragment } from '../schemas';
import { SHARED_ALGORITHM, SIGNING_ALGORITHMS } from '../tokens/algorithms';
import type { GroupName } from './defaults';
import type { RegistrationOptions } from './options';
import { closestName } from './suggestions';

/** The grant types that a host cannot define: those of this server, and those that OAuth 2.1 has removed. */
const RESERVED_GRANT_TYPES = [...BUILT_IN_GRANT_TYPES, 'password', 'implicit'];

function lifetime(least = 1, most = LONGEST_LIFETIME): Joi.Schema {
  return Joi.custom(
    rule((value) => {
      if (typeof value === 'function') return undefined;
      if (typeof value !== 'number')
        return 'must be seconds, as a number, or a function that returns them: 3600 is an hour';
      if (!Number.isInteger(value)) return 'must be a whole number of seconds';
      if (value < least || value > most) return `must be between ${least} and ${most} seconds`;
      return undefined;
    }),
  );
}

const policy = (value: Joi.Schema): Joi.Schema => Joi.alternatives(value, Joi.function());
const tokenFormat = policy(Joi.valid('jwt', 'opaque'));
const identifier = uriWithoutFragment();
const scopeValue = Joi.string().pattern(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'scope value');
const scope = Joi.custom(
  rule((value) =>
    typeof value === 'string' && (value === '' || isScope(value))
      ? undefined
      : 'must be scope values, separated by spaces',
  ),
);
const headerName = Joi.string()
  .pattern(/^[\w-]+$/, 'header name')
  .pattern(/^(authorization|cookie|dpop)$/i, { invert: true })
  .messages({ 'string.pattern.invert.base': '{{#label}} must not be Authorization, Cookie or DPoP' });
const color = Joi.string().pattern(/^#[0-9a-f]{3,8}$/i, 'hex color');

const resource = Joi.object({
  identifier: identifier.required(),
  name: Joi.string(),
  documentationUri: uriWithoutFragment(['https', 'http']),
  scopes: Joi.array().items(scopeValue),
  clients: Joi.alternatives(Joi.valid('any'), Joi.array().items(Joi.string())),
  accessTokenLifetime: lifetime(),
  accessTokenFormat: tokenFormat,
  accessTokenType: Joi.valid('at+jwt', 'JWT'),
  signingAlgorithm: Joi.valid(...SIGNING_ALGORITHMS, SHARED_ALGORITHM),
  dpop: Joi.valid('allowed', 'required'),
});

const lifetimes = Joi.object({
  authorizationCode: lifetime(1, LONGEST_CODE_LIFETIME),
  accessToken: lifetime(),
  idToken: lifetime(),
  consent: lifetime(),
  parkedRequest: lifetime(),
  pushedRequest: lifetime(),
  federation: lifetime(),
  session: lifetime(),
});

const refreshTokens = Joi.object({
  issue: policy(Joi.valid('always', 'offline_access')),
  rotation: policy(Joi.valid('always', 'never')),
  leeway: lifetime(0),
  import: Joi.function(),
  idleLifetime: lifetime(),
  absoluteLifetime: lifetime(),
});

const federation = Joi.object({
  // Checked by federationFaults(), which knows whether development allows http.
  providers: Joi.object().unknown(),
  defaultProvider: Joi.string(),
  resolveUser: Joi.function(),
  linkScope: scope,
  linkWithAccessTokens: Joi.boolean(),
  allowPrivateAddresses: Joi.boolean(),
});

const registration = Joi.object({
  open: Joi.boolean(),
  initialAccessToken: Joi.function(),
  limit: Joi.number().integer().min(1).max(10_000),
  sourceOf: Joi.function(),
  unusedLifetime: Joi.number().integer().min(60).max(LONGEST_LIFETIME),
  softwareStatementIssuers: Joi.object().pattern(
    Joi.string(),
    Joi.object({
      jwks: Joi.object({ keys: Joi.array().required() }).unknown(),
      jwksUri: Joi.string().uri({ scheme: ['https', 'http'] }),
    }).xor('jwks', 'jwksUri'),
  ),
}).custom(
  rule(({ open, initialAccessToken }: RegistrationOptions) =>
    open === true || initialAccessToken ? undefined : 'must have "open: true" or "initialAccessToken"',
  ),
);

const branding = Joi.object({
  name: Joi.string(),
  logoUrl: Joi.string().uri({ scheme: ['https', 'data'] }),
  colors: Joi.object({ accent: color, accentText: color }),
});

export const optionsSchema = Joi.object({
  issuer: Joi.string().required().custom(rule(issuerFault)),
  // Validated as it is: a copy would lose the private fields of an adapter that is an instance of a class.
  adapter: Joi.custom(rule(adapterFault)),
  secrets: Joi.array(),
  signingKeys: Joi.array(),
  clients: Joi.array().items(Joi.object().unknown()),
  clientHeaders: Joi.object({ id: headerName, publishableKey: headerName, placeholderKey: Joi.string() }),
  jsonRedirectParameter: Joi.string()
    .pattern(/^\w{1,40}$/, 'parameter')
    .invalid(...KNOWN_NAMES, CONTINUED)
    .messages({ 'any.invalid': '{{#label}} is a parameter of the protocol' }),
  metadataDocuments: Joi.alternatives(Joi.boolean(), Joi.object({ allow: Joi.function() })),
  registration: Joi.alternatives().conditional(Joi.boolean(), {
    then: Joi.valid(false),
    otherwise: registration,
  }),
  verifyClientSecret: Joi.function(),
  clientCertificate: Joi.function(),
  clientAssertionAudience: Joi.valid('issuer', 'issuer_or_endpoint'),
  clientAssertionMaximumLength: Joi.number().integer().min(512).max(8192),
  allowPrivateAddresses: Joi.boolean(),
  pairwiseSecret: secret,
  authenticate: Joi.function().required(),
  loginUrl: Joi.alternatives(Joi.string().custom(rule(loginUrlFault)), Joi.function()).required(),
  loadUser: Joi.function(),
  userClaims: Joi.function(),
  idTokenClaims: Joi.valid('scope', 'requested'),
  acrValues: Joi.array().items(scopeValue),
  endSession: Joi.function(),
  scopes: Joi.object().pattern(scopeValue, Joi.string()),
  defaultAudience: Joi.string(),
  resources: Joi.array().items(
    Joi.alternatives().conditional(Joi.string(), { then: identifier, otherwise: resource }),
  ),
  multipleAudiences: Joi.boolean(),
  unknownScopes: Joi.valid('refuse', 'drop'),
  accessTokenFormat: tokenFormat,
  grants: Joi.object().pattern(
    Joi.string()
      .pattern(GRANT_TYPE, 'grant type')
      .invalid(...RESERVED_GRANT_TYPES),
    Joi.function(),
  ),
  claims: Joi.function(),
  beforeIssueToken: Joi.function(),
  tokenResponse: Joi.function(),
  allowHttp: Joi.boolean(),
  rateLimit: Joi.function(),
  requestGuard: Joi.function(),
  formatError: Joi.function(),
  logger,
  storeTimeout: Joi.number().positive().max(600),
  clock: Joi.function(),
  lifetimes,
  refreshTokens,
  federation,
  selfAsserted: Joi.object({ scope, approve: Joi.function() }),
  outOfBand: Joi.object({ anonymousSubject: Joi.function(), headerSubject: Joi.function() }),
  pages: Joi.object({ branding, consent: Joi.function(), error: Joi.function() }),
  paths: Joi.object(Object.fromEntries(Object.keys(PATHS).map((name) => [name, Joi.string()]))),
  dpop: Joi.object({ nonce: Joi.valid('never', 'public', 'always'), resourceUrl: Joi.function() }),
})
  .required()
  .label('options')
  .messages(RULE_MESSAGES);

/** Returns the names of the options themselves, or of the members of a group. */
export function namesIn(group?: GroupName | 'registration'): readonly string[] {
  if (group === 'registration') return keysOf(registration);
  return keysOf(group === undefined ? optionsSchema : optionsSchema.extract(group));
}

function keysOf(schema: Joi.Schema): readonly string[] {
  const { keys } = schema.$_terms as { keys: readonly { readonly key: string }[] };
  return keys.map(({ key }) => key);
}

/** Returns the names of all options, those of groups with a dot: for suggestions. */
export function allOptionNames(): readonly string[] {
  return describedNames(optionsSchema.describe() as Described);
}

interface Described {
  readonly keys?: Readonly<Record<string, Described>>;
  /** The alternatives of an option. */
  readonly matches?: readonly { readonly schema?: Described; readonly otherwise?: Described }[];
}

function describedNames({ keys, matches = [] }: Described): string[] {
  const own =
    keys ??
    (Object.assign({}, ...matches.map(({ schema, otherwise }) => (schema ?? otherwise)?.keys)) as NonNullable<
      Described['keys']
    >);
  return Object.entries(own).flatMap(([name, described]) => [
    name,
    ...describedNames(described).map((inner) => `${name}.${inner}`),
  ]);
}

/** RFC 8414 §2 */
function issuerFault(issuer: string): string | undefined {
  if (!URL.canParse(issuer)) return 'must be a URL';
  const { protocol, username, password, href, pathname } = new URL(issuer);
  if (!/^https?:$/.test(protocol)) return 'must be an https URL';
  if (/[?#]/.test(issuer)) return 'must have no query and no fragment';
  if (pathname.includes('//')) return 'must have no empty part in its path';
  if (username || password) return 'must have no user information';
  // Clients compare the issuer byte for byte, and a URL parser may normalize it.
  if (href !== issuer && href !== `${issuer}/`) return `must be written as ${href}`;
  return undefined;
}

function adapterFault(adapter: unknown): string | undefined {
  if (typeof adapter !== 'object' || adapter === null) return 'must be an object of functions';
  const functions = adapter as Record<string, unknown>;
  const missing = REQUIRED_FUNCTIONS.filter((name) => typeof functions[name] !== 'function');
  if (missing.length > 0) return `lacks ${missing.join(', ')}`;
  const wrong = OPTIONAL_FUNCTIONS.filter(
    (name) => !['function', 'undefined'].includes(typeof functions[name]),
  );
  if (wrong.length > 0) return `has ${wrong.join(', ')}, but not as functions`;
  const lacking = CONSENT_FUNCTIONS.filter((name) => functions[name] === undefined);
  if (lacking.length > 0 && lacking.length < CONSENT_FUNCTIONS.length)
    return `lacks ${lacking.join(', ')}: remembering consent needs ${CONSENT_FUNCTIONS.join(', ')}`;
  return misspelledFault(functions);
}

/** A consent that is remembered must also be found, and forgotten when access is withdrawn. */
const CONSENT_FUNCTIONS = ['getConsent', 'saveConsent', 'deleteConsent'] as const;

/** Finds a function whose name is almost that of an optional function which is missing: without it, the capability would be off. */
function misspelledFault(functions: Record<string, unknown>): string | undefined {
  const missing = OPTIONAL_FUNCTIONS.filter((name) => functions[name] === undefined);
  const known: readonly string[] = [...REQUIRED_FUNCTIONS, ...OPTIONAL_FUNCTIONS];
  for (const name of namesOfFunctions(functions)) {
    const meant = known.includes(name) ? undefined : closestName(name, missing);
    if (meant !== undefined) return `has ${name}(): did you mean ${meant}?`;
  }
  return undefined;
}

/** Returns the names of an object's functions, those of its class included. No getter is called. */
function namesOfFunctions(object: object): string[] {
  const prototype = Object.getPrototypeOf(object) as object | null;
  const inherited = prototype && prototype !== Object.prototype ? namesOfFunctions(prototype) : [];
  const own = Object.entries(Object.getOwnPropertyDescriptors(object)).filter(
    ([name, { value }]) => name !== 'constructor' && typeof value === 'function',
  );
  return [...own.map(([name]) => name), ...inherited];
}

function loginUrlFault(loginUrl: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(loginUrl) || loginUrl.includes('\\'))
    return 'contains characters that no URL has: encode them';
  const isPath = /^\/(?!\/)/.test(loginUrl);
  const isUrl = /^https?:\/\//.test(loginUrl) && URL.canParse(loginUrl);
  if (!isPath && !isUrl) return 'must be a path that begins with /, an http URL, or a function';
  return loginUrl.includes('#') ? 'must have no fragment' : undefined;
}
