import { randomBytes, generateKeyPairSync } from 'node:crypto';

import type { Request } from 'express';

import type { Adapter, ClientMetadata } from './adapters/contract';
import { memoryAdapter } from './adapters/memory';
import type { ClientCertificateOf } from './clients/certificate';
import { scopeValues, type ClientOptions } from './clients/client';
import { clientChecker } from './clients/client-checks';
import type { ClientHeaders } from './clients/identification';
import type { NoncePolicy } from './clients/proof-of-possession';
import { CREDENTIALS, storedClient } from './clients/registry';
import type { ConsentHandler } from './endpoints/consent';
import type { EndSession } from './endpoints/logout';
import type { HeaderSubject } from './endpoints/out-of-band';
import type { ResolveUser } from './endpoints/provider-sign-in';
import type { Authenticate, LoginUrl } from './endpoints/sign-in';
import { OAuthConfigurationError } from './errors';
import type { Provider } from './federation/provider';
import type { AnonymousSubject } from './grants/anonymous-subject';
import type { ResourceOptions } from './grants/audiences';
import type { ExtensionGrant } from './grants/extension';
import { policiesOf } from './grants/policies';
import type { Policies, Policy } from './grants/policy';
import type { BeforeIssueToken, ClaimsHook, LoadUser, TokenResponseHook } from './grants/token-issuer';
import type { OAuthUser } from './grants/user';
import type { UserClaimsHook } from './grants/user-claims';
import type { FormatError, RateLimit, RequestGuard } from './http/endpoint';
import type { ErrorPageHandler } from './pages/error';
import type { Branding } from './pages/layout';
import {
  featureFaults,
  federationFaults,
  isLoopback,
  optionsSchema,
  productionFaults,
  resourcesOf,
} from './option-checks';
import type { AccessTokenFormat } from './tokens/access-token';
import { deriveKeys, sealer } from './tokens/keys';
import {
  signingKey,
  signingKeyRing,
  type SigningKey,
  type SigningKeyInput,
  type SigningKeys,
} from './tokens/signing-keys';

/** The options of `createOAuthRouter`. Lifetimes are seconds; each may be a function of the request's context. */
export interface OAuthRouterOptions<User extends OAuthUser = OAuthUser, LoadedUser = User> {
  /**
   * The URL that the router is mounted at, without query or fragment; its path is the prefix. Every URL that the router
   * gives out is built from it. https, except on loopback for development.
   */
  issuer: string;
  /**
   * Where clients, grants and short-lived state are kept.
   * @defaultValue in development a `memoryAdapter()`; elsewhere it must be given
   */
  adapter?: Adapter;
  /**
   * At least one, of at least 32 bytes. The first signs codes and refresh tokens, all verify: to change it, append the
   * new one, then move it to the front, then remove the old one after the longest lifetime.
   * @defaultValue in development a random one; elsewhere it must be given
   */
  secrets?: readonly (string | undefined)[];
  /**
   * Private keys. The first signs access tokens and the first of an algorithm what must be signed by that; the public half of
   * each is published: a key is changed in the same three steps.
   * @defaultValue in development a random ES256 key and an RS256 key; elsewhere it must be given
   */
  signingKeys?: readonly (SigningKeyInput | undefined)[];
  /** Clients that are known without the adapter. @defaultValue `[]` */
  clients?: readonly ClientOptions[];
  /** Who is signed in at the host, or `undefined`. It must have no side effects: it is asked for `prompt=none` too. */
  authenticate: Authenticate<User>;
  /**
   * Where to send who is not signed in: a path or URL that gets `return_to` (and `prompt` and `login_hint`), or a
   * function that answers the request. After the login the browser must go to `return_to`; check it with `isResumeUrl`.
   */
  loginUrl: LoginUrl;
  /**
   * The user of a grant, at each exchange. `undefined` refuses the exchange and keeps the grant; a throw is answered 503.
   * @defaultValue every user is there
   */
  loadUser?: LoadUser<LoadedUser>;
  /** Upstream providers to sign in through, by the id that stands in `/authorize/:provider_id`. @defaultValue none */
  providers?: Readonly<Record<string, Provider>>;
  /** Who at the host a provider's user is: needed with `providers`. `accountLinking()` makes one. */
  resolveUser?: ResolveUser;
  /** Lets an access token be `token` at `/authorize/:provider_id`, beside link tickets. @defaultValue `false` */
  linkWithAccessTokens?: boolean;
  /** What an access token must be good for to begin a link, separated by spaces. @defaultValue nothing in particular */
  linkScope?: string;
  /** How long a sign-in at a provider may take. @defaultValue 600 */
  federationLifetime?: Policy<number>;
  /** Headers that say which client a request is of. They prove nothing. @defaultValue none */
  clientHeaders?: ClientHeaders;
  /** Makes the users of out-of-band clients whose requests name nobody. @defaultValue such requests are refused */
  anonymousSubject?: AnonymousSubject;
  /** The user whom a request of an out-of-band client names by a header. It must not read a cookie. @defaultValue nobody */
  headerSubject?: HeaderSubject;
  /** Further members of the token response. @defaultValue none but `is_new_user` and `after_callback_redirect_url` */
  tokenResponse?: TokenResponseHook<LoadedUser>;
  /** May refuse tokens, by throwing an `OAuthError`: nothing is spent by it. @defaultValue nothing is refused */
  beforeIssueToken?: BeforeIssueToken<LoadedUser>;
  /** Further claims of access tokens. It must not set those that the library sets. @defaultValue none */
  claims?: ClaimsHook<LoadedUser>;
  /** The claims of a user for ID tokens and userinfo (OpenID Connect Core §5.1). @defaultValue `sub` only */
  userClaims?: UserClaimsHook<LoadedUser>;
  /** The words that the consent page shows for each scope value. @defaultValue the values themselves */
  scopes?: Readonly<Record<string, string>>;
  /** The audience of access tokens when no `resource` is asked for. @defaultValue the issuer */
  defaultAudience?: string;
  /** The values of `resource`, or `audience`, that clients may ask for (RFC 8707). @defaultValue `[]` */
  resources?: readonly (string | ResourceOptions)[];
  /** Whether one access token may be for several resources. @defaultValue `false` */
  multipleAudiences?: boolean;
  /** `'jwt'` (RFC 9068) or `'opaque'`: the same claims, sealed. @defaultValue `'jwt'` */
  accessTokenFormat?: Policy<AccessTokenFormat>;
  /** Grant types of the host's own, by their `grant_type` (RFC 6749 §4.5). @defaultValue `{}` */
  grants?: Readonly<Record<string, ExtensionGrant>>;
  /** A consent page of the host's own. @defaultValue the built-in page */
  consent?: ConsentHandler;
  /** An error page of the host's own, `(req, res, error)`, with the status set. @defaultValue the built-in page */
  errorPage?: ErrorPageHandler;
  /** Ends the host's session: turns `/logout` on (OpenID Connect RP-Initiated Logout). @defaultValue no `/logout` */
  endSession?: EndSession;
  /**
   * What `sub` of pairwise clients is made of: at least 32 bytes, and never changed. @defaultValue no pairwise clients
   */
  pairwiseSecret?: string;
  /**
   * Whose DPoP proofs must have a nonce of the server's (RFC 9449 §8): those of public clients, all, or none. `'always'`
   * goes for `requireToken` too. @defaultValue `{ nonce: 'public' }`
   */
  dpop?: { nonce?: NoncePolicy };
  /** The certificate of the client of a request (RFC 8705). @defaultValue no certificates */
  clientCertificate?: ClientCertificateOf;
  /** How long a client assertion may be. Characters. @defaultValue 4096 */
  clientAssertionMaximumLength?: number;
  /**
   * Lets clients' `jwksUri` and `backchannelLogoutUri` be on loopback, private and link-local addresses, and, in
   * development, http. @defaultValue `false`
   */
  allowPrivateAddresses?: boolean;
  /**
   * The URL of a request to the host's API as its client called it, which a DPoP proof must be for (`htu`).
   * @defaultValue the origin of the issuer, and the path of the request
   */
  resourceUrl?: (req: Request) => string;
  /** Gives the seconds that a request must wait, or nothing: asked before anything else. @defaultValue no limit */
  rateLimit?: RateLimit;
  /**
   * A door of the host's own before every endpoint, the discovery documents included: `true` lets a request pass, anything
   * else is 401 `invalid_client`. @defaultValue everybody passes
   */
  requestGuard?: RequestGuard;
  /** Further members of the JSON body of errors, by `(error, req)`. @defaultValue none */
  formatError?: FormatError;
  /** Name, logo and colours of the built-in pages. @defaultValue the issuer's host as the name */
  branding?: Branding;
  /** @defaultValue 60 */
  authorizationCodeLifetime?: Policy<number>;
  /** @defaultValue 3600 */
  accessTokenLifetime?: Policy<number>;
  /** @defaultValue 3600 */
  idTokenLifetime?: Policy<number>;
  /**
   * Who gets refresh tokens, of the clients that are registered for them: all, or where `offline_access` was granted.
   * @defaultValue `'always'`
   */
  refreshTokens?: Policy<'always' | 'offline_access'>;
  /** How long a refresh token may lie unused. @defaultValue 30 days */
  refreshTokenIdleLifetime?: Policy<number>;
  /** How long a grant may live however it is used. @defaultValue 365 days */
  refreshTokenAbsoluteLifetime?: Policy<number>;
  /**
   * How long after a rotation the refresh token before it still gives the same successor, for clients that never got the
   * response, or refresh twice at once. 0 is strict. @defaultValue 30
   */
  refreshTokenLeeway?: Policy<number>;
  /** `'never'` keeps the refresh tokens of confidential and key-bound clients; others are rotated. @defaultValue `'always'` */
  refreshTokenRotation?: Policy<'always' | 'never'>;
  /** How long a consent page may stay open. @defaultValue 600 */
  consentLifetime?: Policy<number>;
  /** How long an authorization request may take, the login included. @defaultValue 3600 */
  parkedRequestLifetime?: Policy<number>;
  /** How long a pushed authorization request may wait for its browser (RFC 9126 §2.2). @defaultValue 90 */
  pushedRequestLifetime?: Policy<number>;
  /** How long the host's sessions last: grants of clients with `backchannelLogoutUri` live as long. @defaultValue 14 days */
  sessionLifetime?: Policy<number>;
  /** How long one call of the adapter may take. @defaultValue 5 */
  storeTimeout?: number;
  /** Epoch milliseconds. @defaultValue `Date.now` */
  clock?: () => number;
}

/** The options with every default filled in, frozen. */
export interface ResolvedOptions {
  readonly issuer: string;
  readonly adapter: Adapter;
  readonly secrets: readonly string[];
  readonly signingKeys: SigningKeys;
  readonly clients: readonly ClientMetadata[];
  readonly authenticate: Authenticate<OAuthUser>;
  readonly loginUrl: LoginUrl;
  readonly loadUser: LoadUser<unknown> | undefined;
  readonly claims: ClaimsHook<unknown> | undefined;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly resolveUser: ResolveUser | undefined;
  readonly linkScope: readonly string[];
  readonly linkWithAccessTokens: boolean;
  readonly clientHeaders: ClientHeaders;
  readonly anonymousSubject: AnonymousSubject | undefined;
  readonly headerSubject: HeaderSubject | undefined;
  readonly tokenResponse: TokenResponseHook<unknown> | undefined;
  readonly beforeIssueToken: BeforeIssueToken<unknown> | undefined;
  readonly scopes: Readonly<Record<string, string>>;
  readonly defaultAudience: string;
  readonly resources: readonly ResourceOptions[];
  readonly multipleAudiences: boolean;
  readonly userClaims: UserClaimsHook<unknown> | undefined;
  readonly endSession: EndSession | undefined;
  readonly pairwiseSecret: string | undefined;
  readonly noncePolicy: NoncePolicy;
  readonly clientCertificate: ClientCertificateOf | undefined;
  readonly clientAssertionMaximumLength: number;
  readonly allowPrivateAddresses: boolean;
  readonly resourceUrl: ((req: Request) => string) | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly requestGuard: RequestGuard | undefined;
  readonly formatError: FormatError | undefined;
  readonly grants: Readonly<Record<string, ExtensionGrant>>;
  readonly consent: ConsentHandler | undefined;
  readonly errorPage: ErrorPageHandler | undefined;
  readonly branding: Branding;
  readonly policies: Policies;
  readonly storeTimeout: number;
  readonly clock: () => number;
  /** A loopback issuer, and `NODE_ENV` is not `production`. */
  readonly development: boolean;
}

/** Checks everything, and fills in what was left out. @throws OAuthConfigurationError naming every fault */
export function resolveOptions<User extends OAuthUser, LoadedUser>(
  given: OAuthRouterOptions<User, LoadedUser>,
): ResolvedOptions {
  const faults: string[] = [];
  const { error } = optionsSchema.validate(given, { abortEarly: false, convert: false });
  faults.push(...(error?.details.map(({ message }) => message) ?? []));
  if (error?.details.some(({ path }) => path.length === 0)) throw new OAuthConfigurationError(faults);
  const options = given as unknown as OAuthRouterOptions;

  const loopback = isLoopback(options.issuer);
  const development = loopback && process.env.NODE_ENV !== 'production';
  if (!development) faults.push(...productionFaults(options));
  const secrets = secretsOf(options, development, faults);
  const signingKeys = signingKeyRing(signingKeysOf(options, development, faults));
  const isShared = ({ privateKey }: SigningKey): boolean =>
    privateKey.type === 'secret' && secrets.some((secret) => Buffer.from(secret).equals(privateKey.export()));
  if (signingKeys.all.some(isShared))
    faults.push('"signingKeys" has one of the "secrets": resource servers must not');
  // Nothing can be sealed without a secret, and that is a fault already.
  const seal = (secret: string): string =>
    secrets.length > 0 ? clientSecretSealer(secrets, options.issuer).seal(secret) : '';
  const clients = clientsOf(options, development, seal, faults);
  faults.push(...featureFaults(options, clients, signingKeys), ...federationFaults(options, development));
  if (faults.length > 0) throw new OAuthConfigurationError(faults);

  return Object.freeze({
    issuer: options.issuer,
    adapter: options.adapter ?? memoryAdapter(options.clock ? { clock: options.clock } : {}),
    secrets,
    signingKeys,
    clients,
    authenticate: options.authenticate,
    loginUrl: options.loginUrl,
    loadUser: options.loadUser,
    claims: options.claims as ClaimsHook<unknown> | undefined,
    providers: new Map(Object.entries(options.providers ?? {})),
    resolveUser: options.resolveUser,
    linkScope: scopeValues(options.linkScope),
    linkWithAccessTokens: options.linkWithAccessTokens ?? false,
    clientHeaders: options.clientHeaders ?? {},
    anonymousSubject: options.anonymousSubject,
    headerSubject: options.headerSubject,
    beforeIssueToken: options.beforeIssueToken as BeforeIssueToken<unknown> | undefined,
    tokenResponse: options.tokenResponse as TokenResponseHook<unknown> | undefined,
    userClaims: options.userClaims as UserClaimsHook<unknown> | undefined,
    scopes: options.scopes ?? {},
    defaultAudience: options.defaultAudience ?? options.issuer,
    resources: resourcesOf(options),
    multipleAudiences: options.multipleAudiences ?? false,
    endSession: options.endSession,
    pairwiseSecret: options.pairwiseSecret,
    noncePolicy: options.dpop?.nonce ?? 'public',
    clientCertificate: options.clientCertificate,
    clientAssertionMaximumLength: options.clientAssertionMaximumLength ?? 4096,
    allowPrivateAddresses: options.allowPrivateAddresses ?? false,
    resourceUrl: options.resourceUrl,
    rateLimit: options.rateLimit,
    requestGuard: options.requestGuard,
    formatError: options.formatError,
    grants: options.grants ?? {},
    consent: options.consent,
    errorPage: options.errorPage,
    branding: { name: new URL(options.issuer).host, ...options.branding },
    policies: policiesOf({ ...options, resources: resourcesOf(options) }, signingKeys),
    storeTimeout: options.storeTimeout ?? 5,
    clock: wholeMilliseconds(options.clock ?? Date.now),
    development,
  });
}

/** A clock that gives nonsense must not make anything eternal. */
function wholeMilliseconds(clock: () => number): () => number {
  return () => {
    const now = Math.floor(clock());
    if (!Number.isFinite(now)) throw new TypeError('the clock gave no number');
    return now;
  };
}

function secretsOf(
  { secrets }: OAuthRouterOptions,
  development: boolean,
  faults: string[],
): readonly string[] {
  if (secrets === undefined && development) return [randomBytes(32).toString('base64url')];
  if (!Array.isArray(secrets) || secrets.length === 0) {
    faults.push('"secrets" is missing: npx express-oauth-router init prints one');
    return [];
  }
  secrets.forEach((secret: unknown, position) => {
    if (typeof secret !== 'string') faults.push(`"secrets[${position}]" is not set`);
    else if (Buffer.byteLength(secret) < 32)
      faults.push(`"secrets[${position}]" is weak: it must have at least 32 bytes`);
  });
  return secrets as string[];
}

let generatedKeys: readonly SigningKey[] | undefined;

/** Of this process: RSA keys take their time to make, and development needs no better. */
function developmentKeys(): readonly SigningKey[] {
  generatedKeys ??= [
    signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    signingKey({ key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, alg: 'RS256' }),
  ];
  return generatedKeys;
}

function signingKeysOf(
  { signingKeys }: OAuthRouterOptions,
  development: boolean,
  faults: string[],
): readonly SigningKey[] {
  if (signingKeys === undefined && development) {
    return developmentKeys();
  }
  if (!Array.isArray(signingKeys) || signingKeys.length === 0) {
    faults.push('"signingKeys" is missing: npx express-oauth-router init prints one');
    return [];
  }
  const keys = signingKeys.flatMap((input: SigningKeyInput | undefined, position) => {
    try {
      if (!input) throw new Error('is not set');
      return [signingKey(input)];
    } catch (error) {
      faults.push(`"signingKeys[${position}]" ${(error as Error).message}`);
      return [];
    }
  });
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    faults.push('"signingKeys" has two keys with one kid');
  return keys;
}

function clientsOf(
  options: OAuthRouterOptions,
  development: boolean,
  seal: (secret: string) => string,
  faults: string[],
): readonly ClientMetadata[] {
  const { clients = [], grants = {} } = options;
  // What is no list of objects was found by the schema.
  if (!Array.isArray(clients) || !clients.every((client) => (client as unknown) instanceof Object)) return [];
  const check = clientChecker({ allowHttp: development, strict: true });
  const known = [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    ...Object.keys((grants as unknown) instanceof Object ? grants : {}),
  ];
  const hashed = clients.map((client: ClientOptions, position) => {
    const label = `clients[${position}]`;
    // An environment variable that is not set must not make a public client of a confidential one.
    const secrets: unknown[] = 'clientSecret' in client ? [client.clientSecret].flat() : [];
    const unset = secrets.some((secret) => typeof secret !== 'string' || secret === '');
    const unsetName = unset
      ? 'clientSecret'
      : CREDENTIALS.find((name) => name in client && client[name] === undefined);
    if (unsetName) {
      faults.push(`${label}: "${unsetName}" is not set`);
      return client;
    }
    if (client.tokenEndpointAuthMethod === 'client_secret_jwt' && secrets.some((secret) => isShort(secret))) {
      faults.push(`${label}: "clientSecret" must have at least 32 bytes for client_secret_jwt`);
      return client;
    }
    const metadata = storedClient(client, seal);
    faults.push(...check(metadata, label));
    const unknown = [metadata.grantTypes ?? []].flat().filter((grantType) => !known.includes(grantType));
    if (unknown.length > 0)
      faults.push(`${label}: "grantTypes" has ${unknown.join(', ')}, which is not switched on`);
    return metadata;
  });
  if (new Set(hashed.map((client) => client.clientId)).size < hashed.length)
    faults.push('"clients" has a clientId twice');
  return hashed;
}

/** RFC 7518 §3.2: an HMAC key is as long as its hash. */
function isShort(secret: unknown): boolean {
  return Buffer.byteLength(String(secret)) < 32;
}

/** Where secrets of `client_secret_jwt` are sealed and opened. */
export function clientSecretSealer(secrets: readonly string[], issuer: string): ReturnType<typeof sealer> {
  return sealer(deriveKeys(secrets, 'client secret', issuer));
}
