import type { Awaitable } from '../host/call';

/** How a client authenticates at the token endpoint (RFC 7591 §2, OpenID Connect Core §9, RFC 8705 §2). */
export type ClientAuthenticationMethodName =
  | 'none'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'tls_client_auth'
  | 'self_signed_tls_client_auth';

/** A JSON Web Key Set (RFC 7517 §5). */
export interface JwkSet {
  /** The keys. */
  readonly keys: readonly object[];
}

/** A secret of a client that is being replaced: a hash or a sealed secret, whichever the client's method needs. */
export interface PreviousSecret {
  /** The hash. */
  readonly clientSecretHash?: string;
  /** The sealed secret. */
  readonly clientSecretSealed?: string;
  /** The secret is accepted until this moment. Epoch seconds. */
  readonly expiresAt: number;
}

/**
 * A client as an adapter stores it: the metadata of RFC 7591 in camelCase, and members of this library.
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
  /** Addresses of the people responsible for the client. */
  contacts?: readonly string[];
  /** The id of the client's software, the same for all its installations (RFC 7591 §2). */
  softwareId?: string;
  /** The version of the client's software. */
  softwareVersion?: string;
  /** The kind of app (OpenID Connect Registration §2). It is stored and returned. */
  applicationType?: 'web' | 'native';
  /** The URIs that codes may be sent to. They match exactly, except for the port of a loopback URI. */
  redirectUris?: readonly string[];
  /** The grant types that the client may use. @defaultValue `['authorization_code', 'refresh_token']` */
  grantTypes?: readonly string[];
  /** The response types: only `code` is supported. @defaultValue `['code']` */
  responseTypes?: readonly 'code'[];
  /**
   * The scope values that the client may request, separated by spaces. A request without `scope` means all of them.
   * @defaultValue `''`
   */
  scope?: string;
  /** Scope values that the client may request by name only: a request without `scope` does not mean them. @defaultValue `''` */
  optionalScope?: string;
  /**
   * How the client authenticates: exactly that way. @defaultValue `'client_secret_basic'` or `'client_secret_post'` with a secret,
   * `'client_secret_jwt'` with a sealed secret, `'tls_client_auth'` with the subject of a certificate, `'private_key_jwt'` with keys,
   * otherwise `'none'`
   */
  tokenEndpointAuthMethod?: ClientAuthenticationMethodName;
  /** The hash from `generateClientSecret()` or `hashClientSecret()`; several while a secret is being replaced. */
  clientSecretHash?: string | readonly string[];
  /**
   * The secret of a `client_secret_jwt` client, which must be readable: the result of `oauth.sealClientSecret()`, encrypted with
   * the router's `secrets`.
   */
  clientSecretSealed?: string | readonly string[];
  /** Secrets that are being replaced, and accepted for a while: `oauth.clients.rotateSecret()` keeps them here. @defaultValue none */
  previousSecrets?: readonly PreviousSecret[];
  /** The algorithm of the client's assertions (RFC 7591 §2). @defaultValue any that its keys support */
  tokenEndpointAuthSigningAlg?: string;
  /** The client's public keys, for assertions, request objects and self-signed certificates (RFC 7517 §5). */
  jwks?: JwkSet;
  /** The URL of the client's public keys, instead of `jwks`. */
  jwksUri?: string;
  /**
   * The subject of the certificate in the form of RFC 4514. `tls_client_auth` needs either this or one `tlsClientAuthSan…`
   * (RFC 8705 §2.1.2).
   */
  tlsClientAuthSubjectDn?: string;
  /** The DNS name in the certificate. */
  tlsClientAuthSanDns?: string;
  /** The URI in the certificate. */
  tlsClientAuthSanUri?: string;
  /** The IP address in the certificate. */
  tlsClientAuthSanIp?: string;
  /** The e-mail address in the certificate. */
  tlsClientAuthSanEmail?: string;
  /** Binds the client's access tokens to its certificate (RFC 8705 §3). @defaultValue `false` */
  tlsClientCertificateBoundAccessTokens?: boolean;
  /**
   * Issues access tokens only with a DPoP proof (RFC 9449 §5.2).
   * @defaultValue `false`; `true` with `'fapi2'`, unless access tokens are bound to a certificate
   */
  dpopBoundAccessTokens?: boolean;
  /** Accepts only pushed authorization requests (RFC 9126 §6). @defaultValue `false`; `true` with `'fapi2'` */
  requirePushedAuthorizationRequests?: boolean;
  /** Accepts only signed authorization requests (RFC 9101 §10.5). @defaultValue `false` */
  requireSignedRequestObject?: boolean;
  /** The algorithm of the client's request objects. @defaultValue any that its keys support */
  requestObjectSigningAlg?: string;
  /**
   * The standard claims in ID tokens: those that the granted scope stands for, or only those that the `claims` parameter requests
   * (OpenID Connect Core §5.4). @defaultValue the router's `idTokenClaims`
   */
  idTokenClaims?: 'scope' | 'requested';
  /** The algorithm of ID tokens. @defaultValue RS256 if there is a key for it, otherwise that of the first signing key */
  idTokenSignedResponseAlg?: string;
  /** The algorithm of authorization responses with `response_mode=jwt`. @defaultValue that of ID tokens */
  authorizationSignedResponseAlg?: string;
  /**
   * The kind of `sub` that the client sees (OpenID Connect Core §8). `'pairwise'` needs the option `pairwiseSecret`.
   * @defaultValue `'public'`
   */
  subjectType?: 'public' | 'pairwise';
  /** A URL whose host is the sector of pairwise subjects. @defaultValue the host of the redirect URIs, if they have only one */
  sectorIdentifierUri?: string;
  /** `max_age` of requests without it. Seconds. @defaultValue none */
  defaultMaxAge?: number;
  /** The URIs that the browser may go to after signing out (OpenID Connect RP-Initiated Logout §3.1). They match exactly. */
  postLogoutRedirectUris?: readonly string[];
  /** The URI that is notified when a session ends (OpenID Connect Back-Channel Logout §2.2). */
  backchannelLogoutUri?: string;
  /**
   * `'fapi2'` applies the FAPI 2.0 security profile: pushed requests, PKCE, `private_key_jwt` or a certificate, bound tokens,
   * signatures with PS256, ES256 or EdDSA, and refresh tokens that are not rotated. @defaultValue none
   */
  securityProfile?: 'fapi2';
  /**
   * `'offline_access'` issues refresh tokens only where that scope was granted (OpenID Connect Core §11).
   * @defaultValue the router's `refreshTokens.issue`
   */
  refreshTokens?: 'always' | 'offline_access';
  /**
   * Keys that accompany the client's id in public places, such as an app's code or a URL. They are not secrets and prove nothing;
   * several while a key is being replaced. @defaultValue `[]`
   */
  publishableKeys?: readonly string[];
  /** Requires one of the `publishableKeys` in every request of the client. @defaultValue `false` */
  requirePublishableKey?: boolean;
  /** Accepts a publishable key as `client_secret` in the query of `/authorize`, where some SDKs send it. @defaultValue `false` */
  publishableKeyInQuery?: boolean;
  /**
   * Adds `iss` to authorization responses (RFC 9207). Turn it off only for a client that compares it with another URL than the issuer.
   * @defaultValue `true`
   */
  authorizationResponseIss?: boolean;
  /**
   * Answers an authorization request whose `jsonRedirectParameter` is `json` with 200 and `{ location }`, to any origin: for a public
   * app that fetches the URL and then goes to `location`, which is a URL of this server. @defaultValue `false`
   */
  jsonRedirects?: boolean;
  /**
   * Pages of the client for `error_redirect_uri` and `after_callback_redirect_url`, besides `redirectUris`: no code is ever sent to
   * them. @defaultValue `[]`
   */
  landingUris?: readonly string[];
  /**
   * Returns codes without a redirect, for clients with the redirect URI `urn:ietf:wg:oauth:2.0:oob` or `…:oob:auto`: on a page
   * from which the user copies the code, or as JSON for apps without a browser and session. @defaultValue none
   */
  outOfBand?: 'page' | 'json';
  /** Marks the host's own app, which needs no consent. @defaultValue `false` */
  firstParty?: boolean;
  /**
   * Marks metadata that is nothing but the client's own claim (RFC 7591 §5): the consent page says so, the user is asked each time, and
   * errors go to the client only when a user is signed in. @defaultValue `false`
   */
  selfAsserted?: boolean;
  /** A mark of the last change: it keeps two changes at once apart. */
  revision?: string;
  /** When the client registered itself or was created (RFC 7591 §3.2.1). Epoch seconds. */
  clientIdIssuedAt?: number;
  /**
   * How the client registered itself: with an initial access token, under an id of its own, or under one that all clients with the same
   * metadata share. Only the first two may change and delete their registration (RFC 7592 §2). @defaultValue it did not
   */
  registration?: 'initial_access_token' | 'own' | 'shared';
  /** Requires PKCE. Only a confidential client can be exempted (RFC 9700 §2.1.1). @defaultValue `true` */
  requirePkce?: boolean;
  /**
   * `'never'` keeps the refresh token, for confidential clients and for tokens that are bound to the key of a client with
   * `dpopBoundAccessTokens`.
   * @defaultValue the router's `refreshTokens.rotation`; `'never'` with `'fapi2'`
   */
  refreshTokenRotation?: 'always' | 'never';
  /** Voids all grants of the client from before this moment. Epoch seconds. @defaultValue `0` */
  grantsNotBefore?: number;
  /** The audiences for which this client is the resource server: it may introspect their access tokens. @defaultValue `[]` */
  introspectionAudiences?: readonly string[];
}

/**
 * The members of a grant that an adapter may read. The record has more members: an adapter stores it whole, as JSON or in any
 * other form, and returns it unchanged.
 */
export interface StoredGrant {
  /** A random id of 22 characters of base64url. */
  readonly id: string;
  /** 0 is an unspent authorization code. `advanceGrant` changes it. */
  readonly generation: number;
  /** The id of the user, by which `listGrants` finds the grant. */
  readonly userId?: string | undefined;
  /** The client. */
  readonly clientId: string;
  /** The record must be kept until this moment; after that it is garbage. Epoch milliseconds. */
  readonly expiresAt: number;
}

/** A grant as it is read. */
export interface ReadGrant extends StoredGrant {
  /**
   * How long ago the stored generation was stored first, by the storage's own clock. Milliseconds. The leeway of refresh tokens is counted
   * by it: a write that lands late must not make a repeated token a stolen one. @defaultValue counted by the clocks of the processes, as is
   * enough for a storage in the process
   */
  readonly age?: number | null | undefined;
}

/** Adds the age beside the members of a record: it is no part of what was stored, and does not get into the next record with them. */
export function withAge(grant: StoredGrant, age: number): ReadGrant {
  return Object.defineProperty(grant, 'age', { value: age });
}

/** The consent of a user to a client. */
export interface Consent {
  /** The user. */
  readonly userId: string;
  /** The client. */
  readonly clientId: string;
  /** The scope values that were allowed. */
  readonly scope: readonly string[];
  /** The audiences that the scope values were allowed for. */
  readonly resources: readonly string[];
  /** When the consent was given. Epoch milliseconds. */
  readonly grantedAt: number;
}

/**
 * The storage of an authorization server: a plain object of functions, so that adapters can be combined with a spread. A function
 * must not use `this`. Optional functions are capabilities. An exception is answered with 503.
 *
 * `ttl` is in seconds. `express-oauth-router/adapter-contract` tests an implementation.
 */
export interface Adapter {
  /** Returns the client, or `undefined`. */
  getClient(clientId: string): Awaitable<ClientMetadata | undefined | null>;
  /**
   * Inserts or replaces a client. A client that is new is kept for `ttl` seconds, or until it is deleted; one that is replaced keeps the
   * lifetime that it has.
   */
  saveClient?(client: ClientMetadata, ttl?: number): Awaitable<unknown>;
  /** Replaces a client that exists, and keeps its lifetime. Returns `false`, and stores nothing, if there is no such client. */
  replaceClient?(client: ClientMetadata): Awaitable<boolean>;
  /**
   * Keeps a client for at least `ttl` seconds from now, or until it is deleted; never for less than it would have been kept. Returns
   * `false` if there is no such client.
   */
  extendClient?(clientId: string, ttl?: number): Awaitable<boolean>;
  /** Deletes a client. */
  deleteClient?(clientId: string): Awaitable<unknown>;
  /**
   * Returns up to `limit` clients in the order of the bytes of their ids: those whose id follows `after`, or the first ones. Fewer than
   * `limit` are the last ones.
   */
  listClients?(after: string | undefined, limit: number): Awaitable<readonly ClientMetadata[]>;

  /** Inserts a grant; throws if the id exists. The index by user is written before the grant. */
  saveGrant(grant: StoredGrant): Awaitable<unknown>;
  /** Returns the grant as it was last written, and its age, or `undefined`. It must not be read from a replica. */
  getGrant(grantId: string): Awaitable<ReadGrant | undefined | null>;
  /**
   * Atomically stores `next` if the stored generation is `generation`. Returns `false` if the stored generation differs, or if
   * there is no such grant. `next.generation` may be the same. The first `next` with a `userId` is indexed before it is stored.
   */
  advanceGrant(grantId: string, generation: number, next: StoredGrant): Awaitable<boolean>;
  /** Deletes a grant. Returns `true` if it existed. */
  revokeGrant(grantId: string): Awaitable<boolean>;
  /** Returns all grants of a user, unspent codes included. Expired grants may be among them. */
  listGrants?(userId: string): Awaitable<readonly StoredGrant[]>;

  /**
   * Atomically returns `true` the first time within `ttl` seconds, `false` after that. A call whose command the driver sends again by itself
   * gets the answer that was lost, as with `take`.
   */
  setOnce(key: string, ttl: number): Awaitable<boolean>;
  /** Inserts or replaces a value for `ttl` seconds. */
  put(key: string, value: string, ttl: number): Awaitable<unknown>;
  /** Returns a value, or `undefined`. */
  get(key: string): Awaitable<string | undefined | null>;
  /** Reads and deletes a value in one step: only one of several concurrent callers gets the value. */
  take(key: string): Awaitable<string | undefined | null>;

  /** Returns the consent of a user to a client, or `undefined`. */
  getConsent?(userId: string, clientId: string): Awaitable<Consent | undefined | null>;
  /** Inserts or replaces a consent. */
  saveConsent?(consent: Consent): Awaitable<unknown>;
  /** Deletes the consent of a user to a client. */
  deleteConsent?(userId: string, clientId: string): Awaitable<unknown>;

  /** Rejects if the storage cannot be used, for the host's health checks. */
  ping?(): Awaitable<unknown>;
  /** Releases the adapter's own resources, for the host's shutdown. A connection that the host created stays open. */
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
  'replaceClient',
  'extendClient',
  'deleteClient',
  'listClients',
  'listGrants',
  'getConsent',
  'saveConsent',
  'deleteConsent',
  'ping',
  'close',
] as const satisfies readonly (keyof Adapter)[];

/** Refuses unknown options, so that a typo is not ignored. @throws TypeError */
export function refuseUnknown(source: string, options: object): void {
  const [unknown] = Object.keys(options);
  if (unknown !== undefined) throw new TypeError(`${source} has no option ${unknown}`);
}

/** Converts a `ttl` to milliseconds: at least one. */
export function milliseconds(ttl: number): number {
  return Math.max(1, Math.ceil(ttl * 1000));
}
