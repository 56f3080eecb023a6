/** How a client authenticates at the token endpoint (RFC 7591 §2, OpenID Connect Core §9, RFC 8705 §2). */
export type ClientAuthenticationMethodName =
  | 'none'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'tls_client_auth'
  | 'self_signed_tls_client_auth';

/**
 * A client as an adapter stores it: RFC 7591's metadata in camelCase, and our own.
 *
 * @see RFC 7591 §2
 */
export interface ClientMetadata {
  /** `client_id`: printable ASCII, at most 255 characters. */
  clientId: string;
  /** The name on the consent page. @defaultValue the client id */
  clientName?: string;
  /** The client's home page. */
  clientUri?: string;
  /** An https image for the consent page. */
  logoUri?: string;
  /** The client's terms of service, linked on the consent page. */
  tosUri?: string;
  /** The client's privacy policy, linked on the consent page. */
  policyUri?: string;
  contacts?: readonly string[];
  /** Where codes may be sent. They match exactly, except for the port of a loopback URI. */
  redirectUris?: readonly string[];
  /** @defaultValue `['authorization_code', 'refresh_token']` */
  grantTypes?: readonly string[];
  /** `code` is the only one. */
  responseTypes?: readonly 'code'[];
  /** All that the client may ask for, separated by spaces. No `scope` in a request means all of it. @defaultValue `''` */
  scope?: string;
  /** @defaultValue `'client_secret_basic'` with a secret, `'private_key_jwt'` with keys, else `'none'` */
  tokenEndpointAuthMethod?: ClientAuthenticationMethodName;
  /** From `generateClientSecret()` or `hashClientSecret()`; several while a secret is being changed. */
  clientSecretHash?: string | readonly string[];
  /**
   * For `client_secret_jwt`, which needs the secret itself: from `oauth.sealClientSecret()`, encrypted under the router's
   * `secrets`.
   */
  clientSecretSealed?: string | readonly string[];
  /** The algorithm of its client assertions (RFC 7591 §2). @defaultValue any that its keys have */
  tokenEndpointAuthSigningAlg?: string;
  /** Its public keys, for client assertions, request objects and self-signed certificates (RFC 7517 §5). */
  jwks?: { readonly keys: readonly object[] };
  /** Where its public keys are published, instead of `jwks`. */
  jwksUri?: string;
  /** The subject of its certificate as RFC 4514 writes it, for `tls_client_auth` (RFC 8705 §2.1.2); or one of the next. */
  tlsClientAuthSubjectDn?: string;
  tlsClientAuthSanDns?: string;
  tlsClientAuthSanUri?: string;
  tlsClientAuthSanIp?: string;
  tlsClientAuthSanEmail?: string;
  /** Its access tokens are bound to its certificate (RFC 8705 §3). @defaultValue `false` */
  tlsClientCertificateBoundAccessTokens?: boolean;
  /** It gets access tokens with a DPoP proof only (RFC 9449 §5.2). @defaultValue `false` */
  dpopBoundAccessTokens?: boolean;
  /** It pushes its authorization requests, and may not send them otherwise (RFC 9126 §6). @defaultValue `false` */
  requirePushedAuthorizationRequests?: boolean;
  /** It signs its authorization requests, and may not send them otherwise (RFC 9101 §10.5). @defaultValue `false` */
  requireSignedRequestObject?: boolean;
  /** The algorithm of its request objects. @defaultValue any that its keys have */
  requestObjectSigningAlg?: string;
  /** @defaultValue RS256 if there is a key for it, else the algorithm of the first signing key */
  idTokenSignedResponseAlg?: string;
  /** The algorithm of its authorization responses with `response_mode=jwt`. @defaultValue that of its ID tokens */
  authorizationSignedResponseAlg?: string;
  /** How it sees users (OpenID Connect Core §8). `'pairwise'` needs the option `pairwiseSecret`. @defaultValue `'public'` */
  subjectType?: 'public' | 'pairwise';
  /** Its host is the sector of pairwise subjects. @defaultValue the host of the redirect URIs, which must be one */
  sectorIdentifierUri?: string;
  /** `max_age` where a request has none. Seconds. */
  defaultMaxAge?: number;
  /** Where the browser may go after signing out (OpenID Connect RP-Initiated Logout §3.1). They match exactly. */
  postLogoutRedirectUris?: readonly string[];
  /** Where it is told that a session has ended (OpenID Connect Back-Channel Logout §2.2). */
  backchannelLogoutUri?: string;
  /**
   * `'fapi2'`: the rules of the FAPI 2.0 security profile. Pushed requests, PKCE, `private_key_jwt` or a certificate, bound
   * tokens, PS256, ES256 or EdDSA, refresh tokens that are not rotated. @defaultValue none
   */
  securityProfile?: 'fapi2';
  /**
   * `'offline_access'` gives refresh tokens only where that scope was granted (OpenID Connect Core §11).
   * @defaultValue the router's `refreshTokens`
   */
  refreshTokens?: 'always' | 'offline_access';
  /**
   * Keys that go with the client's id where everybody can read them, in an app's code or a URL. They are no secrets and prove
   * nothing; several while one is being changed.
   */
  publishableKeys?: readonly string[];
  /** Every request of the client must have one of its `publishableKeys`. @defaultValue `false` */
  requirePublishableKey?: boolean;
  /** Lets a publishable key be `client_secret` in the query of `/authorize`, as some SDKs send it. @defaultValue `false` */
  publishableKeyInQuery?: boolean;
  /**
   * Gives codes without a redirect, for clients whose redirect URI is `urn:ietf:wg:oauth:2.0:oob` or `…:oob:auto`: on a page to copy
   * them from, or as JSON to apps that have no browser and no user's session. @defaultValue none
   */
  outOfBand?: 'page' | 'json';
  /** The host's own app: nobody is asked for consent. @defaultValue `false` */
  firstParty?: boolean;
  /** Only a confidential client can do without PKCE (RFC 9700 §2.1.1). @defaultValue `true` */
  requirePkce?: boolean;
  /** `'never'` keeps one refresh token, for confidential clients and those with `dpopBoundAccessTokens`. @defaultValue the router's `refreshTokenRotation` */
  refreshTokenRotation?: 'always' | 'never';
  /** Epoch seconds: whatever was granted to the client before is void. */
  grantsNotBefore?: number;
  /** The audiences for which this client is the resource server: it may introspect their access tokens. */
  introspectionAudiences?: readonly string[];
}

/**
 * What an adapter knows of a grant. The record holds more: an adapter stores it whole, as JSON or as it likes, and
 * gives it back as it was.
 */
export interface StoredGrant {
  /** Random, 22 characters of base64url. */
  readonly id: string;
  /** 0 is an unspent authorization code; it moves with `advanceGrant`. */
  readonly generation: number;
  /** The user whom `listGrants` finds it under. */
  readonly userId?: string | undefined;
  readonly clientId: string;
  /** Epoch milliseconds. The record must be kept until then; after that it is garbage. */
  readonly expiresAt: number;
}

/** What a user allowed a client. */
export interface Consent {
  readonly userId: string;
  readonly clientId: string;
  /** The scope values that were allowed. */
  readonly scope: readonly string[];
  /** The audiences that they were allowed for. */
  readonly resources: readonly string[];
  /** Epoch milliseconds. */
  readonly grantedAt: number;
}

type Awaitable<T> = T | Promise<T>;

/**
 * The storage of an authorization server: a plain object of functions, so that adapters are mixed with a spread. None of
 * them may use `this`. Optional functions are capabilities. Whatever they throw is answered with 503.
 *
 * `ttl` is in seconds. `express-oauth-router/adapter-contract` tests an implementation.
 */
export interface Adapter {
  /** The client, or `undefined`. */
  getClient(clientId: string): Awaitable<ClientMetadata | undefined | null>;
  /** Inserts or replaces. */
  saveClient?(client: ClientMetadata): Awaitable<unknown>;
  deleteClient?(clientId: string): Awaitable<unknown>;

  /** Inserts; throws if the id exists. The index by user is written before the grant. */
  saveGrant(grant: StoredGrant): Awaitable<unknown>;
  /** The grant as last written, or `undefined`. Never from a replica. */
  getGrant(grantId: string): Awaitable<StoredGrant | undefined | null>;
  /**
   * Atomically stores `next` if the stored generation is `generation`; `false` if it is another or if there is no such
   * grant. `next.generation` may be the same. The first `next` that has a `userId` is indexed before it is stored.
   */
  advanceGrant(grantId: string, generation: number, next: StoredGrant): Awaitable<boolean>;
  /** Deletes; `true` if it was there. */
  revokeGrant(grantId: string): Awaitable<boolean>;
  /** All of a user's grants, unspent codes included. Expired ones may be among them. */
  listGrants?(userId: string): Awaitable<readonly StoredGrant[]>;

  /** Atomically: `true` the first time within `ttl`, `false` after that. */
  setOnce(key: string, ttl: number): Awaitable<boolean>;
  put(key: string, value: string, ttl: number): Awaitable<unknown>;
  get(key: string): Awaitable<string | undefined | null>;
  /** Reads and deletes in one step: of many callers at once, one gets the value. */
  take(key: string): Awaitable<string | undefined | null>;

  getConsent?(userId: string, clientId: string): Awaitable<Consent | undefined | null>;
  /** Inserts or replaces. */
  saveConsent?(consent: Consent): Awaitable<unknown>;
  deleteConsent?(userId: string, clientId: string): Awaitable<unknown>;

  /** For the host's health checks: rejects if the storage cannot be used. */
  ping?(): Awaitable<unknown>;
  /** For the host's shutdown. A client that the host made stays the host's. */
  close?(): Awaitable<unknown>;
}

/** The functions that every adapter has. */
export const REQUIRED_FUNCTIONS = [
  'getClient',
  'saveGrant',
  'getGrant',
  'advanceGrant',
  'revokeGrant',
  'setOnce',
  'put',
  'get',
  'take',
] as const satisfies readonly (keyof Adapter)[];

export const OPTIONAL_FUNCTIONS = [
  'saveClient',
  'deleteClient',
  'listGrants',
  'getConsent',
  'saveConsent',
  'deleteConsent',
  'ping',
  'close',
] as const satisfies readonly (keyof Adapter)[];

/** An option with a typo must not be lost in silence. */
export function refuseUnknown(what: string, options: object): void {
  const [unknown] = Object.keys(options);
  if (unknown !== undefined) throw new TypeError(`${what} has no option ${unknown}`);
}
