import type * as Clients from './options/clients';
import type { OAuthRouterOptions } from './options/options';
import type { ClientOptions } from './clients/client';
import type { OAuthUser } from './host/user';
import type * as TokenVerifiers from './resource/token-verifier';
import type { TokenVerifier, TokenVerifierOptions } from './resource/token-verifier';
import type * as Routers from './router';
import type { OAuthRouter } from './router';

/*
 * The three functions that check options load what they need when they are called: a resource server has no use for the authorization
 * server, and a script that hashes a secret for neither.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- an import would load it at once, or be asynchronous */

/**
 * Creates an OAuth 2.1 authorization server as a middleware of Express.
 *
 * @throws OAuthConfigurationError that lists every fault of the options
 * @example
 * const oauth = createOAuthRouter({
 *   issuer: 'https://api.example.com/oauth',
 *   adapter: redisAdapter(new Redis(process.env.REDIS_URL)),
 *   secrets: [process.env.OAUTH_SECRET],
 *   signingKeys: [process.env.OAUTH_SIGNING_KEY],
 *   authenticate: (req) => req.session.user,
 *   loginUrl: '/login',
 * });
 * app.use('/oauth', oauth);
 * app.use(oauth.wellKnown);
 * app.get('/orders', oauth.requireToken({ scope: 'orders:read' }), listOrders);
 */
export function createOAuthRouter<User extends OAuthUser, LoadedUser = User>(
  options: OAuthRouterOptions<User, LoadedUser>,
): OAuthRouter {
  const routers = require('./router') as typeof Routers;
  return routers.createOAuthRouter(options);
}

/**
 * Verifies access tokens in a process that shares nothing with the authorization server but its URL.
 *
 * @throws OAuthConfigurationError that lists every fault of the options
 * @example
 * const { requireToken } = createTokenVerifier({
 *   issuer: 'https://api.example.com/oauth',
 *   audience: 'https://orders.example.com',
 * });
 * app.get('/orders', requireToken({ scope: 'orders:read' }), listOrders);
 * @see RFC 9068 §4, RFC 9449 §7, RFC 7662
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const verifiers = require('./resource/token-verifier') as typeof TokenVerifiers;
  return verifiers.createTokenVerifier(options);
}

/**
 * Returns the faults of a client, for pages of administrators and for migrations: those that would be an error in `clients` of the options,
 * or where an adapter returns it. `allowHttp` allows http redirect URIs of hosts other than loopback, as in development; `foreignHashes`
 * allows hashes for the option `verifyClientSecret`.
 *
 * @example
 * const faults = checkClient(fromRfc7591(exported));
 */
export function checkClient(
  client: Partial<ClientOptions>,
  options?: { allowHttp?: boolean; foreignHashes?: boolean },
): readonly string[] {
  const clients = require('./options/clients') as typeof Clients;
  return clients.checkClient(client, options);
}
/* eslint-enable @typescript-eslint/no-require-imports */

export type { OAuthRouter } from './router';
export type {
  ClientsOptions,
  DpopOptions,
  EssentialOptions,
  FederationOptions,
  LifetimeOptions,
  MetadataDocumentOptions,
  OAuthRouterOptions,
  OperationOptions,
  OutOfBandOptions,
  PageOptions,
  PathOptions,
  RefreshTokenOptions,
  RegistrationOptions,
  SelfAssertedOptions,
  TokensOptions,
  UsersOptions,
} from './options/options';
export type { ReloadedCredentials } from './options/credentials';
export { OAuthConfigurationError, OAuthError, type OAuthErrorCode, type OAuthErrorOptions } from './errors';
export type {
  AuthenticationEvent,
  EventIdentifiers,
  EndpointEvent,
  FailureEvent,
  GenerationsEvent,
  ScopeEvent,
  OAuthEventMap,
  ProviderEvent,
  ProviderSignInEvent,
  ReasonEvent,
  RefusalEvent,
  ReplayEvent,
  StoreEvent,
  TokenEvent,
  TokenIdEvent,
} from './events';
export type { AnyListener, OAuthEvents } from './event-reporter';

export type {
  Adapter,
  ClientAuthenticationMethodName,
  ClientMetadata,
  Consent,
  JwkSet,
  PreviousSecret,
  ReadGrant,
  StoredGrant,
} from './adapters/contract';
export { memoryAdapter, type MemoryAdapter, type MemoryAdapterOptions } from './adapters/memory';
export { redisAdapter, type RedisAdapter, type RedisAdapterOptions } from './adapters/redis';
export type { IoredisClient, NodeRedisClient, RedisClient, RedisCommandName } from './adapters/redis-client';

export type { ConsentContext, ConsentHandler, LoginContext, LoginUrl } from './authorization/host-pages';
export type { HeaderSubject } from './authorization/out-of-band';
export type { Prompt } from './authorization/request';
export type { Logger } from './event-log';
export type { ClientCertificate, ClientCertificateOf } from './clients/certificate';
export type { Client, ClientOptions, PublicMetadata } from './clients/client';
export type { ClientChanges, ClientManager, ManagedClient, NewClient } from './clients/client-manager';
export type { ClientHeaders } from './clients/identification';
export type { AllowDocument } from './clients/metadata-documents';
export type { NoncePolicy } from './clients/proof-of-possession';
export { fromRfc7591, toRfc7591, type ExportedClient, type WireMetadata } from './clients/rfc7591';
export type { ApprovalContext, ApproveClient } from './clients/self-asserted';
export type { VerifyClientSecret } from './clients/secret-verifier';
export { generateClientSecret, hashClientSecret, type GeneratedClientSecret } from './clients/secret-hashes';
export {
  accountAlreadyLinked,
  accountLinking,
  type Account,
  type AccountByEmail,
  type CreateUserContext,
  type AccountLinkingOptions,
  type EmailStrategy,
} from './federation/account-linking';
export type { ProviderIdentity } from './federation/identity';
export {
  providerPresets,
  type OAuth2Preset,
  type OidcPreset,
  type ProviderPresets,
} from './federation/presets';
export {
  oauth2Provider,
  oidcProvider,
  type ClaimNames,
  type CommonProviderOptions,
  type OAuth2Provider,
  type OAuth2ProviderOptions,
  type OidcProvider,
  type OidcProviderOptions,
  type Provider,
  type Userinfo,
} from './federation/provider';
export type { ProviderTokens } from './federation/provider-tokens';
export type {
  CurrentUser,
  NewUser,
  ResolvedUser,
  ResolveUser,
  ResolveUserContext,
} from './federation/resolve-user';
export type { Authenticate } from './host/authenticate';
export type { Awaitable } from './host/call';
export type { GrantContext, Policy } from './host/grant-context';
export type { LoadUser, LoadUserContext } from './host/load-user';
export type {
  BeforeIssueToken,
  ClaimsContext,
  ClaimsHook,
  ExtraClaims,
  FederationFacts,
  TokenResponseContext,
  TokenResponseHook,
} from './host/token-hooks';
export type { OAuthUser } from './host/user';
export type { UserClaimsContext, UserClaimsHook } from './host/user-claims';
export type { FormatError, RateLimit, RequestGuard } from './http/endpoint';
export type { EndSession } from './logout/endpoint';
export type { GrantInfo, IssueAccessTokenOptions, Operations } from './operations';
export type { ConsentView, DescribedScope } from './pages/consent';
export type { ErrorPageHandler } from './pages/error';
export type { Branding } from './pages/layout';
export type { ResourceOptions } from './policy/audiences';
export type { UnknownScopes } from './policy/scopes';
export type { VerifyInitialAccessToken } from './registration/endpoint';
export type { RegistrationSource } from './registration/limit';
export type { SoftwareStatementKeys } from './registration/software-statement';
export type { CreateMcpTokenVerifier, McpTokenVerifier } from './resource/mcp';
export { mcpAuthInfo, type McpAuthInfo } from './resource/mcp-auth-info';
export type { AccessTokenInfo } from './resource/access-token-info';
export type { RequireToken, TokenMiddleware } from './resource/require-token';
export type { RequireTokenOptions } from './resource/requirements';
export type { TokenVerifier, TokenVerifierOptions } from './resource/token-verifier';
export type { IntrospectionCredentials } from './resource/verified-tokens';
export type { AnonymousSubject } from './token/anonymous-subject';
export type { ExtensionGrant, ExtensionGrantContext, ExtensionGrantDecision } from './token/extension-grant';
export type { ImportedGrant, ImportRefreshToken } from './token/imported-refresh-token';
export type {
  AccessTokenClaims,
  AccessTokenFormat,
  AccessTokenType,
  Confirmation,
} from './tokens/access-token';
export type { AccessTokenAlgorithm, SigningAlgorithm } from './tokens/algorithms';
export type { SigningJwk, SigningKeyInput, WrappedSigningKey } from './tokens/signing-key';
export type { PresentedProof, VerifyToken, VerifyTokenOptions } from './resource/verify-token';
