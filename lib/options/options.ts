import type { Request } from 'express';

import type { Adapter } from '../adapters/contract';
import type { ConsentHandler, LoginUrl } from '../authorization/host-pages';
import type { HeaderSubject } from '../authorization/out-of-band';
import type { ClientCertificateOf } from '../clients/certificate';
import type { ClientOptions } from '../clients/client';
import type { ClientHeaders } from '../clients/identification';
import type { ImportRefreshToken } from '../token/imported-refresh-token';
import type { VerifyClientSecret } from '../clients/secret-verifier';
import type { AllowDocument } from '../clients/metadata-documents';
import type { NoncePolicy } from '../clients/proof-of-possession';
import type { ApproveClient } from '../clients/self-asserted';
import type { Logger } from '../event-log';
import type { Provider } from '../federation/provider';
import type { ResolveUser } from '../federation/resolve-user';
import type { Authenticate } from '../host/authenticate';
import type { Policy } from '../host/grant-context';
import type { LoadUser } from '../host/load-user';
import type { BeforeIssueToken, ClaimsHook, TokenResponseHook } from '../host/token-hooks';
import type { OAuthUser } from '../host/user';
import type { UserClaimsHook } from '../host/user-claims';
import type { FormatError, RateLimit, RequestGuard } from '../http/endpoint';
import type { EndSession } from '../logout/endpoint';
import type { ErrorPageHandler } from '../pages/error';
import type { Branding } from '../pages/layout';
import type { ResourceOptions } from '../policy/audiences';
import type { UnknownScopes } from '../policy/scopes';
import type { VerifyInitialAccessToken } from '../registration/endpoint';
import type { RegistrationSource } from '../registration/limit';
import type { SoftwareStatementKeys } from '../registration/software-statement';
import type { AnonymousSubject } from '../token/anonymous-subject';
import type { ExtensionGrant } from '../token/extension-grant';
import type { AccessTokenFormat } from '../tokens/access-token';
import type { SigningKeyInput } from '../tokens/signing-key';

/** The options that every router has. */
export interface EssentialOptions<User extends OAuthUser = OAuthUser> {
  /**
   * The URL that the router is mounted at, without query or fragment; its path is the prefix. The router builds every URL from
   * it. It must be https, except on loopback in development.
   */
  issuer: string;
  /**
   * The storage of clients, grants and short-lived state: `redisAdapter(redis)` or your own adapter.
   * @defaultValue `memoryAdapter()` in development; required elsewhere
   */
  adapter?: Adapter;
  /**
   * Secrets of at least 32 bytes each. The first secret signs codes and refresh tokens; all of them verify. To replace a secret,
   * append the new one, later move it to the front, and remove the old one after the longest lifetime.
   * @defaultValue a random secret in development; required elsewhere
   */
  secrets?: readonly (string | undefined)[];
  /**
   * Private keys. The first key signs access tokens; where an algorithm is required, the first key for it signs. The public half
   * of every key is published. Replace a key in the same three steps as a secret.
   * @defaultValue a random ES256 key, and an RS256 key where one is needed, in development; required elsewhere
   */
  signingKeys?: readonly (SigningKeyInput | undefined)[];
  /**
   * Returns the user who is signed in at the host, or `undefined`, `null` or `false`. It must have no side effects, because it is
   * also called for `prompt=none`.
   */
  authenticate: Authenticate<User>;
  /**
   * The login page, for users who are not signed in: a path or URL that gets `return_to` (and `prompt`, `max_age`, `login_hint`,
   * `ui_locales` and `acr_values`) in its query, or a function that answers the request. After the login the browser must go to
   * `return_to`; check that URL with `isResumeUrl` first.
   */
  loginUrl: LoginUrl;
}

/** Clients, and how they identify themselves. */
export interface ClientsOptions {
  /** Clients that need no adapter. @defaultValue `[]` */
  clients?: readonly ClientOptions[];
  /** Headers that name the client of a request. They prove nothing. @defaultValue `{}` */
  clientHeaders?: ClientHeaders;
  /**
   * The parameter of `/authorize` whose value `json` asks for `{ location }` instead of a redirect, for clients with `jsonRedirects`.
   * @defaultValue none
   */
  jsonRedirectParameter?: string;
  /**
   * Accepts clients whose id is the URL of a document about them, as MCP clients have it. `true` trusts all https URLs.
   * @defaultValue `false`
   */
  metadataDocuments?: boolean | MetadataDocumentOptions;
  /** Turns dynamic client registration on, at `/register` (RFC 7591). @defaultValue `false` */
  registration?: false | RegistrationOptions;
  /**
   * Compares a client's secret with a `clientSecretHash` that somebody else made, such as one of bcrypt, argon2 or PBKDF2. After the first
   * success the adapter gets the client with a hash of this library, if it has `replaceClient` or `saveClient`.
   * @defaultValue other hashes are faults
   */
  verifyClientSecret?: VerifyClientSecret;
  /** Returns the TLS client certificate of a request (RFC 8705). @defaultValue no certificates */
  clientCertificate?: ClientCertificateOf;
  /**
   * The accepted `aud` of client assertions: the issuer, or also the URLs of the token and PAR endpoints (RFC 7523 §3). `'issuer'` is
   * safer if a client also authenticates at other servers, which could pass its assertions on. FAPI clients must name the issuer.
   * @defaultValue `'issuer_or_endpoint'`
   */
  clientAssertionAudience?: 'issuer' | 'issuer_or_endpoint';
  /** The maximum length of a client assertion. Characters. @defaultValue `4096` */
  clientAssertionMaximumLength?: number;
  /**
   * Allows metadata documents, `jwksUri`, `sectorIdentifierUri` and `backchannelLogoutUri` of clients to be on loopback, private and
   * link-local addresses and, in development, on http. @defaultValue `false`
   */
  allowPrivateAddresses?: boolean;
  /**
   * The secret that pairwise subjects are derived from. At least 32 bytes; changing it changes every subject.
   * @defaultValue no pairwise clients
   */
  pairwiseSecret?: string;
}

/** Users and the claims about them. */
export interface UsersOptions<LoadedUser = OAuthUser> {
  /**
   * Loads the user when tokens are issued, at userinfo and for links. `undefined` refuses the request and keeps the grant; an
   * exception that is not an `OAuthError` responds 503. @defaultValue every user exists
   */
  loadUser?: LoadUser<LoadedUser>;
  /** Returns the claims of a user for ID tokens and userinfo (OpenID Connect Core §5.1). @defaultValue `sub` only */
  userClaims?: UserClaimsHook<LoadedUser>;
  /**
   * The standard claims in ID tokens (OpenID Connect Core §5.4): `'scope'` includes those that the granted scope stands for, because most
   * clients read nothing but the ID token; with `'requested'`, clients get them from userinfo. @defaultValue `'scope'`
   */
  idTokenClaims?: 'scope' | 'requested';
  /**
   * The kinds of sign-in that the login knows, as values of `acr`, besides those that `requireToken` requires here: clients may request
   * them with `acr_values`, and the login is asked once for a user who has signed in otherwise (RFC 9470). @defaultValue `[]`
   */
  acrValues?: readonly string[];
  /** Ends the host's session and turns `/logout` on (OpenID Connect RP-Initiated Logout). @defaultValue no `/logout` */
  endSession?: EndSession;
}

/** Tokens: their audiences, their form, and the hooks that take part in issuing them. */
export interface TokensOptions<LoadedUser = OAuthUser> {
  /** Descriptions of scope values for the consent page. @defaultValue the values themselves */
  scopes?: Readonly<Record<string, string>>;
  /** The audience of access tokens for requests without `resource`. @defaultValue the issuer */
  defaultAudience?: string;
  /** The values of `resource`, or `audience`, that clients may request (RFC 8707). @defaultValue `[]` */
  resources?: readonly (string | ResourceOptions)[];
  /** Whether one access token may be for several resources. @defaultValue `false` */
  multipleAudiences?: boolean;
  /**
   * What happens to requested scope values that neither `scopes`, `resources` nor the client's registration have, such as those that
   * some apps send to every server: `'refuse'` responds `invalid_scope`; `'drop'` leaves them out, as if they had not been requested, and
   * the response says what was granted. @defaultValue `'refuse'`
   */
  unknownScopes?: UnknownScopes;
  /** `'jwt'` (RFC 9068), or `'opaque'`: the same claims, encrypted. @defaultValue `'jwt'` */
  accessTokenFormat?: Policy<AccessTokenFormat>;
  /** The host's own grant types, by their `grant_type` (RFC 6749 §4.5). @defaultValue `{}` */
  grants?: Readonly<Record<string, ExtensionGrant>>;
  /** Returns further claims of access tokens. It cannot set the claims that the library sets. @defaultValue none */
  claims?: ClaimsHook<LoadedUser>;
  /** Refuses tokens by throwing an `OAuthError`, which spends nothing. @defaultValue nothing is refused */
  beforeIssueToken?: BeforeIssueToken<LoadedUser>;
  /**
   * Returns further members of the token response.
   * @defaultValue none except `is_new_user` and `after_callback_redirect_url` after a sign-in through a provider
   */
  tokenResponse?: TokenResponseHook<LoadedUser>;
}

/** Lifetimes in seconds. Each may be a function of the grant's context. */
export interface LifetimeOptions {
  /** An authorization code: at most 600. @defaultValue `60` */
  authorizationCode?: Policy<number>;
  /** An access token. @defaultValue `3600` */
  accessToken?: Policy<number>;
  /** An ID token. @defaultValue `3600` */
  idToken?: Policy<number>;
  /** An open consent page. @defaultValue `600` */
  consent?: Policy<number>;
  /** An authorization request, the login included. @defaultValue `3600` */
  parkedRequest?: Policy<number>;
  /** A pushed authorization request that waits for its browser (RFC 9126 §2.2). @defaultValue `90` */
  pushedRequest?: Policy<number>;
  /** A sign-in at an upstream provider. @defaultValue `600` */
  federation?: Policy<number>;
  /**
   * A session of the host. Grants of clients with `backchannelLogoutUri` are kept at least as long.
   * @defaultValue `1209600` (14 days)
   */
  session?: Policy<number>;
}

/** Refresh tokens. Each option may be a function of the grant's context. */
export interface RefreshTokenOptions {
  /**
   * The grants that get a refresh token, if their client is registered for it: with `'always'` all of them, with
   * `'offline_access'` those with that scope. @defaultValue `'always'`
   */
  issue?: Policy<'always' | 'offline_access'>;
  /**
   * `'never'` keeps the refresh token of confidential and key-bound clients; all other refresh tokens are always rotated.
   * @defaultValue `'always'`
   */
  rotation?: Policy<'always' | 'never'>;
  /**
   * How long the previous refresh token may be repeated and yields the same successor: for clients that did not receive the
   * response, or refresh twice at once. 0 is strict. Seconds. @defaultValue `30`
   */
  leeway?: Policy<number>;
  /** How long a refresh token may stay unused. Seconds. @defaultValue `2592000` (30 days) */
  idleLifetime?: Policy<number>;
  /** How long a grant lives, however often it is refreshed. Seconds. @defaultValue `31536000` (365 days) */
  absoluteLifetime?: Policy<number>;
  /**
   * Finds the refresh tokens of the server that was here before, so that nobody has to sign in again: the first use of such a token is
   * answered with one of this server. @defaultValue such tokens are refused
   */
  import?: ImportRefreshToken;
}

/** Signing in through upstream providers. */
export interface FederationOptions {
  /** The providers, by the id that appears in `/authorize/:provider_id`. @defaultValue `{}` */
  providers?: Readonly<Record<string, Provider>>;
  /**
   * The provider of requests that name none: users sign in there, and not at the host's own login. @defaultValue the host's own login
   */
  defaultProvider?: string;
  /**
   * Finds the host's user for a user of a provider. Required with `providers`; `accountLinking()` creates such a function.
   * @defaultValue none
   */
  resolveUser?: ResolveUser;
  /** The scope that an access token needs to start a link, separated by spaces. @defaultValue `''` */
  linkScope?: string;
  /** Accepts an access token, besides link tickets, as `token` at `/authorize/:provider_id`. @defaultValue `false` */
  linkWithAccessTokens?: boolean;
  /**
   * Allows the endpoints in providers' discovery documents to have loopback, private and link-local addresses. The hosts in the
   * options themselves may always have such addresses. @defaultValue `false`
   */
  allowPrivateAddresses?: boolean;
}

/** Clients with `outOfBand`, which get codes without a redirect. */
export interface OutOfBandOptions {
  /** Creates the user of a request that names none, when its code is redeemed. @defaultValue such requests are refused */
  anonymousSubject?: AnonymousSubject;
  /** Returns the user that a request names by a header. It must not read a cookie. @defaultValue none */
  headerSubject?: HeaderSubject;
}

/** Clients that introduce themselves, in a metadata document or by registering. Nobody vouches for what they say. */
export interface SelfAssertedOptions {
  /**
   * The scope values that they may request, separated by spaces.
   * @defaultValue those in `scopes` and of `resources`, and those of OpenID Connect
   */
  scope?: string;
  /**
   * Decides about each of them, and may replace members of its metadata: `true` or an object accepts, anything else refuses. It is
   * called when a client registers, and when a document has been fetched. @defaultValue all are accepted
   */
  approve?: ApproveClient;
}

/** Clients whose id is the URL of a document about them (draft-ietf-oauth-client-id-metadata-document). */
export interface MetadataDocumentOptions {
  /** Whether a URL is trusted: it is asked before the document is fetched. @defaultValue all https URLs are */
  allow?: AllowDocument;
}

/** Dynamic client registration (RFC 7591), and its management (RFC 7592). */
export interface RegistrationOptions {
  /** Whether anybody may register. @defaultValue `false` */
  open?: boolean;
  /**
   * Accepts an initial access token, which the host has issued. Clients that register with one are not `selfAsserted`.
   * @defaultValue none are accepted
   */
  initialAccessToken?: VerifyInitialAccessToken;
  /** How many clients one source may register within an hour without an initial access token. @defaultValue `60` */
  limit?: number;
  /**
   * Returns the source that `limit` counts, such as an account; nothing for a request that is not limited.
   * @defaultValue the network of the sender: its /24, or /64 of IPv6
   */
  sourceOf?: RegistrationSource;
  /** How long a client is kept that has never got a token. Seconds. @defaultValue `86400` (one day) */
  unusedLifetime?: number;
  /**
   * The issuers of software statements, by `iss`. A statement of another issuer is refused; one that is accepted overrides what the
   * client says itself (RFC 7591 §2.3). @defaultValue `{}`
   */
  softwareStatementIssuers?: Readonly<Record<string, SoftwareStatementKeys>>;
}

/** The pages that users see. */
export interface PageOptions {
  /** The name, logo and colors of the built-in pages. @defaultValue the issuer's host as the name */
  branding?: Branding;
  /** Shows the host's own consent page. @defaultValue the built-in page */
  consent?: ConsentHandler;
  /** Shows the host's own error page; the status is already set. @defaultValue the built-in page */
  error?: ErrorPageHandler;
}

/**
 * The paths of the endpoints below the issuer, for clients that expect them elsewhere, such as `{ token: '/oauth/token' }`. Metadata,
 * DPoP proofs, client assertions and all other URLs follow.
 */
export interface PathOptions {
  /** The authorization endpoint, and `/:provider_id` below it. @defaultValue `'/authorize'` */
  authorize?: string;
  /** The form of the consent page. @defaultValue `'/consent'` */
  consent?: string;
  /** The responses of providers, at `/:provider_id` below it. @defaultValue `'/callback'` */
  callback?: string;
  /** Pushed authorization requests. @defaultValue `'/par'` */
  par?: string;
  /** The token endpoint. @defaultValue `'/token'` */
  token?: string;
  /** Userinfo. @defaultValue `'/userinfo'` */
  userinfo?: string;
  /** RP-initiated logout. @defaultValue `'/logout'` */
  logout?: string;
  /** Revocation. @defaultValue `'/revoke'` */
  revoke?: string;
  /** Introspection. @defaultValue `'/introspect'` */
  introspect?: string;
  /** The form of the page that asks before a link. @defaultValue `'/link'` */
  link?: string;
  /** Link tickets. @defaultValue `'/link_tickets'` */
  linkTickets?: string;
  /** Registration of clients, and `/:client_id` below it. @defaultValue `'/register'` */
  register?: string;
  /** The key set. A verifier in another process then needs `jwksUri`. @defaultValue `'/jwks'` */
  jwks?: string;
}

/** DPoP (RFC 9449). */
export interface DpopOptions {
  /**
   * The clients whose proofs need a nonce of the server (RFC 9449 §8): public clients, all, or none. `'always'` applies to
   * `requireToken` too. @defaultValue `'public'`
   */
  nonce?: NoncePolicy;
  /**
   * Returns the URL of a request to the host's API as its client called it, which a proof must be for (`htu`).
   * @defaultValue the origin of the issuer, and the path of the request
   */
  resourceUrl?: (req: Request) => string;
}

/** Running the server. */
export interface OperationOptions {
  /**
   * Allows an http issuer on any host, with everything else that development allows: for a device in the local network, or a service of
   * a Compose file. It is an error if `NODE_ENV` is `production`. @defaultValue `false`: http is for loopback
   */
  allowHttp?: boolean;
  /**
   * Limits requests, before anything else looks at them except their method. Return the seconds to wait, which responds 429 with
   * `Retry-After`, or nothing. @defaultValue no limit
   */
  rateLimit?: RateLimit;
  /**
   * Guards every endpoint, the discovery documents included: `true` admits a request, anything else responds 401
   * `invalid_client`. @defaultValue every request is admitted
   */
  requestGuard?: RequestGuard;
  /** Returns further members of the JSON body of errors. @defaultValue none */
  formatError?: FormatError;
  /**
   * Where events are logged: `console`, a logger of pino, or any other with these functions; `false` logs nothing.
   * @defaultValue failures on stderr, unless something listens to them; in development, refusals too
   */
  logger?: Logger | false;
  /** How long one call of the adapter may take. Seconds. @defaultValue `5` */
  storeTimeout?: number;
  /** The clock, which returns epoch milliseconds. @defaultValue `Date.now` */
  clock?: () => number;
}

/** The options of `createOAuthRouter`. Durations are in seconds. */
export interface OAuthRouterOptions<User extends OAuthUser = OAuthUser, LoadedUser = User>
  extends
    EssentialOptions<User>,
    ClientsOptions,
    UsersOptions<LoadedUser>,
    TokensOptions<LoadedUser>,
    OperationOptions {
  /** How long codes, tokens and requests live. */
  lifetimes?: LifetimeOptions;
  /** How refresh tokens are issued and rotated. */
  refreshTokens?: RefreshTokenOptions;
  /** Signing in through upstream providers. */
  federation?: FederationOptions;
  /** Clients that introduce themselves. */
  selfAsserted?: SelfAssertedOptions;
  /** Clients that get codes without a redirect. */
  outOfBand?: OutOfBandOptions;
  /** The consent page, the error page and their look. */
  pages?: PageOptions;
  /** The paths of the endpoints. */
  paths?: PathOptions;
  /** Tokens that are bound to a key of the client. */
  dpop?: DpopOptions;
}

/** The options of any host. */
export type AnyOptions = OAuthRouterOptions<OAuthUser, unknown>;
